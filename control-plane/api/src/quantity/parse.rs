//! The grammar of quantities: `<sign><digits>[.<digits>]<suffix>`.

use super::{Format, NANOS, Quantity};

/// Why a text is not a quantity, in upstream's words (clients show them).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ParseQuantityError {
    /// It does not look like one at all.
    #[error(
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    )]
    Format,
    /// There is no number in it.
    #[error("unable to parse numeric part of quantity")]
    Number,
    /// The suffix is none of the known ones.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

/// More integer digits than this exceed every representable value, suffix or not.
const MAX_DIGITS: usize = 60;

pub(super) fn quantity(text: &str) -> Result<Quantity, ParseQuantityError> {
    let (negative, rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        Some(_) => (false, text),
        None => return Err(ParseQuantityError::Format),
    };
    let (whole, rest) = split_digits(rest);
    let (fraction, suffix) = match rest.strip_prefix('.') {
        Some(rest) => split_digits(rest),
        None => ("", rest),
    };
    check_suffix_shape(suffix)?;
    if whole.is_empty() && fraction.is_empty() {
        let error = if suffix.is_empty() {
            ParseQuantityError::Number
        } else {
            ParseQuantityError::Format
        };
        return Err(error);
    }
    let scale = scale(suffix)?;
    let nanos = nanos(whole.trim_start_matches('0'), fraction, scale);
    let mut format = scale.format;
    // A binary fraction below one has no binary form.
    if format == Format::BinarySi && nanos < NANOS {
        format = Format::DecimalSi;
    }
    Ok(Quantity {
        nanos: if negative { -nanos } else { nanos },
        format,
    })
}

/// What a suffix multiplies by: `base ^ exponent`.
#[derive(Clone, Copy)]
struct Scale {
    format: Format,
    exponent: i32,
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text
        .bytes()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

/// Letters of the suffix alphabet, then at most one sign, then digits.
fn check_suffix_shape(suffix: &str) -> Result<(), ParseQuantityError> {
    let rest = suffix.trim_start_matches(|c| "eEinumkKMGTP".contains(c));
    let rest = rest.strip_prefix(['+', '-']).unwrap_or(rest);
    if rest.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(())
    } else {
        Err(ParseQuantityError::Format)
    }
}

fn scale(suffix: &str) -> Result<Scale, ParseQuantityError> {
    let decimal = |exponent| {
        Ok(Scale {
            format: Format::DecimalSi,
            exponent,
        })
    };
    let binary = |exponent| {
        Ok(Scale {
            format: Format::BinarySi,
            exponent,
        })
    };
    match suffix {
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "" => decimal(0),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(10),
        "Mi" => binary(20),
        "Gi" => binary(30),
        "Ti" => binary(40),
        "Pi" => binary(50),
        "Ei" => binary(60),
        _ => {
            let exponent = suffix
                .strip_prefix(['e', 'E'])
                .and_then(|text| text.parse::<i64>().ok())
                .ok_or(ParseQuantityError::Suffix)?;
            // Beyond a thousand every value is at its cap or its floor already.
            let exponent = i32::try_from(exponent.clamp(-1000, 1000)).unwrap_or(0);
            Ok(Scale {
                format: Format::DecimalExponent,
                exponent,
            })
        }
    }
}

/// The magnitude in billionths, rounded up and capped at the largest `i64` of units.
fn nanos(whole: &str, fraction: &str, scale: Scale) -> i128 {
    exact(whole, fraction, scale)
        .unwrap_or(i128::MAX)
        .min(i128::from(i64::MAX) * NANOS)
}

/// The magnitude, unless it is beyond everything.
fn exact(whole: &str, fraction: &str, scale: Scale) -> Option<i128> {
    if whole.is_empty() && fraction.bytes().all(|byte| byte == b'0') {
        return Some(0);
    }
    if whole.len() > MAX_DIGITS {
        return None;
    }
    let (factor, shift) = match scale.format {
        Format::BinarySi => (1i128 << scale.exponent, 9),
        _ => (1, i64::from(scale.exponent) + 9),
    };
    // Digits left of the point once it has moved by `shift`; what is right of it rounds up.
    let keep = usize::try_from(whole.len() as i64 + shift).unwrap_or(0);
    let mut digits = whole
        .bytes()
        .chain(fraction.bytes())
        .map(|byte| byte - b'0');
    let mut value: i128 = 0;
    for _ in 0..keep {
        let digit = digits.next().unwrap_or(0);
        value = value.checked_mul(10)?.checked_add(i128::from(digit))?;
    }
    if factor == 1 {
        let rest = digits.any(|digit| digit != 0);
        return value.checked_add(i128::from(rest));
    }
    binary(value, fraction, factor)
}

/// `value` billionths times a power of two, with the fraction's digits beyond the ninth.
fn binary(value: i128, fraction: &str, factor: i128) -> Option<i128> {
    let mut total = value.checked_mul(factor)?;
    // The tenth digit and later ones still count once they are multiplied by a power of two; after
    // thirty digits even 2^60 of them stay below one billionth, so they only round up.
    let late = fraction.as_bytes().get(9..).unwrap_or(&[]);
    let mut tail: i128 = 0;
    let mut unit: i128 = 1;
    for byte in late.iter().take(18) {
        tail = tail * 10 + i128::from(byte - b'0');
        unit *= 10;
    }
    let scaled = tail.checked_mul(factor)?;
    total = total.checked_add(scaled / unit)?;
    let inexact = scaled % unit != 0 || late.iter().skip(18).any(|byte| *byte != b'0');
    total.checked_add(i128::from(inexact))
}
