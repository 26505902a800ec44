//! Interfaces beyond WASI proper: what the pod's annotations say about them, for the runtime, and the
//! ConfigMaps that settings come from.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod};
use sampan_proto::{CONFIG_MAPS, WASI_CONFIG, WASI_PREFIX};

use super::env::EnvError;
use super::objects::{Content, ObjectKind, Objects};
use crate::limits::CONFIG_BYTES_MAX;

/// ConfigMaps one container may take settings from.
const MAX_CONFIG_MAPS: usize = 16;

/// The annotations of a container: the pod's as they are now, and the ConfigMaps they name.
pub(crate) async fn host_annotations(
    pod: &Pod,
    container: &Container,
    objects: &Objects,
) -> Result<BTreeMap<String, String>, EnvError> {
    let mut annotations = passed_on(pod);
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let mut maps = BTreeMap::new();
    let mut bytes = 0;
    for name in config_maps(&annotations, &container.name) {
        if maps.contains_key(&name) {
            continue;
        }
        // Before they are asked for: there may be as many as fit into annotations.
        if maps.len() == MAX_CONFIG_MAPS {
            return Err(EnvError::ConfigTooLarge);
        }
        let content = objects
            .content(ObjectKind::ConfigMap, namespace, &name)
            .await?;
        let content = content.ok_or_else(|| EnvError::Missing {
            kind: ObjectKind::ConfigMap.word(),
            name: name.clone(),
        })?;
        let texts = texts(&content);
        bytes += texts
            .iter()
            .map(|(key, text)| key.len() + text.len())
            .sum::<usize>();
        maps.insert(name, texts);
    }
    if bytes > CONFIG_BYTES_MAX {
        return Err(EnvError::ConfigTooLarge);
    }
    if !maps.is_empty()
        && let Ok(text) = serde_json::to_string(&maps)
    {
        annotations.insert(CONFIG_MAPS.to_owned(), text);
    }
    Ok(annotations)
}

fn passed_on(pod: &Pod) -> BTreeMap<String, String> {
    let annotations = pod.metadata.annotations.iter().flatten();
    annotations
        .filter(|(key, _)| key.starts_with(WASI_PREFIX))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// The ConfigMaps a container's settings come from. What else is in the list is the runtime's to judge.
fn config_maps(annotations: &BTreeMap<String, String>, container: &str) -> Vec<String> {
    let own = format!("{WASI_CONFIG}.{container}");
    let list = annotations.get(&own).or(annotations.get(WASI_CONFIG));
    let parts = list.into_iter().flat_map(|list| list.split(','));
    let names = parts.filter_map(|part| part.trim().strip_prefix("configmap/"));
    names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Settings are text; what is none is left out.
fn texts(content: &Content) -> BTreeMap<String, String> {
    let texts = content.iter().filter_map(|(key, bytes)| {
        let text = std::str::from_utf8(bytes).ok()?;
        Some((key.clone(), text.to_owned()))
    });
    texts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_containers_own_list_counts_more() {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"annotations": {
            "sampan.dev/wasi-config": "env, configmap/a,configmap/b",
            "sampan.dev/wasi-config.own": "configmap/c,nonsense,configmap/",
            "sampan.dev/wasi-logging": "true", "other": "x"}}}))
        .unwrap();
        let annotations = passed_on(&pod);
        assert_eq!(annotations.len(), 3);
        assert_eq!(config_maps(&annotations, "any"), ["a", "b"]);
        assert_eq!(config_maps(&annotations, "own"), ["c"]);
        assert!(config_maps(&BTreeMap::new(), "any").is_empty());
    }

    #[test]
    fn what_is_no_text_is_left_out() {
        let content = [
            ("t".to_owned(), b"x".to_vec()),
            ("b".to_owned(), vec![0xff]),
        ];
        let texts = texts(&content.into());
        assert_eq!(
            texts.into_iter().collect::<Vec<_>>(),
            [("t".to_owned(), "x".to_owned())]
        );
    }
}
