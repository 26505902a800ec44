//! `$(NAME)` references in arguments and environment values, as Kubernetes defines them.

use std::collections::BTreeMap;

/// Replaces `$(NAME)` by its value; an unknown name stays as written; `$$` is a plain `$`.
pub(crate) fn expand(text: &str, values: &BTreeMap<String, String>) -> String {
    expand_noting(text, values).0
}

/// The same, with the first name that has no value.
pub(super) fn expand_noting<'a>(
    text: &'a str,
    values: &BTreeMap<String, String>,
) -> (String, Option<&'a str>) {
    let mut unknown = None;
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('(')
            && let Some(end) = after.find(')')
        {
            let name = &after[..end];
            match values.get(name) {
                Some(value) => out.push_str(value),
                None => {
                    unknown = unknown.or(Some(name));
                    out.push_str("$(");
                    out.push_str(name);
                    out.push(')');
                }
            }
            rest = &after[end + 1..];
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    (out, unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_replaced() {
        let values = BTreeMap::from([
            ("A".to_owned(), "1".to_owned()),
            ("B".to_owned(), "$(A)".to_owned()),
        ]);
        let check = |text: &str, expect: &str| assert_eq!(expand(text, &values), expect, "{text}");
        check("", "");
        check("plain", "plain");
        check("$(A)", "1");
        check("x$(A)y$(A)", "x1y1");
        check("$(B)", "$(A)");
        check("$(C)", "$(C)");
        check("$$(A)", "$(A)");
        check("$$$(A)", "$1");
        check("$(A", "$(A");
        check("$", "$");
        check("a$b", "a$b");
        check("$()", "$()");
        check("ü$(A)ü", "ü1ü");
    }
}
