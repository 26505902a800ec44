//! Quantities: `500m`, `2Gi`, `1e3`. Parsing, the canonical form, comparison and sums.
//!
//! A value is a whole number of billionths in an `i128`, capped at the largest `i64` of units. Finer
//! fractions are rounded up, as a request for a little must not become a request for nothing.

mod parse;

use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::str::FromStr;

use serde_json::Value;

pub use parse::ParseQuantityError;

/// Billionths in one.
const NANOS: i128 = 1_000_000_000;
/// Billionths in a thousandth.
const NANOS_PER_MILLI: i128 = 1_000_000;

/// Which suffixes the canonical form uses. It is what the value was written with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Format {
    /// `m`, `k`, `M`, ...
    #[default]
    DecimalSi,
    /// `Ki`, `Mi`, ...
    BinarySi,
    /// `e3`, `e6`, ...
    DecimalExponent,
}

/// An amount of a resource. Equality and order are by value: `1000m` equals `1`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

impl Quantity {
    /// Nothing of it.
    pub const ZERO: Quantity = Quantity {
        nanos: 0,
        format: Format::DecimalSi,
    };

    /// Parses the text of a quantity.
    pub fn parse(text: &str) -> Result<Quantity, ParseQuantityError> {
        parse::quantity(text)
    }

    /// Parses a quantity as JSON carries it: a string, or a plain number.
    pub fn from_value(value: &Value) -> Result<Quantity, ParseQuantityError> {
        match value {
            Value::String(text) => Quantity::parse(text),
            Value::Number(number) => Quantity::parse(&number.to_string()),
            _ => Err(ParseQuantityError::Format),
        }
    }

    /// That many whole units, shown with decimal suffixes.
    pub fn from_units(units: i64) -> Quantity {
        Quantity {
            nanos: i128::from(units) * NANOS,
            format: Format::DecimalSi,
        }
    }

    /// That many bytes, shown with binary suffixes.
    pub fn from_bytes(bytes: i64) -> Quantity {
        Quantity {
            nanos: i128::from(bytes) * NANOS,
            format: Format::BinarySi,
        }
    }

    /// That many thousandths.
    pub fn from_milli(milli: i64) -> Quantity {
        Quantity {
            nanos: i128::from(milli) * NANOS_PER_MILLI,
            format: Format::DecimalSi,
        }
    }

    /// Whole units (bytes, pods), rounded away from zero.
    pub fn units(&self) -> i128 {
        divide_away(self.nanos, NANOS)
    }

    /// Thousandths (CPU), rounded away from zero.
    pub fn milli(&self) -> i128 {
        divide_away(self.nanos, NANOS_PER_MILLI)
    }

    /// Billionths, exactly.
    pub fn nanos(&self) -> i128 {
        self.nanos
    }

    /// The suffixes it is shown with.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        self.nanos == 0
    }

    /// Whether it is below zero.
    pub fn is_negative(&self) -> bool {
        self.nanos < 0
    }

    /// Whether it is a whole number of units.
    pub fn is_whole(&self) -> bool {
        self.nanos % NANOS == 0
    }

    fn combine(self, other: Quantity, nanos: i128) -> Quantity {
        // A sum takes the format of its first operand that says something.
        let format = if self.is_zero() {
            other.format
        } else {
            self.format
        };
        Quantity { nanos, format }
    }

    fn write_decimal(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return out.write_str("0");
        }
        // Strip zeros, then step back to an exponent that has a suffix.
        let (mut amount, mut exponent) = (self.nanos, -9i32);
        while amount % 10 == 0 {
            amount /= 10;
            exponent += 1;
        }
        let target: i32 = match self.format {
            Format::DecimalExponent => exponent.div_euclid(3) * 3,
            _ => (exponent.div_euclid(3) * 3).min(18),
        };
        for _ in target..exponent {
            amount *= 10;
        }
        match (self.format, target) {
            (_, 0) => write!(out, "{amount}"),
            (Format::DecimalExponent, _) => write!(out, "{amount}e{target}"),
            _ => write!(out, "{amount}{}", decimal_suffix(target)),
        }
    }

    fn write_binary(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SUFFIXES: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
        let (mut amount, mut step) = (self.nanos / NANOS, 0);
        while amount % 1024 == 0 && step + 1 < SUFFIXES.len() {
            amount /= 1024;
            step += 1;
        }
        write!(out, "{amount}{}", SUFFIXES[step])
    }
}

/// The canonical form: no fraction, the largest suffix that keeps it whole.
impl fmt::Display for Quantity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Below 1024 in magnitude a binary suffix says nothing, and a fraction has none.
        let binary = self.format == Format::BinarySi
            && self.is_whole()
            && (self.nanos / NANOS).abs() >= 1024;
        if binary {
            self.write_binary(out)
        } else {
            self.write_decimal(out)
        }
    }
}

impl FromStr for Quantity {
    type Err = ParseQuantityError;

    fn from_str(text: &str) -> Result<Quantity, ParseQuantityError> {
        Quantity::parse(text)
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Quantity) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Quantity) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Quantity) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl Add for Quantity {
    type Output = Quantity;

    fn add(self, other: Quantity) -> Quantity {
        self.combine(other, self.nanos.saturating_add(other.nanos))
    }
}

impl Sub for Quantity {
    type Output = Quantity;

