//! Choosing among the platforms of an image index.

use crate::manifest::Descriptor;

/// The annotation by which builders mark attestations, which are no images.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";

/// The entry to run: one built for Wasm, else one that does not say, else a Linux image (its root
/// filesystem may hold a `.wasm`, the "compat" way), the host's architecture before amd64 before others.
pub(crate) fn choose(entries: &[Descriptor]) -> Option<&Descriptor> {
    // min_by_key keeps the first of equals: the index's own order is the publisher's preference.
    let ranked = entries
        .iter()
        .filter_map(|entry| rank(entry).map(|rank| (rank, entry)));
    ranked.min_by_key(|(rank, _)| *rank).map(|(_, entry)| entry)
}

/// Lower is better; none is never.
fn rank(entry: &Descriptor) -> Option<u8> {
    if entry
        .annotations
        .as_ref()
        .is_some_and(|marks| marks.contains_key(REFERENCE_TYPE))
    {
        return None;
    }
    let Some(platform) = &entry.platform else {
        return Some(1);
    };
    match (platform.os.as_str(), platform.architecture.as_str()) {
        ("wasi" | "wasip1" | "wasip2", _) | (_, "wasm" | "wasm32") => Some(0),
        ("", "") => Some(1),
        ("linux", architecture) if architecture == host_architecture() => Some(2),
        ("linux", "amd64") => Some(3),
        ("linux", _) => Some(4),
        _ => None,
    }
}

/// The host's architecture as image indexes spell it.
fn host_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
