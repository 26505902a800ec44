//! Identifiers, colours and encodings.

/// The digits of a number people write with hyphens and spaces.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, '-' | ' ')).collect()
}

pub(super) fn isbn10(text: &str) -> bool {
    let digits = plain(text);
    let value = |(at, character): (usize, char)| match character {
        'X' if at == 9 => Some(10),
        character => character.to_digit(10),
    };
    let values: Option<Vec<u32>> = digits.chars().enumerate().map(value).collect();
    values.is_some_and(|values| {
        let weighted = values.iter().zip(1..).map(|(value, weight)| value * weight);
        values.len() == 10 && weighted.sum::<u32>() % 11 == 0
    })
}

pub(super) fn isbn13(text: &str) -> bool {
    let values: Option<Vec<u32>> = plain(text).chars().map(|c| c.to_digit(10)).collect();
    values.is_some_and(|values| {
        let weighted = values.iter().zip([1, 3].into_iter().cycle());
        let sum: u32 = weighted.map(|(value, weight)| value * weight).sum();
        values.len() == 13 && sum.is_multiple_of(10)
    })
}

/// ISBN of either length.
pub(super) fn isbn(text: &str) -> bool {
    isbn10(text) || isbn13(text)
}

/// The digits of a card of a known issuer, whatever stands between them, with the right check digit.
pub(super) fn credit_card(text: &str) -> bool {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let doubled = |value: u32| if value > 4 { value * 2 - 9 } else { value * 2 };
    let values = digits.chars().rev().filter_map(|c| c.to_digit(10));
    let sum: u32 = values
        .enumerate()
        .map(|(at, value)| if at % 2 == 1 { doubled(value) } else { value })
        .sum();
    is_issued(&digits) && sum.is_multiple_of(10)
}

/// Whether an issuer gives out numbers that start so and are that long.
fn is_issued(digits: &str) -> bool {
    let start = |length: usize| digits.get(..length).and_then(|start| start.parse().ok());
    let two: u32 = start(2).unwrap_or(0);
    let three: u32 = start(3).unwrap_or(0);
    let four: u32 = start(4).unwrap_or(0);
    match digits.len() {
        13 => digits.starts_with('4'),
        14 => (300..=305).contains(&three) || matches!(two, 36 | 38),
        15 => matches!(two, 34 | 37) || matches!(four, 2131 | 1800),
        16 => {
            let discover = four == 6011 || two == 65;
            digits.starts_with('4') || (51..=55).contains(&two) || discover || two == 35
        }
        _ => false,
    }
}

/// 24 hexadecimal digits.
pub(super) fn object_id(text: &str) -> bool {
    const LENGTH: usize = 24;
    text.len() == LENGTH && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Base64 of at least one byte.
pub(super) fn base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let padding = text.len() - body.len();
    let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    !body.is_empty() && text.len().is_multiple_of(4) && padding <= 2 && body.bytes().all(alphabet)
}

/// `#fff`, `00FF00`
pub(super) fn hex_color(text: &str) -> bool {
    let digits = text.strip_prefix('#').unwrap_or(text);
    matches!(digits.len(), 3 | 6) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// `rgb(0, 127, 255)`
pub(super) fn rgb_color(text: &str) -> bool {
    let inner = text
        .strip_prefix("rgb(")
        .and_then(|it| it.strip_suffix(')'));
    let blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}');
    let part = |part: &str| {
        let part = part.trim_matches(blank);
        let zero = part.len() > 1 && part.starts_with('0');
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        digits && !zero && part.parse::<u32>().is_ok_and(|number| number <= 255)
    };
    inner.is_some_and(|inner| inner.split(',').count() == 3 && inner.split(',').all(part))
}

/// Three, two and four digits, with a hyphen, a space or nothing in between.
pub(super) fn social_security(text: &str) -> bool {
    let mut rest = text;
    let parts = [3, 2, 4].into_iter().enumerate();
    let whole = parts.into_iter().all(|(at, length)| {
        if at > 0 {
            rest = rest.strip_prefix(['-', ' ']).unwrap_or(rest);
        }
        take(&mut rest, length, u8::is_ascii_digit).is_some()
    });
    whole && rest.is_empty()
}

/// Cuts so many bytes off the front, if all are right.
fn take<'t>(rest: &mut &'t str, length: usize, right: fn(&u8) -> bool) -> Option<&'t str> {
    let head = rest.get(..length)?;
    *rest = &rest[length..];
    head.as_bytes().iter().all(right).then_some(head)
}

pub(super) fn uuid(text: &str) -> bool {
    is_uuid(text, None)
}

pub(super) fn uuid3(text: &str) -> bool {
    is_uuid(text, Some("3"))
}

pub(super) fn uuid4(text: &str) -> bool {
    is_uuid(text, Some("4"))
}

pub(super) fn uuid5(text: &str) -> bool {
    is_uuid(text, Some("5"))
}

/// Groups of 8, 4, 4, 4 and 12 hexadecimal digits; the hyphens between them may be missing.
fn is_uuid(text: &str, version: Option<&str>) -> bool {
    let mut rest = text;
    let mut groups = [""; 5];
    for (at, length) in [8, 4, 4, 4, 12].into_iter().enumerate() {
        if at > 0 {
            rest = rest.strip_prefix('-').unwrap_or(rest);
        }
        match take(&mut rest, length, u8::is_ascii_hexdigit) {
            Some(group) => groups[at] = group,
            None => return false,
        }
    }
    let of_version = version.is_none_or(|version| groups[2].starts_with(version));
    // Versions 4 and 5 are checked for their variant too.
    let checked = matches!(version, Some("4" | "5"));
    let variant = groups[3].starts_with(['8', '9', 'a', 'b', 'A', 'B']);
    rest.is_empty() && of_version && (variant || !checked)
}
