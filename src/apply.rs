//! Applies manifests the way `kubectl apply` does, so that kubectl can take over: the applied state is kept in the
//! `last-applied-configuration` annotation, and what vanished from the manifest is removed from the object.

use anyhow::{Context, anyhow};
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{self, Scope};
use serde_json::{Map, Value, json};

use crate::manifests::Manifest;

/// kubectl's own annotation.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// How often an object that changes or vanishes under us is looked at again.
const ATTEMPTS: usize = 5;

/// What applying did to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Created,
    Configured,
    Unchanged,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Change::Created => "created",
            Change::Configured => "configured",
            Change::Unchanged => "unchanged",
        })
    }
}

/// An applied object as the server has it.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) kind: String,
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
    pub(crate) change: Change,
}

/// Applies one object.
pub(crate) async fn apply(client: &kube::Client, manifest: &Manifest) -> anyhow::Result<Applied> {
    let types = manifest
        .object
        .types
        .as_ref()
        .ok_or_else(|| anyhow!("an object has no kind"))?;
    let name = manifest.object.metadata.name.clone().ok_or_else(|| {
        anyhow!(
            "{}: a {} has no metadata.name",
            manifest.file.display(),
            types.kind
        )
    })?;
    let context = || format!("{}: {} {name}", manifest.file.display(), types.kind);
    let gvk = GroupVersionKind::try_from(types).with_context(context)?;
    let (resource, capabilities) = discovery::pinned_kind(client, &gvk)
        .await
        .with_context(|| format!("{}: the cluster does not serve {gvk:?}", context()))?;

    let mut object = manifest.object.clone();
    let api: Api<DynamicObject> = match capabilities.scope {
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Namespaced => {
            let namespace = object
                .metadata
                .namespace
                .get_or_insert_with(|| "default".to_string())
                .clone();
            Api::namespaced_with(client.clone(), &namespace, &resource)
        }
    };
    let namespace = object.metadata.namespace.clone();
    let change = put(client, &api, &name, &object)
        .await
        .with_context(context)?;
    Ok(Applied {
        kind: resource.kind,
        namespace,
        name,
        change,
    })
}

async fn put(
    client: &kube::Client,
    api: &Api<DynamicObject>,
    name: &str,
    object: &DynamicObject,
) -> anyhow::Result<Change> {
    let wanted = with_last_applied(serde_json::to_value(object)?);
    for _ in 0..ATTEMPTS {
        let Some(live) = api.get_opt(name).await? else {
            match client
                .request::<DynamicObject>(creation(api, &wanted)?)
                .await
            {
                Ok(_) => return Ok(Change::Created),
                Err(kube::Error::Api(status)) if status.is_already_exists() => continue,
                Err(error) => return Err(error.into()),
            }
        };
        let annotations = live.metadata.annotations.unwrap_or_default();
        let previous = annotations.get(LAST_APPLIED);
        if previous.map(String::as_str) == wanted["metadata"]["annotations"][LAST_APPLIED].as_str()
        {
            return Ok(Change::Unchanged);
        }
        // An annotation that is not JSON is somebody's mistake: then nothing is known to have been removed.
        let previous = previous.and_then(|text| serde_json::from_str(text).ok());
        let patch = three_way(previous.as_ref().unwrap_or(&Value::Null), &wanted);
        match api
            .patch(
                name,
                &PatchParams::default().validation_strict(),
                &Patch::Merge(&patch),
            )
            .await
        {
            Ok(_) => return Ok(Change::Configured),
            Err(kube::Error::Api(status)) if status.is_not_found() => continue,
            Err(error) => return Err(error.into()),
        }
    }
    Err(anyhow!("the object keeps changing; try again"))
}

/// A POST that is refused for fields nobody knows, as kubectl's are: kube's own says nothing of them.
fn creation(api: &Api<DynamicObject>, object: &Value) -> anyhow::Result<http::Request<Vec<u8>>> {
    let path = format!("{}?fieldValidation=Strict", api.resource_url());
    let request = http::Request::post(path).header("content-type", "application/json");
    Ok(request.body(serde_json::to_vec(object)?)?)
}

/// The object with the annotation kubectl would give it.
fn with_last_applied(mut object: Value) -> Value {
    let metadata = object.as_object_mut().and_then(|object| {
        object
            .entry("metadata")
            .or_insert_with(|| json!({}))
            .as_object_mut()
    });
    if let Some(metadata) = metadata {
        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.remove(LAST_APPLIED);
        }
    }
    let text = go_json(&object);
    object["metadata"]["annotations"][LAST_APPLIED] = Value::String(text);
    object
}

/// The bytes Go's encoder makes of it: keys in order, `<`, `>` and `&` escaped, a newline at the end.
fn go_json(value: &Value) -> String {
    let text = sorted(value).to_string();
    let escaped = text
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029");
    escaped + "\n"
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            Value::Object(
                entries
                    .into_iter()
                    .map(|(k, v)| (k.clone(), sorted(v)))
                    .collect(),
            )
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

/// A merge patch that sets what `wanted` has and removes what only `previous` had.
fn three_way(previous: &Value, wanted: &Value) -> Value {
    let (Value::Object(previous), Value::Object(wanted)) = (previous, wanted) else {
        return wanted.clone();
    };
    let mut patch: Map<String, Value> = wanted
        .iter()
        .map(|(key, value)| {
            (
                key.clone(),
                three_way(previous.get(key).unwrap_or(&Value::Null), value),
            )
        })
        .collect();
    for key in previous.keys().filter(|key| !wanted.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    Value::Object(patch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_annotation_is_kubectls_byte_for_byte() {
        let object = json!({"kind": "ConfigMap", "apiVersion": "v1",
            "metadata": {"namespace": "default", "name": "c"}, "data": {"b": "<&>", "a": "1"}});
        let annotated = with_last_applied(object);
        assert_eq!(
            annotated["metadata"]["annotations"][LAST_APPLIED],
            "{\"apiVersion\":\"v1\",\"data\":{\"a\":\"1\",\"b\":\"\\u003c\\u0026\\u003e\"},\"kind\":\"ConfigMap\",\
             \"metadata\":{\"annotations\":{},\"name\":\"c\",\"namespace\":\"default\"}}\n"
        );
    }

    #[test]
    fn what_vanished_is_removed() {
        let previous = json!({"data": {"a": "1", "b": "2"}, "gone": {}});
        let wanted = json!({"data": {"a": "3"}});
        assert_eq!(
            three_way(&previous, &wanted),
            json!({"data": {"a": "3", "b": null}, "gone": null})
        );
    }
}
