//! IP addresses and ranges of them.

use std::net::IpAddr;

use crate::status::{Errors, FieldError};

use super::path::Path;

/// An IP address, as strictly as new objects must give it.
pub(super) fn ip(text: &str) -> Vec<String> {
    let why = match text.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) if address.to_ipv4_mapped().is_some() => {
            "must not be an IPv4-mapped IPv6 address"
        }
        Ok(_) => return Vec::new(),
        Err(_) if without_zeros(text).parse::<IpAddr>().is_ok() => "must not have leading 0s",
        Err(_) => "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
    };
    vec![why.to_owned()]
}

/// An IP address in the one form in which it may be a name.
pub(super) fn canonical_ip(text: &str) -> Vec<String> {
    let wrong = ip(text);
    match text.parse::<IpAddr>() {
        Ok(address) if wrong.is_empty() && address.to_string() != text => {
            vec![format!(
                "must be in canonical form ({:?})",
                address.to_string()
            )]
        }
        _ => wrong,
    }
}

/// A range of IP addresses.
pub(super) fn cidr(text: &str) -> Vec<String> {
    let why = match Range::parse(text) {
        Some(range) if mapped(range.address) => "must not have an IPv4-mapped IPv6 address",
        Some(range) if range.first() != range.number() => {
            "must not have bits set beyond the prefix length"
        }
        Some(_) => return Vec::new(),
        None if Range::parse(&without_zeros(text)).is_some() => {
            "must not have leading 0s in IP or prefix length"
        }
        None => "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
    };
    vec![why.to_owned()]
}

/// A range in the one form that is not ambiguous.
pub(super) fn canonical_cidr(text: &str) -> Vec<String> {
    let wrong = cidr(text);
    match Range::parse(text) {
        Some(range) if wrong.is_empty() && range.to_string() != text => {
            vec![format!(
                "must be in canonical form ({:?})",
                range.to_string()
            )]
        }
        _ => wrong,
    }
}

/// Whether clients can be sent there from other machines.
pub(super) fn endpoint(text: &str, path: &Path, out: &mut Errors) {
    let Ok(address) = text.parse::<IpAddr>() else {
        out.push(|| FieldError::invalid(path, text, "must be a valid IP address"));
        return;
    };
    let (link_local, multicast) = match address {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(v6) => (
            v6.is_unicast_link_local(),
            v6.segments()[0] & 0xff0f == 0xff02,
        ),
    };
    let unspecified = format!("may not be unspecified ({text})");
    for (found, why) in [
        (address.is_unspecified(), unspecified.as_str()),
        (
            address.is_loopback(),
            "may not be in the loopback range (127.0.0.0/8, ::1/128)",
        ),
        (
            link_local,
            "may not be in the link-local range (169.254.0.0/16, fe80::/10)",
        ),
        (
            multicast,
            "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)",
        ),
    ] {
        if found {
            out.push(|| FieldError::invalid(path, text, why));
        }
    }
}

fn mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some())
}

/// Numbers without the zeros that make some readers take them for octal.
fn without_zeros(text: &str) -> String {
    if text.contains(':') {
        return text.to_owned();
    }
    let strip = |part: &str| match part.trim_start_matches('0') {
        "" if !part.is_empty() => "0".to_owned(),
        rest => rest.to_owned(),
    };
    let (address, bits) = text.split_once('/').unwrap_or((text, ""));
    let address: Vec<String> = address.split('.').map(strip).collect();
    match bits {
        "" => address.join("."),
        bits => format!("{}/{}", address.join("."), strip(bits)),
    }
}

/// An address and how many of its bits count.
#[derive(Clone, Copy)]
pub(super) struct Range {
    address: IpAddr,
    bits: u32,
}

impl Range {
    pub(super) fn parse(text: &str) -> Option<Range> {
        let (address, bits) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let digits = bits.bytes().all(|byte| byte.is_ascii_digit());
        let padded = bits.len() > 1 && bits.starts_with('0');
        if bits.is_empty() || !digits || padded {
            return None;
        }
        let bits = bits.parse().ok()?;
        (bits <= width(address)).then_some(Range { address, bits })
    }

    pub(super) fn is_ipv4(self) -> bool {
        self.address.is_ipv4()
    }

    /// Whether `other` is a part of this range and not all of it.
    pub(super) fn strictly_contains(self, other: Range) -> bool {
        let masked = Range {
            address: other.address,
            bits: self.bits,
        };
        self.is_ipv4() == other.is_ipv4()
            && self.bits < other.bits
            && masked.first() == self.first()
    }

    fn number(self) -> u128 {
        match self.address {
            IpAddr::V4(v4) => u128::from(v4.to_bits()),
            IpAddr::V6(v6) => v6.to_bits(),
        }
    }

    /// The first address of the range, as a number.
    fn first(self) -> u128 {
        let free = width(self.address) - self.bits;
        let shifted = self.number().checked_shr(free).unwrap_or(0);
        shifted.checked_shl(free).unwrap_or(0)
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}/{}", self.address, self.bits)
    }
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let check = |rule: fn(&str) -> Vec<String>, text: &str, expect: &str| {
            assert_eq!(rule(text).join("; "), expect, "{text}");
        };
        check(ip, "10.0.0.1", "");
        check(ip, "2001:DB8::1", "");
        check(ip, "010.0.0.1", "must not have leading 0s");
        check(
            ip,
            "::ffff:1.2.3.4",
            "must not be an IPv4-mapped IPv6 address",
        );
        let bad = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
        check(ip, "10.0.0", bad);
        check(ip, "", bad);
        check(
            canonical_ip,
            "2001:DB8::1",
            "must be in canonical form (\"2001:db8::1\")",
        );
        check(cidr, "10.0.0.0/8", "");
        check(cidr, "::/0", "");
        check(
            cidr,
            "10.0.0.1/8",
            "must not have bits set beyond the prefix length",
        );
        check(
            cidr,
            "10.0.0.0/08",
            "must not have leading 0s in IP or prefix length",
        );
        let bad = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
        check(cidr, "10.0.0.0/33", bad);
        check(cidr, "10.0.0.0", bad);
        check(
            canonical_cidr,
            "2001:DB8::/64",
            "must be in canonical form (\"2001:db8::/64\")",
        );
    }

    #[test]
    fn ranges() {
        let inside = |outer: &str, inner: &str| {
            let (outer, inner) = (Range::parse(outer), Range::parse(inner));
            outer
                .expect("range")
                .strictly_contains(inner.expect("range"))
        };
        assert!(inside("10.0.0.0/8", "10.1.0.0/16"));
        assert!(!inside("10.0.0.0/8", "10.0.0.0/8"));
        assert!(!inside("10.0.0.0/8", "11.0.0.0/16"));
        assert!(inside("::/0", "2001:db8::/32"));
        assert!(!inside("0.0.0.0/0", "2001:db8::/32"));
    }

    #[test]
    fn endpoints() {
        let check = |text: &str, expect: &str| {
            let mut out = Errors::new();
            endpoint(text, &Path::new("ip"), &mut out);
            let found: Vec<String> = out
                .into_list()
                .iter()
                .map(|error| error.detail.clone())
                .collect();
            assert_eq!(found.join("; "), expect, "{text}");
        };
        check("10.0.0.1", "");
        check("0.0.0.0", "may not be unspecified (0.0.0.0)");
        check(
            "127.0.0.1",
            "may not be in the loopback range (127.0.0.0/8, ::1/128)",
        );
        check(
            "fe80::1",
            "may not be in the link-local range (169.254.0.0/16, fe80::/10)",
        );
        check(
            "224.0.0.1",
            "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)",
        );
    }
}
