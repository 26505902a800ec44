//! Reads manifests: YAML or JSON files, several documents in each, and folders of them.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use kube::core::DynamicObject;
use serde_json::Value;

/// The largest manifest file that is read.
const MAX_FILE_BYTES: u64 = 8 * 1024 * 1024;

/// One object of a manifest, and where it came from.
#[derive(Debug)]
pub(crate) struct Manifest {
    pub(crate) object: DynamicObject,
    pub(crate) file: PathBuf,
}

/// Everything that PATH holds: a file as it is, a folder's `.yaml`, `.yml` and `.json` files in the order of their names.
pub(crate) fn load(path: &Path) -> anyhow::Result<Vec<Manifest>> {
    let mut manifests = Vec::new();
    for file in files(path)? {
        for value in documents(&file)? {
            flatten(value, &file, &mut manifests)?;
        }
    }
    if manifests.is_empty() {
        bail!(
            "{} holds no manifest (.yaml, .yml or .json)",
            path.display()
        );
    }
    Ok(manifests)
}

fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let metadata =
        std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    if !metadata.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut files = Vec::new();
    let entries =
        std::fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
    for entry in entries {
        let file = entry
            .with_context(|| format!("cannot read {}", path.display()))?
            .path();
        let extension = file.extension().and_then(|extension| extension.to_str());
        if matches!(extension, Some("yaml" | "yml" | "json")) && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn documents(file: &Path) -> anyhow::Result<Vec<Value>> {
    let name = file.display();
    let length = std::fs::metadata(file)
        .with_context(|| format!("cannot read {name}"))?
        .len();
    if length > MAX_FILE_BYTES {
        bail!("{name} has {length} bytes; a manifest may have {MAX_FILE_BYTES}");
    }
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {name}"))?;
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(&text).with_context(|| format!("{name} is not valid YAML"))?;
    Ok(documents
        .into_iter()
        .filter(|value| !value.is_null())
        .collect())
}

/// A `List` stands for its items.
fn flatten(value: Value, file: &Path, into: &mut Vec<Manifest>) -> anyhow::Result<()> {
    let is_list = value.get("kind").and_then(Value::as_str) == Some("List");
    if let (true, Some(Value::Array(items))) = (is_list, value.get("items")) {
        for item in items.clone() {
            flatten(item, file, into)?;
        }
        return Ok(());
    }
    for field in ["apiVersion", "kind"] {
        if value.get(field).and_then(Value::as_str).is_none() {
            bail!("{}: an object has no {field}", file.display());
        }
    }
    let object = serde_json::from_value(value)
        .with_context(|| format!("{}: not a Kubernetes object", file.display()))?;
    into.push(Manifest {
        object,
        file: file.to_path_buf(),
    });
    Ok(())
}

/// The images that the manifests' pods and pod templates name.
pub(crate) fn images(manifests: &[Manifest]) -> Vec<(PathBuf, String)> {
    let mut images = Vec::new();
    for manifest in manifests {
        collect_images(&manifest.object.data, &manifest.file, &mut images);
    }
    images.sort();
    images.dedup();
    images
}

fn collect_images(value: &Value, file: &Path, into: &mut Vec<(PathBuf, String)>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let containers = key == "containers" || key == "initContainers";
                if let (true, Value::Array(items)) = (containers, value) {
                    let named = items.iter().filter_map(|item| item.get("image")?.as_str());
                    into.extend(named.map(|image| (file.to_path_buf(), image.to_string())));
                }
                collect_images(value, file, into);
            }
        }
        Value::Array(items) => {
            for item in items {
                collect_images(item, file, into);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, text).expect("write");
        path
    }

    #[test]
    fn folders_documents_and_lists() {
        let dir = tempfile::tempdir().expect("temp dir");
        write(
            dir.path(),
            "b.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n---\n",
        );
        write(
            dir.path(),
            "a.json",
            r#"{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Pod",
               "metadata":{"name":"a"},"spec":{"containers":[{"name":"c","image":"x.wasm"}]}}]}"#,
        );
        write(dir.path(), "notes.txt", "not a manifest");
        let manifests = load(dir.path()).expect("loads");
        let names: Vec<_> = manifests
            .iter()
            .map(|m| m.object.metadata.name.clone())
            .collect();
        assert_eq!(names, [Some("a".to_string()), Some("b".to_string())]);
        assert_eq!(
            images(&manifests),
            [(dir.path().join("a.json"), "x.wasm".to_string())]
        );
    }

    #[test]
    fn errors_name_the_file() {
        let dir = tempfile::tempdir().expect("temp dir");
        let check = |name: &str, text: &str, expected: &str| {
            let error = format!(
                "{:#}",
                load(&write(dir.path(), name, text)).expect_err(name)
            );
            assert!(error.contains(name) && error.contains(expected), "{error}");
        };
        check("a.yaml", "kind: [", "not valid YAML");
        check("b.yaml", "kind: Pod", "no apiVersion");
        check("c.yaml", "", "no manifest");
    }
}
