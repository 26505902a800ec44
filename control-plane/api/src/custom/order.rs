//! The order of versions: `v2` before `v1` before `v1beta1` before `v1alpha2`, then everything else.

use std::cmp::Ordering;

/// How preferred a version is: greater is more.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// 2 stable, 1 beta, 0 alpha.
    maturity: u8,
    major: u64,
    minor: u64,
}

/// Compares versions by preference: what is preferred is less, so that sorting puts it first.
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    match (rank(a), rank(b)) {
        (Some(a), Some(b)) => b.cmp(&a),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

fn rank(version: &str) -> Option<Rank> {
    let rest = version.strip_prefix('v')?;
    let digits = |text: &str| -> Option<u64> {
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| plain)
    };
    for (maturity, name) in [(1, "beta"), (0, "alpha")] {
        if let Some((major, minor)) = rest.split_once(name) {
            return Some(Rank {
                maturity,
                major: digits(major)?,
                minor: digits(minor)?,
            });
        }
    }
    Some(Rank {
        maturity: 2,
        major: digits(rest)?,
        minor: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferred_versions_come_first() {
        let want = [
            "v10",
            "v2",
            "v1",
            "v11beta2",
            "v10beta3",
            "v3beta1",
            "v12alpha1",
            "v11alpha2",
            "foo1",
            "foo10",
        ];
        let mut sorted = want;
        sorted.reverse();
        sorted.sort_by(|a, b| compare_versions(a, b));
        assert_eq!(sorted, want);
    }
}
