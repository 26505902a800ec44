//! The grammars of names, keys and values, with the messages upstream uses for each (clients and
//! conformance tests compare them). A function returns what is wrong; an empty list means valid.

/// Longest DNS label, label key name and label value.
const LABEL_MAX: usize = 63;
/// Longest DNS subdomain.
const SUBDOMAIN_MAX: usize = 253;
/// Longest port name (an IANA service name).
const PORT_NAME_MAX: usize = 15;

const LABEL_PATTERN: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN_PATTERN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const KEY_PATTERN: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";

/// A DNS-1123 label: namespaces, containers, volumes.
pub fn dns1123_label(value: &str) -> Vec<String> {
    let mut errors = too_long(value, LABEL_MAX);
    if !is_label(value) {
        errors.push(if is_subdomain(value) {
            "must not contain dots".to_owned()
        } else {
            pattern(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters \
                 or '-', and must start and end with an alphanumeric character",
                LABEL_PATTERN,
                &["my-name", "123-abc"],
            )
        });
    }
    errors
}

/// A DNS-1123 subdomain: the name of most objects.
pub fn dns1123_subdomain(value: &str) -> Vec<String> {
    let mut errors = too_long(value, SUBDOMAIN_MAX);
    errors.extend(subdomain_pattern(value));
    errors
}

fn subdomain_pattern(value: &str) -> Option<String> {
    (!is_subdomain(value)).then(|| {
        pattern(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, \
             '-' or '.', and must start and end with an alphanumeric character",
            SUBDOMAIN_PATTERN,
            &["example.com"],
        )
    })
}

/// A DNS-1035 label: services.
pub fn dns1035_label(value: &str) -> Vec<String> {
    let mut errors = too_long(value, LABEL_MAX);
    let starts = value
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_lowercase());
    if !(starts && is_label(value)) {
        errors.push(pattern(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start \
             with an alphabetic character, and end with an alphanumeric character",
            "[a-z]([-a-z0-9]*[a-z0-9])?",
            &["my-name", "abc-123"],
        ));
    }
    errors
}

/// A DNS-1123 subdomain below any one label: hosts of an Ingress.
pub fn wildcard_subdomain(value: &str) -> Vec<String> {
    let mut errors = too_long(value, SUBDOMAIN_MAX);
    if !value.strip_prefix("*.").is_some_and(is_subdomain) {
        errors.push(pattern(
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS \
             subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and \
             end with an alphanumeric character",
            &format!(r"\*\.{SUBDOMAIN_PATTERN}"),
            &["*.example.com"],
        ));
    }
    errors
}

/// A DNS-1123 subdomain in which underscores count as letters: what resolvers search in.
pub fn underscored_subdomain(value: &str) -> Vec<String> {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let label = |label: &str| {
        let bytes = label.strip_prefix('_').unwrap_or(label).as_bytes();
        bytes.first().is_some_and(plain)
            && bytes.last().is_some_and(plain)
            && bytes.iter().all(|byte| plain(byte) || b"-_".contains(byte))
    };
    let mut errors = too_long(value, SUBDOMAIN_MAX);
    if !value.split('.').all(label) {
        let one = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?";
        errors.push(pattern(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, \
             '_', '-' or '.', and must start and end with an alphanumeric character",
            &format!(r"{one}(\.{one})*"),
            &["example.com"],
        ));
    }
    errors
}

/// What can stand in a URL's path.
pub fn path_segment(value: &str) -> Vec<String> {
    if matches!(value, "." | "..") {
        return vec![format!("may not be '{value}'")];
    }
    let bad = ["/", "%"].into_iter().filter(|part| value.contains(part));
    bad.map(|part| format!("may not contain '{part}'"))
        .collect()
}

