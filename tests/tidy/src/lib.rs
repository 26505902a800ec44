//! Checks of the tree itself: the arrows between crates, the size of files, the folders' READMEs. Tests only.

#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// What each crate may use of ours, as README.md draws it. The root package and the benches may use everything.
const ARROWS: [(&str, &[&str]); 13] = [
    ("sampan-api", &[]),
    ("sampan-store", &[]),
    ("sampan-backup", &["sampan-store"]),
    ("sampan-server", &["sampan-api", "sampan-store"]),
    ("sampan-scheduler", &["sampan-api"]),
    ("sampan-controllers", &["sampan-api"]),
    ("sampan-engine", &[]),
    ("sampan-image", &[]),
    ("sampan-net", &[]),
    ("sampan-keyvalue", &[]),
    (
        "sampan-agent",
        &["sampan-api", "sampan-proto", "sampan-net"],
    ),
    ("sampan-proto", &[]),
    (
        "sampan-shim",
        &[
            "sampan-proto",
            "sampan-engine",
            "sampan-image",
            "sampan-net",
            "sampan-keyvalue",
        ],
    ),
];

/// Crates that speak of Kubernetes, and those of ours that must not pull them in, at any depth.
const KUBERNETES: [&str; 3] = ["kube", "kube-core", "k8s-openapi"];
const KUBERNETES_FREE: [&str; 8] = [
    "sampan-store",
    "sampan-backup",
    "sampan-engine",
    "sampan-image",
    "sampan-net",
    "sampan-keyvalue",
    "sampan-proto",
    "sampan-shim",
];

/// Where a reader should ask why a file is so long.
const MAX_LINES: usize = 500;

fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    tests
        .and_then(Path::parent)
        .expect("tests/tidy lies two folders deep")
        .to_path_buf()
}

fn metadata() -> Metadata {
    let manifest = root().join("Cargo.toml");
    MetadataCommand::new()
        .manifest_path(manifest)
        .exec()
        .expect("cargo metadata")
}

fn ours(metadata: &Metadata) -> BTreeMap<String, BTreeSet<String>> {
    let members = metadata.workspace_packages();
    let names: BTreeSet<String> = members
        .iter()
        .map(|package| package.name.to_string())
        .collect();
    let uses = |package: &cargo_metadata::Package| {
        let normal = package
            .dependencies
            .iter()
            .filter(|d| d.kind == DependencyKind::Normal);
        normal
            .map(|d| d.name.clone())
            .filter(|name| names.contains(name))
            .collect()
    };
    members
        .iter()
        .map(|package| (package.name.to_string(), uses(package)))
        .collect()
}

#[test]
fn arrows_point_one_way() {
    let actual = ours(&metadata());
    for (name, allowed) in ARROWS {
        let uses = actual
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not in the workspace"));
        let allowed: BTreeSet<String> = allowed.iter().map(|name| name.to_string()).collect();
        let forbidden: Vec<_> = uses.difference(&allowed).collect();
        assert!(forbidden.is_empty(), "{name} must not use {forbidden:?}");
    }
    for name in actual.keys() {
        let known = ARROWS.iter().any(|(known, _)| known == name);
        let free = ["sampan", "sampan-bench", "sampan-tidy"].contains(&name.as_str());
        assert!(known || free, "{name} has no arrows: add it to ARROWS");
    }
}

#[test]
fn the_runtime_knows_no_kubernetes() {
    let metadata = metadata();
    let resolve = metadata.resolve.as_ref().expect("a resolved graph");
    let name_of: BTreeMap<_, _> = metadata
        .packages
        .iter()
        .map(|package| (&package.id, package.name.to_string()))
        .collect();
    for start in KUBERNETES_FREE {
        let mut seen = BTreeSet::new();
        let mut todo: Vec<_> = name_of
            .iter()
            .filter(|(_, name)| *name == start)
            .map(|(id, _)| *id)
            .collect();
        while let Some(id) = todo.pop() {
            if !seen.insert(id) {
                continue;
            }
            let node = resolve
                .nodes
                .iter()
                .find(|node| &node.id == id)
                .expect("every package is resolved");
            let normal = |dep: &&cargo_metadata::NodeDep| {
                dep.dep_kinds
                    .iter()
                    .any(|kind| kind.kind == DependencyKind::Normal)
            };
            todo.extend(node.deps.iter().filter(normal).map(|dep| &dep.pkg));
        }
        let leaked: Vec<_> = seen
            .iter()
            .map(|id| &name_of[id])
            .filter(|name| KUBERNETES.contains(&name.as_str()))
            .collect();
        assert!(leaked.is_empty(), "{start} pulls in {leaked:?}");
    }
}

#[test]
fn every_crate_inherits_the_lints() {
    for package in metadata().workspace_packages() {
        let manifest = std::fs::read_to_string(&package.manifest_path).expect("manifest");
        // Two have tables of their own, because Cargo cannot mix them: they deny unsafe code where the others forbid it.
        let ok = match package.name.as_str() {
            "sampan" | "sampan-engine" => manifest.contains("\nunsafe_code = \"deny\"\n"),
            _ => manifest.contains("[lints]\nworkspace = true"),
        };
        assert!(
            ok,
            "{} does not inherit the workspace's lints",
            package.name
        );
    }
}

#[test]
fn every_folder_says_what_it_is() {
    for package in metadata().workspace_packages() {
        let folder = package
            .manifest_path
            .parent()
            .expect("a manifest lies in a folder");
        assert!(
            folder.join("README.md").exists(),
            "{folder} has no README.md"
        );
    }
}

#[test]
fn files_stay_small() {
    let mut long = Vec::new();
    let mut todo: Vec<PathBuf> = ["src", "control-plane", "runtime", "cri-shim", "tests"]
        .iter()
        .map(|folder| root().join(folder))
        .collect();
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).expect("readable folder");
            todo.extend(entries.map(|entry| entry.expect("readable entry").path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let lines = std::fs::read_to_string(&path)
                .expect("readable file")
                .lines()
                .count();
            if lines > MAX_LINES {
                long.push(format!("{} ({lines})", path.display()));
            }
        }
    }
    assert!(long.is_empty(), "files over {MAX_LINES} lines: {long:#?}");
}