    fn sub(self, other: Quantity) -> Quantity {
        self.combine(other, self.nanos.saturating_sub(other.nanos))
    }
}

impl AddAssign for Quantity {
    fn add_assign(&mut self, other: Quantity) {
        *self = *self + other;
    }
}

impl SubAssign for Quantity {
    fn sub_assign(&mut self, other: Quantity) {
        *self = *self - other;
    }
}

/// The canonical text of a quantity in JSON, or why it is none.
pub fn canonical(value: &Value) -> Result<String, ParseQuantityError> {
    Quantity::from_value(value).map(|quantity| quantity.to_string())
}

fn divide_away(value: i128, divisor: i128) -> i128 {
    let whole = value / divisor;
    match value % divisor {
        0 => whole,
        rest => whole + rest.signum(),
    }
}

fn decimal_suffix(exponent: i32) -> &'static str {
    match exponent {
        -9 => "n",
        -6 => "u",
        -3 => "m",
        3 => "k",
        6 => "M",
        9 => "G",
        12 => "T",
        15 => "P",
        18 => "E",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn canonical_forms() {
        let check = |text: &str, expect: &str| {
            let parsed = Quantity::parse(text).expect(text);
            assert_eq!(parsed.to_string(), expect, "{text}");
        };
        check("0", "0");
        check("0Ki", "0");
        check("0.5", "500m");
        check("1000m", "1");
        check("1024Mi", "1Gi");
        check("1536Mi", "1536Mi");
        check("100Ki", "100Ki");
        check("512", "512");
        check("1023Ki", "1023Ki");
        check("0.5Gi", "512Mi");
        check("0.5Ki", "512");
        check("0.25Ki", "256");
        check("0.0001Ki", "102400u");
        check("1.5Gi", "1536Mi");
        check("1e3", "1e3");
        check("1E3", "1e3");
        check("12e4", "120e3");
        check("1E", "1E");
        check("1500k", "1500k");
        check("1000k", "1M");
        check("+7", "7");
        check("-7", "-7");
        check("-0.5", "-500m");
        check(".5", "500m");
        check("5.", "5");
        check("007", "7");
        check("0.1m", "100u");
        check("0.0000000001", "1n");
        check("-0.0000000001", "-1n");
        check("1.0000000001", "1000000001n");
        check("1e-3", "1e-3");
        check("1024", "1024");
        check("7Ei", "7Ei");
        check("9Ei", "9223372036854775807");
        check("100E", "9223372036854775807");
        check("1000000000.0000001T", "9223372036854775807");
        check("99999999999999999999999", "9223372036854775807");
        check("1e999", "9223372036854775807");
        check("1e-99999999999", "1e-9");
    }

    #[test]
    fn refusals() {
        let check = |text: &str, expect: ParseQuantityError| {
            assert_eq!(Quantity::parse(text), Err(expect), "{text}");
        };
        check("", ParseQuantityError::Format);
        check("1.2.3", ParseQuantityError::Format);
        check("1 Gi", ParseQuantityError::Format);
        check("1GiB", ParseQuantityError::Format);
        check("abc", ParseQuantityError::Format);
        check(".", ParseQuantityError::Number);
        check("+", ParseQuantityError::Number);
        check("1gi", ParseQuantityError::Format);
        check("1K", ParseQuantityError::Suffix);
        check("1ki", ParseQuantityError::Suffix);
        check("1mi", ParseQuantityError::Suffix);
        check("1e", ParseQuantityError::Suffix);
        check("1M5", ParseQuantityError::Suffix);
    }

    #[test]
    fn rounding_and_sums() {
        let parse = |text: &str| Quantity::parse(text).expect(text);
        assert_eq!(parse("1m").units(), 1);
        assert_eq!(parse("-1m").units(), -1);
        assert_eq!(parse("1500u").milli(), 2);
        assert_eq!(parse("2Gi").units(), 2 << 30);
        assert_eq!((parse("1Gi") + parse("512Mi")).to_string(), "1536Mi");
        assert_eq!((Quantity::ZERO + parse("1Gi")).to_string(), "1Gi");
        assert_eq!((parse("1") - parse("250m")).to_string(), "750m");
        assert!(parse("1") > parse("999m"));
        assert_eq!(parse("1"), parse("1000m"));
        assert_eq!(Quantity::from_bytes(1 << 30).to_string(), "1Gi");
        assert_eq!(canonical(&serde_json::json!(0.5)).as_deref(), Ok("500m"));
    }

    proptest! {
        #[test]
        fn never_panics(text in "[-+]?[0-9.]{0,30}[a-zA-Z]{0,3}[-+]?[0-9]{0,12}|.*") {
            if let Ok(parsed) = Quantity::parse(&text) {
                let _ = (parsed.units(), parsed.milli(), (parsed + parsed).to_string());
            }
        }

        #[test]
        fn canonical_form_is_a_fixed_point(
            number in "[0-9]{1,12}(\\.[0-9]{0,8})?",
            suffix in "|n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|e3|e-3|E6",
        ) {
            let parsed = Quantity::parse(&format!("{number}{suffix}")).expect("in the grammar");
            let shown = parsed.to_string();
            let again = Quantity::parse(&shown).expect("canonical forms parse");
            prop_assert_eq!(parsed, again);
            prop_assert_eq!(shown, again.to_string());
        }
    }
}
