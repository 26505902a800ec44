//! Which controllers run: the list kube-controller-manager's `--controllers` takes, over its names.

use std::collections::BTreeSet;

/// Every controller that may be left out, by upstream's name.
pub(crate) const NAMES: [&str; 9] = [
    EPHEMERAL_VOLUME,
    GARBAGE,
    NAMESPACE,
    NODE_LIFECYCLE,
    VOLUME_BINDER,
    POD_GC,
    ROLE_AGGREGATION,
    ROOT_CA,
    SERVICE_ACCOUNT,
];

pub(crate) const EPHEMERAL_VOLUME: &str = "ephemeral-volume-controller";
pub(crate) const GARBAGE: &str = "garbage-collector-controller";
pub(crate) const NAMESPACE: &str = "namespace-controller";
pub(crate) const NODE_LIFECYCLE: &str = "node-lifecycle-controller";
pub(crate) const POD_GC: &str = "pod-garbage-collector-controller";
pub(crate) const ROLE_AGGREGATION: &str = "clusterrole-aggregation-controller";
pub(crate) const ROOT_CA: &str = "root-ca-certificate-publisher-controller";
/// Also what upstream leaves to its two protection controllers, and the local provisioner.
pub(crate) const VOLUME_BINDER: &str = "persistentvolume-binder-controller";
pub(crate) const SERVICE_ACCOUNT: &str = "serviceaccount-controller";

/// A list names a controller nobody knows.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{name:?} is not in the list of known controllers: {}", NAMES.join(", "))]
pub struct UnknownController {
    name: String,
}

/// The controllers that run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection(BTreeSet<&'static str>);

impl Selection {
    /// All of them.
    pub fn all() -> Self {
        Self(NAMES.into())
    }

    /// `*` stands for all, `foo` for that one, `-foo` takes that one out again; the first word about a controller counts.
    /// A list that names nothing means none.
    pub fn parse(list: &str) -> Result<Self, UnknownController> {
        let words: Vec<&str> = list
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .collect();
        for word in &words {
            let name = word.strip_prefix('-').unwrap_or(word);
            if *word != "*" && !NAMES.contains(&name) {
                return Err(UnknownController { name: name.into() });
            }
        }
        let rest = words.contains(&"*");
        let runs = |name: &&str| {
            words
                .iter()
                .find(|word| word.strip_prefix('-').unwrap_or(word) == *name)
                .map_or(rest, |word| !word.starts_with('-'))
        };
        Ok(Self(NAMES.into_iter().filter(runs).collect()))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(list: &str, expected: &[&'static str]) {
        let selection = Selection::parse(list).expect("known names");
        assert_eq!(selection, Selection(expected.iter().copied().collect()));
    }

    #[test]
    fn lists() {
        check("*", &NAMES);
        check("", &[]);
        check(NAMESPACE, &[NAMESPACE]);
        check(
            "*, -garbage-collector-controller",
            &[
                EPHEMERAL_VOLUME,
                NAMESPACE,
                NODE_LIFECYCLE,
                VOLUME_BINDER,
                POD_GC,
                ROLE_AGGREGATION,
                ROOT_CA,
                SERVICE_ACCOUNT,
            ],
        );
        check("-namespace-controller", &[]);
    }

    #[test]
    fn unknown_names() {
        for list in ["*,-deployment", "-*", "namespace"] {
            let error = Selection::parse(list).expect_err(list);
            assert!(
                error.to_string().contains("known controllers"),
                "{list}: {error}"
            );
        }
    }
}
