//! Which keys of a ConfigMap or Secret become which files of a volume.

use k8s_openapi::api::core::v1::KeyToPath;

use super::objects::{Content, ObjectKind};
use super::volumes::VolumeError;

/// A file that shows a key.
#[derive(Debug)]
pub(super) struct Selected<'a> {
    pub(super) path: &'a str,
    pub(super) data: &'a [u8],
    pub(super) mode: u32,
}

/// The files of an object: all keys, or the items asked for.
pub(super) fn select<'a>(
    content: &'a Content,
    items: Option<&'a [KeyToPath]>,
    optional: bool,
    default_mode: i32,
    kind: ObjectKind,
) -> Result<Vec<Selected<'a>>, VolumeError> {
    let Some(items) = items.filter(|items| !items.is_empty()) else {
        let all = content.iter().map(|(path, data)| Selected {
            path,
            data,
            mode: mode(default_mode),
        });
        return Ok(all.collect());
    };
    let mut files = Vec::new();
    for item in items {
        match content.get(&item.key) {
            Some(data) => files.push(Selected {
                path: &item.path,
                data,
                mode: mode(item.mode.unwrap_or(default_mode)),
            }),
            None if optional => {}
            None => {
                let kind = if kind == ObjectKind::ConfigMap {
                    "config"
                } else {
                    "secret"
                };
                return Err(VolumeError::NoKey {
                    kind,
                    key: item.key.clone(),
                });
            }
        }
    }
    Ok(files)
}

/// Only permission bits; the node itself must stay able to read what it wrote.
pub(super) fn mode(mode: i32) -> u32 {
    u32::try_from(mode).unwrap_or(0) & 0o777 | 0o400
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_select_keys() {
        let content = Content::from([
            ("a".to_owned(), b"1".to_vec()),
            ("b".to_owned(), b"2".to_vec()),
        ]);
        let item = |key: &str, path: &str, mode: Option<i32>| KeyToPath {
            key: key.into(),
            path: path.into(),
            mode,
        };
        let paths = |files: Vec<Selected<'_>>| -> Vec<(String, u32)> {
            files
                .into_iter()
                .map(|file| (file.path.to_owned(), file.mode))
                .collect()
        };
        let map = ObjectKind::ConfigMap;
        let all = select(&content, None, false, 0o644, map).unwrap();
        assert_eq!(paths(all), [("a".into(), 0o644), ("b".into(), 0o644)]);
        let items = [item("b", "x/y", Some(0o600)), item("b", "z", None)];
        let some = select(&content, Some(&items), false, 0o644, map).unwrap();
        assert_eq!(paths(some), [("x/y".into(), 0o600), ("z".into(), 0o644)]);
        let missing = [item("c", "c", None)];
        let error = select(&content, Some(&missing), false, 0o644, map).unwrap_err();
        assert_eq!(error.to_string(), "references non-existent config key: c");
        assert!(
            select(&content, Some(&missing), true, 0o644, map)
                .unwrap()
                .is_empty()
        );
    }
}
