//! `format` of strings: what each name upstream's validator knows demands of the text.

mod codes;
mod network;
mod times;

use super::schema::{Checks, Kind, Node};

/// A rule of a format.
type Rule = fn(&str) -> bool;

/// Every format there is a rule for, by its name without hyphens.
const RULES: [(&str, Rule); 26] = [
    ("bsonobjectid", codes::object_id),
    ("byte", codes::base64),
    ("cidr", network::cidr),
    ("creditcard", codes::credit_card),
    ("date", times::date),
    ("datetime", times::date_time),
    ("duration", times::duration),
    ("email", network::email),
    ("hexcolor", codes::hex_color),
    ("hostname", network::hostname),
    ("ipv4", network::ipv4),
    ("ipv6", network::ipv6),
    ("isbn", codes::isbn),
    ("isbn10", codes::isbn10),
    ("isbn13", codes::isbn13),
    ("k8slongname", network::long_name),
    ("k8sshortname", network::short_name),
    ("mac", network::mac),
    ("password", anything),
    ("rgbcolor", codes::rgb_color),
    ("ssn", codes::social_security),
    ("uri", network::uri),
    ("uuid", codes::uuid),
    ("uuid3", codes::uuid3),
    ("uuid4", codes::uuid4),
    ("uuid5", codes::uuid5),
];

fn anything(_: &str) -> bool {
    true
}

fn rule(format: &str) -> Option<Rule> {
    let name = format.replace('-', "");
    let found = RULES.iter().find(|(known, _)| *known == name);
    found.map(|(_, rule)| *rule)
}

/// The format of a schema, when it is one that is known for its type; others say nothing.
pub(crate) fn known<'n>(node: &Node, checks: &'n Checks) -> Option<&'n str> {
    let format = checks
        .format
        .as_deref()
        .filter(|format| !format.is_empty())?;
    is_known(node.kind, format).then_some(format)
}

/// Whether values of a type are held to that format.
pub(crate) fn is_known(kind: Option<Kind>, format: &str) -> bool {
    match kind {
        Some(Kind::Integer) => matches!(format, "int32" | "int64"),
        Some(Kind::Number) => matches!(format, "float" | "double"),
        Some(Kind::String) | None => has_rule(format),
        _ => false,
    }
}

/// Whether strings can have that format.
pub(crate) fn has_rule(format: &str) -> bool {
    rule(format).is_some()
}

/// Whether the text has that format; one without a rule demands nothing.
pub(crate) fn holds(format: &str, text: &str) -> bool {
    rule(format).is_none_or(|rule| rule(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_hold_or_do_not() {
        let check = |format: &str, good: &[&str], bad: &[&str]| {
            assert!(has_rule(format), "{format}");
            for text in good {
                assert!(holds(format, text), "{format} {text:?}");
            }
            for text in bad {
                assert!(!holds(format, text), "{format} {text:?}");
            }
        };
        check(
            "date-time",
            &["2014-12-15T19:30:20.000Z", "2014-12-15t19:30:20+01:00"],
            &[
                "2014-12-15",
                "2014-13-15T19:30:20Z",
                "2014-12-15T25:30:20Z",
                "x",
            ],
        );
        check("date", &["2020-02-29"], &["2021-02-29", "2021-2-9", ""]);
        check(
            "duration",
            &["1h30m", "0", "-1.5s", "2 days", "1w"],
            &["", "1", "x", "5 x"],
        );
        check(
            "email",
            &["a@b.c", "A <a@b>"],
            &["", "a", "@b", "a@", "a b@c"],
        );
        check(
            "uri",
            &["https://a.b/c?d", "/path", "urn:x"],
            &["", "a b", "x", "/%zz"],
        );
        check(
            "ipv4",
            &["1.2.3.4", "010.1.1.1"],
            &["1.2.3", "1.2.3.256", "::1", ""],
        );
        check("ipv6", &["::1", "fe80::1"], &["1.2.3.4", ":", ""]);
        check(
            "cidr",
            &["10.0.0.0/8", "::/0"],
            &["10.0.0.0", "10.0.0.0/33", "x/1"],
        );
        check(
            "mac",
            &["01:23:45:67:89:ab", "0123.4567.89ab"],
            &["01:23:45", "x"],
        );
        check(
            "uuid",
            &["123e4567-e89b-12d3-a456-426614174000"],
            &["123", ""],
        );
        check(
            "uuid4",
            &["123e4567-e89b-42d3-a456-426614174000"],
            &["123e4567-e89b-12d3-a456-426614174000"],
        );
        check("hostname", &["a.example.com", "a"], &["", "-a", "a..b"]);
        check("byte", &["aGVsbG8=", "aGVs"], &["a", "a b="]);
        check(
            "isbn",
            &["0321751043", "978-0321751041"],
            &["1234567890", "x", ""],
        );
        check(
            "creditcard",
            &["4111 1111 1111 1111"],
            &["4111111111111112", ""],
        );
        check("hexcolor", &["#FFF", "00ff00"], &["#ffff", "x"]);
        check("rgbcolor", &["rgb(0, 31,255)"], &["rgb(0,31,256)"]);
        check("password", &["", "anything"], &[]);
        check("bsonobjectid", &["5f50c31e1c9d440000a1b2c3"], &["5f50"]);
        check("k8s-short-name", &["a-b"], &["a.b", "A", ""]);
        check("k8s-long-name", &["a-b.c"], &["a..b", "A", ""]);
        assert!(!has_rule("semver") && holds("semver", "x"));
    }
}
