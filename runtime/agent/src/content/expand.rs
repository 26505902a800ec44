//! `$(NAME)` references in arguments and environment values, as Kubernetes defines them.

use std::collections::BTreeMap;

/// Replaces `$(NAME)` by its value; an unknown name stays as written; `$$` is a plain `$`. None if that is more than `most`
/// bytes: a value may be named a million times, and by values that are named in turn.
pub(crate) fn expand(text: &str, values: &BTreeMap<String, String>, most: usize) -> Option<String> {
    expand_noting(text, values, most).map(|(text, _)| text)
}

/// The same, with the first name that has no value.
pub(super) fn expand_noting<'a>(
    text: &'a str,
    values: &BTreeMap<String, String>,
    most: usize,
) -> Option<(String, Option<&'a str>)> {
    let mut unknown = None;
    let mut out = String::new();
    // Behind it no name ends.
    let last = text.rfind(')').unwrap_or(0);
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        if out.len() > most {
            return None;
        }
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('(')
            && text.len() - after.len() <= last
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
    (out.len() <= most).then_some((out, unknown))
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
        let check = |text: &str, expect: &str| {
            assert_eq!(expand(text, &values, 10).as_deref(), Some(expect), "{text}");
        };
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
        check("$(A)$(A", "1$(A");
        check("$(A)$(A)$(A)$(A)$(A)$(A)$(A)$(A)$(A)$(A)", "1111111111");
    }

    #[test]
    fn values_are_not_put_together_without_end() {
        let values = BTreeMap::from([("A".to_owned(), "x".repeat(1 << 20))]);
        let often = "$(A)".repeat(1 << 20);
        assert_eq!(expand(&often, &values, 4 << 20), None);
        assert_eq!(expand("$(A)", &values, 1), None);
        let open = "$(".repeat(1 << 20);
        assert_eq!(expand(&open, &values, 4 << 20), Some(open));
    }
}
