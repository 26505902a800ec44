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

/// So many that a rule which looks at each for each would not come to an end.
const MANY: usize = 25_000;

fn each(make: impl Fn(usize) -> Value) -> Vec<Value> {
    (0..MANY).map(make).collect()
}

#[test]
fn claims_for_many_containers() {
    let spec = json!({
        "resourceClaims": each(|at| json!({"name": format!("c{at}"), "resourceClaimName": "r"})),
        "containers": each(|at| json!({"resources": {"claims": [{"name": format!("c{at}")}]}})),
    });
    many(core("Pod"), pod(spec));
}

#[test]
fn annotations_about_many_containers() {
    let key = |at: usize| format!("container.apparmor.security.beta.kubernetes.io/a{at}");
    let annotations: Value = (0..MANY).map(|at| (key(at), json!("unconfined"))).collect();
    let spec = json!({"containers": each(|at| json!({"name": format!("b{at}"), "image": "i"}))});
    let mut pod = pod(spec);
    pod["metadata"]["annotations"] = annotations;
    assert_eq!(many(core("Pod"), pod).len(), MAX_ERRORS);
}

#[test]
fn variables_out_of_many_volumes() {
    let variable = json!({"name": "A", "valueFrom": {"fileKeyRef": {"volumeName": "v", "path": "p", "key": "K"}}});
    let spec = json!({
        "volumes": each(|at| json!({"name": format!("a{at}"), "emptyDir": {}})),
        "containers": [{"name": "c", "image": "i", "env": vec![variable; MANY]}],
    });
    assert_eq!(many(core("Pod"), pod(spec)).len(), MAX_ERRORS);
}

#[test]
fn containers_that_join() {
    let with = |prefix: &str| {
        let all = each(|at| json!({"name": format!("{prefix}{at}"), "image": "i"}));
        pod(json!({"containers": [{"name": "c", "image": "i"}], "ephemeralContainers": all}))
    };
    let found = part_update(core("Pod"), "ephemeralcontainers", &with("a"), &with("b"));
    assert_eq!(found.len(), MAX_ERRORS);
}

#[test]
fn tolerations_of_a_class() {
    let tolerations = each(|at| json!({"key": format!("a{at}"), "operator": "Exists"}));
    let scheduling = json!({"tolerations": tolerations});
    let class = global(json!({"handler": "h", "scheduling": scheduling}));
    assert_eq!(many(of("node.k8s.io/v1", "RuntimeClass"), class), []);
}

#[test]
fn scopes_of_a_quota() {
    let hard: Value = (0..MANY)
        .map(|at| (format!("requests.hugepages-{at}"), json!("1")))
        .collect();
    let requirement = json!({"scopeName": "BestEffort", "operator": "Exists"});
    let spec = json!({
        "hard": hard,
        "scopes": each(|_| json!("")),
        "scopeSelector": {"matchExpressions": vec![requirement; MANY]},
    });
    let quota = object(json!({"spec": spec}));
    assert_eq!(many(core("ResourceQuota"), quota).len(), MAX_ERRORS);
}

#[test]
fn names_of_a_policy() {
    let annotations = each(|at| json!({"key": format!("a{at}"), "valueExpression": "1"}));
    let mut policy = global(json!({"spec": {"auditAnnotations": annotations}}));
    policy["metadata"]["name"] = json!(long());
    let kind = of(
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicy",
    );
    assert_eq!(many(kind, policy).len(), MAX_ERRORS);
}

#[test]
fn steps_of_a_webhook() {
    let service = json!({"name": "s", "namespace": "n", "path": "/".repeat(400_000)});
    let webhook = json!({"name": "a.b.c", "clientConfig": {"service": service}});
    let hooks = global(json!({"webhooks": [webhook]}));
    let kind = of(
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
    );
    assert_eq!(many(kind, hooks).len(), MAX_ERRORS);
}
