//! Generic ephemeral volumes: each is a claim that is made for its pod, known by its name and its owner.

use serde::{Deserialize, Serialize};

/// The claim's name.
pub fn claim_name(pod: &str, volume: &str) -> String {
    format!("{pod}-{volume}")
}

/// What the rule is about, of an object's metadata in whatever types.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Meta {
    namespace: String,
    name: String,
    uid: String,
    owner_references: Vec<Owner>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Owner {
    uid: String,
    controller: bool,
}

/// What cannot be read owns nothing and is owned by nobody.
fn meta(metadata: &impl Serialize) -> Meta {
    let value = serde_json::to_value(metadata).unwrap_or_default();
    serde_json::from_value(value).unwrap_or_default()
}

/// Why a claim of that name is not the pod's, in upstream's words; none if it is. Of both it takes the metadata.
pub fn not_owned(pod: &impl Serialize, claim: &impl Serialize) -> Option<String> {
    let (pod, claim) = (meta(pod), meta(claim));
    let mut owners = claim.owner_references.iter();
    if owners.any(|owner| owner.controller && owner.uid == pod.uid) {
        return None;
    }
    let Meta {
        namespace, name, ..
    } = pod;
    Some(format!(
        "PVC {namespace}/{} was not created for pod {namespace}/{name} (pod is not owner)",
        claim.name
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_claim_is_its_controllers() {
        let pod = json!({"namespace": "n", "name": "p", "uid": "u", "labels": {"a": "b"}});
        let check = |owners: Value, own: bool| {
            let claim = json!({"namespace": "n", "name": "p-v", "ownerReferences": owners});
            let why = "PVC n/p-v was not created for pod n/p (pod is not owner)";
            let expect = (!own).then(|| why.to_owned());
            assert_eq!(not_owned(&pod, &claim), expect, "{owners}");
        };
        let owner = |uid: &str| json!({"kind": "Pod", "name": "p", "uid": uid, "controller": true});
        check(json!([owner("u")]), true);
        check(json!([owner("other"), owner("u")]), true);
        check(json!([owner("other")]), false);
        check(json!([{"uid": "u", "controller": false}]), false);
        check(json!([{"uid": "u"}]), false);
        check(json!([]), false);
    }
}
