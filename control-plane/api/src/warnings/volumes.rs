//! Volumes of kinds that are gone, and keys that end up at one path.

use serde_json::Value;

use super::{COMPARED, Told};
use crate::object::{get, items, part, text};

const GONE: [(&str, &str); 9] = [
    (
        "photonPersistentDisk",
        "deprecated in v1.11, non-functional in v1.16+",
    ),
    (
        "gitRepo",
        "deprecated in v1.11, and disabled by default in v1.33+",
    ),
    ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
];

/// A pod's volumes. `at` is where the pod is, with its dot.
pub(super) fn look(told: &mut Told, at: &str, pod: &Value) {
    for (index, volume) in items(pod, "spec.volumes").iter().enumerate() {
        let path = format!("{at}spec.volumes[{index}]");
        for (field, why) in GONE {
            if get(volume, field).is_some() {
                told.add(format!("{path}.{field}: {why}"));
            }
        }
        let claim = "ephemeral.volumeClaimTemplate.spec";
        super::claim(told, &format!("{path}.{claim}"), part(volume, claim));
    }
    for volume in items(pod, "spec.volumes") {
        overlaps(told, volume);
    }
}

/// What of a text is shown: each may stand in a hundred sentences, and of a sentence no more is sent.
fn shown(text: &str) -> &str {
    &text[..text.floor_char_boundary(256)]
}

/// Where in a volume something is put, and what that is.
#[derive(PartialEq)]
struct Place<'a> {
    path: &'a str,
    source: String,
}

impl Place<'_> {
    fn shown(&self) -> String {
        match self.source.as_str() {
            "" => format!("{:?}", shown(self.path)),
            source => format!("{:?} ({source})", shown(self.path)),
        }
    }

    /// Whether one is the other, or a folder above it.
    fn meets(&self, other: &Place) -> bool {
        let below = |folder: &str, path: &str| {
            path.strip_prefix(folder)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        !self.path.is_empty()
            && !other.path.is_empty()
            && (below(self.path, other.path) || below(other.path, self.path))
    }
}

fn overlaps(told: &mut Told, volume: &Value) {
    let name = shown(text(volume, "name"));
    for (field, kind, named) in [
        ("configMap", "ConfigMap", "name"),
        ("secret", "Secret", "secretName"),
        ("downwardAPI", "DownwardAPI", ""),
    ] {
        let source = part(volume, field);
        let what = match named {
            "" => kind.to_owned(),
            named => format!("{kind} {:?}", shown(text(source, named))),
        };
        let mut seen = Vec::new();
        for item in items(source, "items").iter().take(COMPARED) {
            place(told, &mut seen, name, &what, text(item, "path"), "");
        }
    }
    let mut seen = Vec::new();
    for source in items(volume, "projected.sources") {
        if source.as_object().is_some_and(|source| source.is_empty()) {
            told.add(format!(
                "volume {name:?} (Projected) has no sources provided"
            ));
        }
        projected(told, &mut seen, name, source);
    }
}

fn projected<'a>(told: &mut Told, seen: &mut Vec<Place<'a>>, name: &str, source: &'a Value) {
    let mut put = |path: &'a str, what: &str| place(told, seen, name, "Projected", path, what);
    for (field, kind) in [("configMap", "ConfigMap"), ("secret", "Secret")] {
        let what = format!("{kind} {:?}", shown(text(source, &format!("{field}.name"))));
        let keys = items(part(source, field), "items").iter().take(COMPARED);
        keys.for_each(|item| put(text(item, "path"), &what));
    }
    let keys = items(source, "downwardAPI.items").iter().take(COMPARED);
    keys.for_each(|item| put(text(item, "path"), "DownwardAPI"));
    put(
        text(source, "serviceAccountToken.path"),
        "ServiceAccountToken",
    );
    let bundle = part(source, "clusterTrustBundle");
    let named = [text(bundle, "name"), text(bundle, "signerName")];
    let named = named.into_iter().find(|name| !name.is_empty());
    let what = format!("ClusterTrustBundle {:?}", shown(named.unwrap_or_default()));
    put(text(bundle, "path"), &what);
    for (field, what) in [
        ("certificateChainPath", "PodCertificate chain"),
        ("keyPath", "PodCertificate key"),
        ("credentialBundlePath", "PodCertificate credential bundle"),
    ] {
        put(text(part(source, "podCertificate"), field), what);
    }
}

fn place<'a>(
    told: &mut Told,
    seen: &mut Vec<Place<'a>>,
    name: &str,
    volume: &str,
    path: &'a str,
    source: &str,
) {
    if path.is_empty() || told.is_full() {
        return;
    }
    let new = Place {
        path: path.trim_end_matches('/'),
        source: source.to_owned(),
    };
    for other in seen.iter().filter(|other| new.meets(other)) {
        told.add(format!(
            "volume {name:?} ({volume}): overlapping paths: {} with {}",
            new.shown(),
            other.shown()
        ));
    }
    if seen.len() < COMPARED {
        seen.push(new);
    }
}

#[cfg(test)]
mod tests {
    use super::super::of_new;
    use serde_json::json;

    #[test]
    fn kinds_that_are_gone_and_paths_that_meet() {
        let pod = json!({"spec": {"volumes": [
            {"name": "g", "gitRepo": {"repository": "x"}},
            {"name": "c", "configMap": {"name": "m", "items": [{"key": "a", "path": "p"}, {"key": "b", "path": "p/q"},
                {"key": "c", "path": "pq"}]}},
            {"name": "p", "projected": {"sources": [{"secret": {"name": "s", "items": [{"key": "a", "path": "token"}]}},
                {"serviceAccountToken": {"path": "token"}}, {}]}}]}});
        assert_eq!(
            of_new("pods", &pod),
            [
                "spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+",
                "volume \"c\" (ConfigMap \"m\"): overlapping paths: \"p/q\" with \"p\"",
                "volume \"p\" (Projected): overlapping paths: \"token\" (ServiceAccountToken) with \"token\" (Secret \"s\")",
                "volume \"p\" (Projected) has no sources provided",
            ]
        );
    }
}
