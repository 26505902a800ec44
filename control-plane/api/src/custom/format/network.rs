//! Names and addresses of machines, and of things on them.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::LazyLock;

use regex::Regex;

/// An absolute URI or an absolute path, as HTTP requests carry them.
pub(super) fn uri(text: &str) -> bool {
    if text.is_empty() || text.chars().any(|c| c.is_ascii_control() || c == ' ') {
        return false;
    }
    let (scheme, rest) = match text.split_once(':') {
        Some((scheme, rest)) => (scheme, rest),
        None => return text.starts_with('/') && escapes(text),
    };
    let letters = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    let named = letters
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    (named && !rest.is_empty() || text.starts_with('/')) && escapes(text)
}

/// Whether every percent sign starts an escape.
fn escapes(text: &str) -> bool {
    text.split('%').skip(1).all(|part| {
        let mut digits = part.bytes();
        let mut hex = || digits.next().is_some_and(|byte| byte.is_ascii_hexdigit());
        hex() && hex()
    })
}

/// `local@domain`, or that in angle brackets after a name.
pub(super) fn email(text: &str) -> bool {
    let address = match text.trim().strip_suffix('>') {
        Some(named) => named.rsplit_once('<').map_or("", |(_, address)| address),
        None => text.trim(),
    };
    let Some((local, domain)) = address.rsplit_once('@') else {
        return false;
    };
    let atom = |text: &str| {
        let special = |c: char| c.is_whitespace() || c.is_control() || "()<>[]:;@\\,\"".contains(c);
        !text.is_empty()
            && text
                .split('.')
                .all(|part| !part.is_empty() && !part.contains(special))
    };
    let quoted = local.len() > 2 && local.starts_with('"') && local.ends_with('"');
    let literal = domain.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let domain = match literal {
        Some(address) => address.parse::<IpAddr>().is_ok(),
        None => atom(domain),
    };
    (quoted || atom(local)) && domain
}

/// Leading zeros are allowed, as in upstream's lenient parser.
pub(super) fn ipv4(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let byte = |part: &&str| {
        let digits = part.bytes().all(|byte| byte.is_ascii_digit());
        !part.is_empty() && digits && part.parse::<u32>().is_ok_and(|number| number <= 255)
    };
    parts.len() == 4 && parts.iter().all(byte)
        || text.contains('.') && text.parse::<Ipv6Addr>().is_ok()
}

pub(super) fn cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else {
        return false;
    };
    let max = match address {
        address if ipv4(address) && !address.contains(':') => 32,
        address if address.parse::<Ipv6Addr>().is_ok() => 128,
        _ => return false,
    };
    let digits = !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit());
    digits && bits.parse::<u32>().is_ok_and(|bits| bits <= max)
}

/// 6, 8 or 20 bytes in hexadecimal, in pairs by colons or hyphens, or in fours by dots.
pub(super) fn mac(text: &str) -> bool {
    let hex = |parts: &[&str], digits: usize| {
        parts
            .iter()
            .all(|part| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    [(':', 2), ('-', 2), ('.', 4)]
        .into_iter()
        .any(|(by, digits)| {
            let parts: Vec<&str> = text.split(by).collect();
            matches!(parts.len() * digits / 2, 6 | 8 | 20) && hex(&parts, digits)
        })
}

/// An IPv6 address.
pub(super) fn ipv6(text: &str) -> bool {
    text.contains(':') && text.parse::<Ipv6Addr>().is_ok()
}

/// A host name as upstream has it: letters of all languages and symbols too, a top-level domain of
/// letters, and in a name without dots a hyphen only after its first character.
pub(super) fn hostname(text: &str) -> bool {
    const MAX: usize = 255;
    const LABEL_MAX: usize = 63;
    let labels: Vec<&str> = text.split('.').collect();
    if text.len() > MAX || labels.iter().any(|label| label.len() > LABEL_MAX) {
        return false;
    }
    match labels.as_slice() {
        [single] => {
            let mut rest = single.chars();
            let first = rest.next().is_some_and(is_host_character);
            let rest = rest.as_str();
            first
                && rest
                    .strip_prefix('-')
                    .unwrap_or(rest)
                    .chars()
                    .all(is_host_character)
        }
        [inner @ .., top] => {
            let letters = top.chars().all(is_letter);
            letters && top.chars().count() >= 2 && inner.iter().all(|label| is_label(label))
        }
        [] => false,
    }
}

fn is_label(label: &str) -> bool {
    let ends = [label.chars().next(), label.chars().last()];
    ends.into_iter()
        .all(|end| end.is_some_and(is_host_character))
        && label.chars().all(|c| c == '-' || is_host_character(c))
}

fn is_letter(character: char) -> bool {
    character.is_ascii_alphabetic() || !character.is_ascii() && category(character, true)
}

fn is_host_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || category(character, false)
}

/// Whether it is a letter, or (unless only those count) a symbol, by Unicode's categories.
fn category(character: char, letters: bool) -> bool {
    static LETTER: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\p{L}").ok());
    static SYMBOL: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[\p{L}\p{S}]").ok());
    let regex = if letters { &LETTER } else { &SYMBOL };
    let mut buffer = [0; 4];
    let text = character.encode_utf8(&mut buffer);
    regex.as_ref().is_some_and(|regex| regex.is_match(text))
}

/// A name of Kubernetes without dots.
pub(super) fn short_name(text: &str) -> bool {
    const MAX: usize = 63;
    text.len() <= MAX && is_name(text)
}

/// A name of Kubernetes with dots.
pub(super) fn long_name(text: &str) -> bool {
    const MAX: usize = 253;
    text.len() <= MAX && text.split('.').all(is_name)
}

fn is_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    ends.into_iter()
        .all(|end| end.is_some_and(|byte| inner(*byte)))
        && bytes.iter().all(|byte| *byte == b'-' || inner(*byte))
}
