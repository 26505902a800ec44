//! Objects as large as a body may be, wrong in as many ways as fit in: what is said of them stays small, and is said at once.

use super::*;

/// A text that many errors would show.
fn long() -> String {
    "x".repeat(400_000)
}

/// The errors of such an object, which together are of a bounded size.
fn many(resource: &Resource, value: Value) -> Vec<FieldError> {
    let found = create(resource, &value);
    let size: usize = found.iter().map(|error| error.to_string().len()).sum();
    assert!(size < MAX_ERRORS * 64 * 1024, "{size} bytes");
    found
}

fn pod(spec: Value) -> Value {
    json!({"metadata": {"name": "p", "namespace": "default"}, "spec": spec})
}

#[test]
fn shares_of_unknown_claims() {
    let spec = json!({
        "resourceClaims": [{"name": long()}],
        "containers": [{"name": "c", "image": "i", "resources": {"claims": vec![json!({"name": "b"}); 1000]}}],
    });
    assert_eq!(many(core("Pod"), pod(spec)).len(), MAX_ERRORS);
}

#[test]
fn files_of_one_path() {
    let source = json!({"configMap": {"name": long(), "items": vec![json!({"key": "k", "path": "p"}); 1000]}});
    let spec = json!({"volumes": [{"name": "v", "projected": {"sources": [source]}}]});
    assert_eq!(many(core("Pod"), pod(spec)).len(), MAX_ERRORS);
}

#[test]
fn claims_of_a_pod_with_a_long_name() {
    let volumes = (0..50_000).map(|at| json!({"name": format!("a{at}"), "ephemeral": {}}));
    let mut pod = pod(json!({"volumes": volumes.collect::<Vec<_>>()}));
    pod["metadata"]["name"] = json!(long());
    assert_eq!(many(core("Pod"), pod).len(), MAX_ERRORS);
}

#[test]
fn values_of_a_long_key() {
    let values: Vec<Value> = (0..1000).map(|at| json!(format!("!{at}"))).collect();
    let selector =
        json!({"matchExpressions": [{"key": long(), "operator": "In", "values": values}]});
    let spec = json!({"selector": selector, "template": {"spec": {}}});
    let object = object(json!({"spec": spec}));
    assert_eq!(many(of("apps/v1", "Deployment"), object).len(), MAX_ERRORS);
}