/// A qualified name: label keys, annotation keys, finalizers, resource names.
pub fn qualified_name(value: &str) -> Vec<String> {
    let message = || {
        pattern(
            "must consist of alphanumeric characters, '-', '_' or '.', and must start and end \
             with an alphanumeric character",
            KEY_PATTERN,
            &["MyName", "my.name", "123-abc"],
        )
    };
    let mut errors = Vec::new();
    let parts: Vec<&str> = value.split('/').collect();
    let name = match parts[..] {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                errors.push("prefix part must be non-empty".to_owned());
            } else {
                let mut wrong = too_many_bytes(prefix, SUBDOMAIN_MAX);
                wrong.extend(subdomain_pattern(prefix));
                let wrong = wrong.into_iter();
                errors.extend(wrong.map(|message| format!("prefix part {message}")));
            }
            name
        }
        _ => {
            return vec![format!(
                "a valid label key {} with an optional DNS subdomain prefix and '/' \
                 (e.g. 'example.com/MyName')",
                message()
            )];
        }
    };
    if name.is_empty() {
        errors.push("name part must be non-empty".to_owned());
    }
    errors.extend(
        too_many_bytes(name, LABEL_MAX)
            .into_iter()
            .map(|text| format!("name part {text}")),
    );
    if !is_key(name) {
        errors.push(format!("name part {}", message()));
    }
    errors
}

/// A label value.
pub fn label_value(value: &str) -> Vec<String> {
    let mut errors = too_many_bytes(value, LABEL_MAX);
    if !value.is_empty() && !is_key(value) {
        errors.push(pattern(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', \
             '_' or '.', and must start and end with an alphanumeric character",
            "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?",
            &["MyValue", "my_value", "12345"],
        ));
    }
    errors
}

/// The name of an environment variable: printable ASCII without `=`.
pub fn env_var_name(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.is_empty() {
        errors.push("environment variable name must be non-empty".to_owned());
    }
    if !value
        .bytes()
        .all(|byte| (b' '..=b'~').contains(&byte) && byte != b'=')
    {
        errors.push(
            "a valid environment variable name must consist only of printable ASCII characters \
             other than '='"
                .to_owned(),
        );
    }
    errors
}

/// A name that many programming languages can say too.
pub fn c_identifier(value: &str) -> Vec<String> {
    let start = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let inner = |byte: u8| start(byte) || byte.is_ascii_digit();
    if value.bytes().next().is_some_and(start) && value.bytes().all(inner) {
        return Vec::new();
    }
    vec![pattern(
        "a valid C identifier must start with alphabetic character or '_', followed by a string \
         of alphanumeric characters or '_'",
        "[A-Za-z_][A-Za-z0-9_]*",
        &["my_name", "MY_NAME", "MyName"],
    )]
}

/// A key of a ConfigMap or Secret.
pub fn config_map_key(value: &str) -> Vec<String> {
    let mut errors = too_long(value, SUBDOMAIN_MAX);
    if value.is_empty() || !value.bytes().all(is_key_byte) {
        errors.push(pattern(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
            "[-._a-zA-Z0-9]+",
            &["key.name", "KEY_NAME", "key-name"],
        ));
    }
    match value {
        "." => errors.push("must not be '.'".to_owned()),
        ".." => errors.push("must not be '..'".to_owned()),
        _ if value.starts_with("..") => errors.push("must not start with '..'".to_owned()),
        _ => {}
    }
    errors
}

/// The name of a container port or of a service's target port.
pub fn port_name(value: &str) -> Vec<String> {
    let mut errors = too_long(value, PORT_NAME_MAX);
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if value.is_empty() || !value.bytes().all(allowed) {
        errors.push(
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned(),
        );
    }
    if !value.bytes().any(|byte| byte.is_ascii_lowercase()) {
        errors.push("must contain at least one letter (a-z)".to_owned());
    }
    if value.contains("--") {
        errors.push("must not contain consecutive hyphens".to_owned());
    }
    if value.starts_with('-') || value.ends_with('-') {
        errors.push("must not begin or end with a hyphen".to_owned());
    }
    errors
}

/// The name of an HTTP header in a probe.
pub fn http_header_name(value: &str) -> Vec<String> {
    let valid = !value.is_empty()
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if valid {
        return Vec::new();
    }
    vec![pattern(
        "a valid HTTP header must consist of alphanumeric characters or '-'",
        "[-A-Za-z0-9]+",
        &["X-Header-Name"],
    )]
}

/// A number in a closed range.
pub fn in_range(value: i64, low: i64, high: i64) -> Vec<String> {
    if (low..=high).contains(&value) {
        Vec::new()
    } else {
        vec![format!("must be between {low} and {high}, inclusive")]
    }
}

/// A port number.
pub fn port_number(value: i64) -> Vec<String> {
    in_range(value, 1, 65535)
}

/// A prefix of a name (`generateName`): the rule for names, without the demand that the last
/// character be alphanumeric, because more follows.
pub fn as_prefix(value: &str, rule: fn(&str) -> Vec<String>) -> Vec<String> {
    match value.strip_suffix('-') {
        Some(stem) if !stem.is_empty() => rule(&format!("{stem}a")),
        _ => rule(value),
    }
}

