//! `pattern`: regular expressions in Go's syntax, which differs from Rust's in small things.
//!
//! Compiled when a value is first matched against them, and kept.

use std::sync::OnceLock;

use regex::{Regex, RegexBuilder};

/// Most bytes of a compiled expression, so that no pattern takes memory out of proportion.
const SIZE_LIMIT: usize = 2 * 1024 * 1024;

/// The largest count of a repetition, as in Go.
const MAX_REPEAT: u32 = 1000;

/// A regular expression.
#[derive(Debug)]
pub(crate) struct Pattern {
    pub(crate) source: Box<str>,
    compiled: OnceLock<Result<Regex, String>>,
}

impl Pattern {
    pub(crate) fn new(source: &str) -> Pattern {
        Pattern {
            source: source.into(),
            compiled: OnceLock::new(),
        }
    }

    /// Whether any part of `text` matches; an expression that is none says why.
    pub(crate) fn matches(&self, text: &str) -> Result<bool, &str> {
        let compiled = self.compiled.get_or_init(|| compile(&self.source));
        match compiled {
            Ok(regex) => Ok(regex.is_match(text)),
            Err(error) => Err(error),
        }
    }
}

/// Compiles an expression of Go's syntax.
pub(crate) fn compile(source: &str) -> Result<Regex, String> {
    RegexBuilder::new(&translate(source)?)
        .size_limit(SIZE_LIMIT)
        .build()
        .map_err(|error| match error {
            // The whole message shows the translated pattern over several lines; its last one says what is wrong.
            regex::Error::Syntax(text) => text
                .lines()
                .last()
                .unwrap_or_default()
                .trim_start_matches("error: ")
                .to_owned(),
            other => other.to_string(),
        })
}

/// Go's classes are ASCII, it knows no operations on sets and no nested sets, and a brace that
/// starts no repetition is itself.
fn translate(source: &str) -> Result<String, String> {
    let mut out = String::with_capacity(source.len() + 16);
    let mut rest = source;
    let mut in_class = false;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        match character {
            '\\' if rest.starts_with('Q') && !in_class => {
                let (quoted, after) = rest[1..].split_once("\\E").unwrap_or((&rest[1..], ""));
                out.push_str(&regex::escape(quoted));
                rest = after;
            }
            '\\' => rest = escape(rest, &mut out),
            '[' if in_class => match posix(rest) {
                Some(length) => {
                    out.push('[');
                    out.push_str(&rest[..length]);
                    rest = &rest[length..];
                }
                None => out.push_str("\\["),
            },
            '[' => {
                in_class = true;
                out.push('[');
                if let Some(after) = rest.strip_prefix('^') {
                    out.push('^');
                    rest = after;
                }
                // A bracket that comes first is a member.
                if let Some(after) = rest.strip_prefix(']') {
                    out.push_str("\\]");
                    rest = after;
                }
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            '&' | '~' if in_class => out.extend(['\\', character]),
            // Two hyphens would subtract sets; here one of them is an end of a range.
            '-' if in_class && rest.starts_with('-') => {
                out.push_str(if out.ends_with(['[', '^']) {
                    "\\--"
                } else {
                    "-\\-"
                });
                rest = &rest[1..];
            }
            '{' if !in_class => match repetition(rest)? {
                true => out.push('{'),
                false => out.push_str("\\{"),
            },
            _ => out.push(character),
        }
    }
    Ok(out)
}

/// Writes what a backslash and what follows it mean; returns the rest.
fn escape<'a>(rest: &'a str, out: &mut String) -> &'a str {
    let Some(character) = rest.chars().next() else {
        out.push('\\');
        return rest;
    };
    let class = match character {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        's' => "[\\t\\n\\f\\r ]",
        'S' => "[^\\t\\n\\f\\r ]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        'b' => "(?-u:\\b)",
        // Not as an ASCII rule: between the bytes of one character it would hold too.
        'B' => "\\B",
        // Not a word's start and end.
        '<' => "<",
        '>' => ">",
        // What braces hold here is a name or a number.
        'p' | 'P' | 'x' if rest[1..].starts_with('{') => {
            let end = rest.find('}').map_or(rest.len(), |end| end + 1);
            out.push('\\');
            out.push_str(&rest[..end]);
            return &rest[end..];
        }
        _ => {
            out.extend(['\\', character]);
            return &rest[character.len_utf8()..];
        }
    };
    out.push_str(class);
    &rest[1..]
}

/// The length of `:alpha:]`, where a POSIX class goes on.
fn posix(rest: &str) -> Option<usize> {
    let end = rest.strip_prefix(':')?.find(":]")? + 1;
    let name = rest[1..end].trim_start_matches('^');
    let letters = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase());
    letters.then_some(end + 2)
}

/// Whether `3}`, `3,}` or `3,5}` follows.
fn repetition(rest: &str) -> Result<bool, String> {
    let Some((counts, _)) = rest.split_once('}') else {
        return Ok(false);
    };
    let (low, high) = counts.split_once(',').unwrap_or((counts, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if low.is_empty() || !digits(low) || !digits(high) {
        return Ok(false);
    }
    let fits = |text: &str| text.is_empty() || text.parse::<u32>().is_ok_and(|n| n <= MAX_REPEAT);
    if fits(low) && fits(high) {
        Ok(true)
    } else {
        Err(format!("invalid repeat count: `{{{counts}}}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn go_expressions_match_as_in_go() {
        let check = |pattern: &str, text: &str, want: bool| {
            let regex = compile(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
            assert_eq!(regex.is_match(text), want, "{pattern} on {text:?}");
        };
        let cron = r"^(\d+|\*)(/\d+)?(\s+(\d+|\*)(/\d+)?){4}$";
        check(cron, "* * * * */5", true);
        check(cron, "* * * *", false);
        check(r"^\d$", "٣", false);
        check(r"^[\w.-]+$", "a-b.c_1", true);
        check(r"^[\w.-]+$", "é", false);
        check(r"^[[]$", "[", true);
        check(r"^[]a]$", "]", true);
        check(r"^[^]a]$", "b", true);
        check(r"^[a&&b]+$", "a&b", true);
        check(r"^[!--]$", "#", true);
        check(r"^[--/]$", ".", true);
        check(r"^[[:alpha:][:digit:]]+$", "a1", true);
        check(r"^a{2}$", "aa", true);
        check(r"^a{,2}$", "a{,2}", true);
        check(r"^\{x}$", "{x}", true);
        check(r"^\Qa.b\E$", "a.b", true);
        check(r"^\Qa.b\E$", "axb", false);
        check(r"^\/\_$", "/_", true);
        check(r"^(?i)abc$", "ABC", true);
        check(r"^(?P<name>a)\b", "a b", true);
        check(r"^\<a\>[\<\>]$", "<a>>", true);
        check(r"\<a\>", "a", false);
        check(r"^\p{Greek}\x{3c0}$", "ππ", true);
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for pattern in ["(", "[a", "a{1001}", r"\", "*", r"(?=a)", r"\1"] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
        let pattern = Pattern::new("(");
        assert!(pattern.matches("x").is_err());
        assert_eq!(Pattern::new("b").matches("abc"), Ok(true));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(pattern in "[\\[\\]\\\\^&~{}0-9,:a-cQEdsw()|*+?.-]{0,24}") {
            let _ = compile(&pattern);
        }
    }
}
