//! What keeps a namespace from going, as its conditions: who waits for it reads them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::NamespaceCondition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// What is still in a namespace.
#[derive(Debug, Default)]
pub(super) struct Remaining {
    /// How many objects of each resource, by `plural.group`.
    pub(super) objects: BTreeMap<String, i64>,
    /// How many objects wait for each finalizer, of those that were looked at.
    pub(super) finalizers: BTreeMap<String, i64>,
    /// Why it is not known what there is.
    pub(super) undiscovered: Option<String>,
    /// For each resource whose objects could not be deleted, why.
    pub(super) undeleted: Vec<String>,
}

impl Remaining {
    /// What went wrong, if anything.
    pub(super) fn failures(&self) -> Option<String> {
        let failures = self.undiscovered.iter().chain(&self.undeleted);
        let failures: Vec<_> = failures.map(String::as_str).collect();
        (!failures.is_empty()).then(|| failures.join(", "))
    }
}

/// Type, and reason and message while nothing of it is in the way; in upstream's order.
const WELL: [(&str, &str, &str); 5] = [
    (
        "NamespaceDeletionDiscoveryFailure",
        "ResourcesDiscovered",
        "All resources successfully discovered",
    ),
    (
        "NamespaceDeletionGroupVersionParsingFailure",
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    (
        "NamespaceDeletionContentFailure",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    (
        "NamespaceContentRemaining",
        "ContentRemoved",
        "All content successfully removed",
    ),
    (
        "NamespaceFinalizersRemaining",
        "ContentHasNoFinalizers",
        "All content-preserving finalizers finished",
    ),
];

/// The namespace's conditions with what remains in it, or nothing when `old` says the same already.
pub(super) fn told(
    remaining: &Remaining,
    old: &[NamespaceCondition],
    now: Timestamp,
) -> Option<Vec<NamespaceCondition>> {
    let mut new = old.to_vec();
    for (kind, reason, message) in WELL {
        let trouble = match kind {
            "NamespaceDeletionDiscoveryFailure" => undiscovered(remaining),
            "NamespaceDeletionContentFailure" => undeleted(remaining),
            "NamespaceContentRemaining" => objects(remaining),
            "NamespaceFinalizersRemaining" => finalizers(remaining),
            _ => None,
        };
        let status = if trouble.is_some() { "True" } else { "False" };
        let (reason, message) = trouble.unwrap_or((reason, message.to_owned()));
        let at = new.iter().position(|condition| condition.type_ == kind);
        let before = at.map(|at| &new[at]);
        let since = before
            .filter(|before| before.status == status)
            .and_then(|before| before.last_transition_time.clone());
        let condition = NamespaceCondition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message),
            last_transition_time: Some(since.unwrap_or(Time(now))),
        };
        match at {
            Some(at) => new[at] = condition,
            None => new.push(condition),
        }
    }
    (new != old).then_some(new)
}

fn undiscovered(remaining: &Remaining) -> Option<(&'static str, String)> {
    let why = remaining.undiscovered.clone()?;
    Some(("DiscoveryFailed", why))
}

fn undeleted(remaining: &Remaining) -> Option<(&'static str, String)> {
    let count = remaining.undeleted.len();
    let list = remaining.undeleted.join(", ");
    let message = format!("Failed to delete all resource types, {count} remaining: {list}");
    (count > 0).then_some(("ContentDeletionFailed", message))
}

fn objects(remaining: &Remaining) -> Option<(&'static str, String)> {
    let list = counted(&remaining.objects, "has")?;
    let message = format!("Some resources are remaining: {list}");
    Some(("SomeResourcesRemain", message))
}

fn finalizers(remaining: &Remaining) -> Option<(&'static str, String)> {
    let list = counted(&remaining.finalizers, "in")?;
    let message = format!("Some content in the namespace has finalizers remaining: {list}");
    Some(("SomeFinalizersRemain", message))
}

fn counted(counts: &BTreeMap<String, i64>, word: &str) -> Option<String> {
    let list: Vec<String> = counts
        .iter()
        .map(|(what, count)| format!("{what} {word} {count} resource instances"))
        .collect();
    (!list.is_empty()).then(|| list.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn what_is_in_the_way_is_told_and_no_word_twice() {
        let mut remaining = Remaining::default();
        remaining.objects.insert("pods.".to_owned(), 2);
        remaining.objects.insert("widgets.ex.com".to_owned(), 1);
        remaining.finalizers.insert("ex.com/f".to_owned(), 1);
        let first = told(&remaining, &[], at(1)).expect("news");
        let said: Vec<_> = first
            .iter()
            .map(|condition| (condition.status.as_str(), condition.reason.as_deref()))
            .collect();
        assert_eq!(
            said,
            [
                ("False", Some("ResourcesDiscovered")),
                ("False", Some("ParsedGroupVersions")),
                ("False", Some("ContentDeleted")),
                ("True", Some("SomeResourcesRemain")),
                ("True", Some("SomeFinalizersRemain")),
            ]
        );
        let messages: Vec<_> = first[3..].iter().flat_map(|c| c.message.clone()).collect();
        assert_eq!(
            messages,
            [
                "Some resources are remaining: pods. has 2 resource instances, widgets.ex.com has 1 resource instances",
                "Some content in the namespace has finalizers remaining: ex.com/f in 1 resource instances",
            ]
        );
        assert_eq!(told(&remaining, &first, at(2)), None);
        remaining.objects.remove("pods.");
        remaining.finalizers.clear();
        let second = told(&remaining, &first, at(3)).expect("news");
        let since: Vec<_> = second
            .iter()
            .flat_map(|c| c.last_transition_time.clone())
            .map(|time| time.0.as_second())
            .collect();
        assert_eq!(since, [1, 1, 1, 1, 3]);
    }
}