fn is_label(value: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = value.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) => {
            alphanumeric(*first)
                && alphanumeric(*last)
                && bytes
                    .iter()
                    .all(|byte| alphanumeric(*byte) || *byte == b'-')
        }
        _ => false,
    }
}

fn is_subdomain(value: &str) -> bool {
    value.split('.').all(is_label)
}

fn is_key(value: &str) -> bool {
    let bytes = value.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) => {
            first.is_ascii_alphanumeric()
                && last.is_ascii_alphanumeric()
                && value.bytes().all(is_key_byte)
        }
        _ => false,
    }
}

fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

/// The same in the words that newer rules of upstream's have.
fn too_many_bytes(value: &str, max: usize) -> Vec<String> {
    if value.len() > max {
        vec![format!("must be no more than {max} bytes")]
    } else {
        Vec::new()
    }
}

fn too_long(value: &str, max: usize) -> Vec<String> {
    if value.len() > max {
        vec![format!("must be no more than {max} characters")]
    } else {
        Vec::new()
    }
}

fn pattern(message: &str, pattern: &str, examples: &[&str]) -> String {
    let examples: Vec<String> = examples
        .iter()
        .map(|example| format!("'{example}', "))
        .collect();
    format!(
        "{message} (e.g. {}regex used for validation is '{pattern}')",
        examples.join(" or ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_and_invalid() {
        let check = |rule: fn(&str) -> Vec<String>, good: &[&str], bad: &[&str]| {
            for value in good {
                assert_eq!(rule(value), Vec::<String>::new(), "{value}");
            }
            for value in bad {
                assert!(!rule(value).is_empty(), "{value}");
            }
        };
        let long = "a".repeat(64);
        check(
            dns1123_label,
            &["a", "a-b", "1a"],
            &["", "-a", "a-", "A", "a.b", "a_b", &long],
        );
        check(
            dns1123_subdomain,
            &["a", "a.b-c.d"],
            &["", ".", "a..b", "a.", "-", "a/b"],
        );
        check(dns1035_label, &["a", "a1-b"], &["1a", "", "a-", "A"]);
        check(
            qualified_name,
            &["a", "A_b.c", "x.y/z"],
            &["", "/a", "a/", "a/b/c", "-a", "X.y/z", &long],
        );
        check(label_value, &["", "A", "a_b.c"], &["-", "a b", "a-", &long]);
        check(env_var_name, &["A", "a b", "1"], &["", "a=b", "é", "a\n"]);
        check(
            config_map_key,
            &["a", "A_.b", ".b"],
            &["", "a/b", ".", "..", "..b"],
        );
        check(
            port_name,
            &["http", "a-1"],
            &["", "1", "a--b", "-a", "a-", "HTTP", "abcdefghijklmnop"],
        );
        check(http_header_name, &["X-A"], &["", "a b", "a:"]);
        check(
            wildcard_subdomain,
            &["*.a", "*.a.b"],
            &["", "*", "*.", "a.b", "*.*.a", "a.*"],
        );
        check(c_identifier, &["a", "_A1"], &["", "1a", "a-b"]);
        check(path_segment, &["a", "a:b", ""], &[".", "..", "a/b", "a%"]);
    }

    #[test]
    fn messages_are_upstreams() {
        assert_eq!(
            dns1123_subdomain("A_b"),
            vec![
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
                 characters, '-' or '.', and must start and end with an alphanumeric character \
                 (e.g. 'example.com', regex used for validation is \
                 '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
            ]
        );
        assert_eq!(
            label_value("-"),
            vec![
                "a valid label must be an empty string or consist of alphanumeric characters, \
                 '-', '_' or '.', and must start and end with an alphanumeric character (e.g. \
                 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
                 '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
            ]
        );
        assert_eq!(dns1123_label("a.b"), vec!["must not contain dots"]);
        assert_eq!(
            port_number(0),
            vec!["must be between 1 and 65535, inclusive"]
        );
    }

    #[test]
    fn prefixes() {
        assert!(as_prefix("app-", dns1123_subdomain).is_empty());
        assert!(as_prefix("app", dns1123_subdomain).is_empty());
        assert!(!as_prefix("-", dns1123_subdomain).is_empty());
    }
}
