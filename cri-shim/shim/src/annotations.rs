//! What the annotations of a pod and of a container say about one container. Pure.

use std::collections::BTreeMap;

/// Where annotations are looked for.
pub(crate) struct Annotations<'a> {
    /// Came with the sandbox.
    pub(crate) pod: &'a BTreeMap<String, String>,
    /// Came with the container.
    pub(crate) container: &'a BTreeMap<String, String>,
    /// The container's name.
    pub(crate) name: &'a str,
}

impl Annotations<'_> {
    /// The word on the container alone, as in `sampan.dev/workload.web`, before the one on all the pod's containers; the
    /// newer, which came with the container, before the one that came with the sandbox.
    pub(crate) fn get(&self, annotation: &str) -> Option<&str> {
        let own = format!("{annotation}.{}", self.name);
        let find = |key: &str| self.container.get(key).or_else(|| self.pod.get(key));
        find(&own).or_else(|| find(annotation)).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(value: &str, keys: &[&str]) -> BTreeMap<String, String> {
        let keys = keys.iter();
        keys.map(|key| (key.to_string(), value.to_string()))
            .collect()
    }

    #[test]
    fn the_closer_and_newer_word_counts() {
        // (the sandbox's keys, the container's) -> whose word counts
        let cases: &[(&[&str], &[&str], Option<&str>)] = &[
            (&[], &[], None),
            (&["a"], &[], Some("pod")),
            (&["a"], &["a"], Some("container")),
            (&["a.web"], &["a"], Some("pod")),
            (&["a.web"], &["a.web"], Some("container")),
            (&["a.db"], &["a.db"], None),
        ];
        for (pod, container, expected) in cases {
            let (pod, container) = (map("pod", pod), map("container", container));
            let annotations = Annotations {
                pod: &pod,
                container: &container,
                name: "web",
            };
            assert_eq!(annotations.get("a"), *expected, "{pod:?} {container:?}");
        }
    }
}
