//! Names of field managers.

use serde_json::Value;

use crate::object;
use crate::status::FieldError;

/// Most bytes of a name.
const MAX_NAME: usize = 128;
/// Most bytes of the name of a subresource.
const MAX_SUBRESOURCE: usize = 256;

/// The manager a client is when it names none: what its User-Agent says before the first slash.
pub fn from_user_agent(agent: &str) -> String {
    let mut name = String::new();
    let product = agent.split('/').next().unwrap_or("");
    for character in product.chars().filter(|one| is_print(*one)) {
        if name.len() + character.len_utf8() > MAX_NAME {
            break;
        }
        name.push(character);
    }
    name
}

/// What is wrong with a name that a client gives itself, or somebody else.
pub fn validate_manager(name: &str, field: &str, out: &mut Vec<FieldError>) {
    if name.len() > MAX_NAME {
        out.push(FieldError::too_long(field, MAX_NAME));
    }
    // One is enough to know what is wrong.
    if let Some((at, character)) = name.char_indices().find(|(_, one)| !is_print(*one)) {
        let code = u32::from(character);
        let why = format!("invalid character U+{code:04X} (at position {at})");
        out.push(FieldError::invalid(field, name, why));
    }
}

/// What is wrong with the managers of an object. What else could be has been seen to when they
/// were read.
pub(crate) fn validate(value: &Value, out: &mut Vec<FieldError>) {
    for (at, entry) in object::items(value, "metadata.managedFields")
        .iter()
        .enumerate()
    {
        let field = |name: &str| format!("metadata.managedFields[{at}].{name}");
        validate_manager(object::text(entry, "manager"), &field("manager"), out);
        if object::text(entry, "subresource").len() > MAX_SUBRESOURCE {
            out.push(FieldError::too_long(field("subresource"), MAX_SUBRESOURCE));
        }
    }
}

/// What Go calls printable: letters, marks, numbers, punctuation, symbols, and the space.
fn is_print(character: char) -> bool {
    match character {
        '\\' | '"' | '\'' => true,
        // Escaping changes exactly the rest; behind a letter it leaves marks alone.
        _ => format!("a{character}").escape_debug().count() == 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_user_agents() {
        let check = |agent: &str, name: &str| assert_eq!(from_user_agent(agent), name, "{agent:?}");
        check("kubectl/v1.36.0 (linux/amd64) kubernetes/abc", "kubectl");
        check("Mozilla/5.0", "Mozilla");
        check("kube-rs", "kube-rs");
        check("a b\tc\u{200b}é\u{301}/1", "a bcé\u{301}");
        check("", "");
        check(&"x".repeat(300), &"x".repeat(128));
        check(&"é".repeat(100), &"é".repeat(64));
    }

    #[test]
    fn names_are_checked() {
        let check = |name: &str, errors: &[&str]| {
            let mut out = Vec::new();
            validate_manager(name, "fieldManager", &mut out);
            let out: Vec<String> = out.iter().map(ToString::to_string).collect();
            assert_eq!(out, errors);
        };
        check("", &[]);
        check("my \"manager\" \\ é", &[]);
        check(
            &"x".repeat(129),
            &["fieldManager: Too long: may not be more than 128 bytes"],
        );
        check(
            "ab\n",
            &["fieldManager: Invalid value: \"ab\\n\": invalid character U+000A (at position 2)"],
        );
    }
}
