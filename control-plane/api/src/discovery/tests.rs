//! Small excerpts of what a kube-apiserver 1.36 answers.

use serde_json::json;

use super::*;

fn entry(group_version: &str, name: &str) -> Value {
    let list = resource_list(&Served::default(), group_version).expect("is served");
    let entries = list["resources"].as_array().expect("a list").clone();
    entries
        .into_iter()
        .find(|entry| entry["name"] == name)
        .expect("is listed")
}

#[test]
fn resource_lists() {
    let all = [
        "create",
        "delete",
        "deletecollection",
        "get",
        "list",
        "patch",
        "update",
        "watch",
    ];
    assert_eq!(
        entry("v1", "pods"),
        json!({"name":"pods","singularName":"pod","namespaced":true,"kind":"Pod","verbs":all,
            "shortNames":["po"],"categories":["all"],"storageVersionHash":"xPOwRZ+Yhw8="}),
    );
    assert_eq!(
        entry("v1", "pods/eviction"),
        json!({"name":"pods/eviction","singularName":"","namespaced":true,"group":"policy",
            "version":"v1","kind":"Eviction","verbs":["create"]}),
    );
    assert_eq!(
        entry("v1", "namespaces"),
        json!({"name":"namespaces","singularName":"namespace","namespaced":false,
            "kind":"Namespace","shortNames":["ns"],"storageVersionHash":"Q3oi5N2YM8M=",
            "verbs":["create","delete","get","list","patch","update","watch"]}),
    );
    assert_eq!(
        entry("v1", "namespaces/finalize"),
        json!({"name":"namespaces/finalize","singularName":"","namespaced":false,
            "kind":"Namespace","verbs":["update"]}),
    );
    assert_eq!(
        entry("v1", "bindings"),
        json!({"name":"bindings","singularName":"binding","namespaced":true,"kind":"Binding",
            "verbs":["create"]}),
    );
    assert_eq!(
        entry("v1", "secrets"),
        json!({"name":"secrets","singularName":"secret","namespaced":true,"kind":"Secret",
            "verbs":all,"storageVersionHash":"S6u1pOWzb84="}),
    );
    // Both forms of events are stored as one.
    assert_eq!(entry("v1", "events")["storageVersionHash"], "r2yiGXH7wu8=");
    assert_eq!(
        entry("events.k8s.io/v1", "events")["storageVersionHash"],
        "r2yiGXH7wu8="
    );
    let list = resource_list(&Served::default(), "v1").expect("is served");
    let names: Vec<_> = list["resources"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| entry["name"].as_str().expect("named"))
        .collect();
    assert!(names.is_sorted(), "{names:?}");
    assert!(resource_list(&Served::default(), "apps/v9").is_none());
}

#[test]
fn groups_and_versions() {
    assert_eq!(
        api_versions(&Served::default()),
        json!({"kind":"APIVersions","versions":["v1"]})
    );
    let version = json!({"groupVersion":"node.k8s.io/v1","version":"v1"});
    assert_eq!(
        group(&Served::default(), "node.k8s.io"),
        Some(
            json!({"kind":"APIGroup","apiVersion":"v1","name":"node.k8s.io",
            "versions":[version],"preferredVersion":version})
        ),
    );
    assert_eq!(group(&Served::default(), ""), None);
    assert_eq!(group(&Served::default(), "nothing"), None);
    let list = group_list(&Served::default());
    assert_eq!(
        (&list["kind"], &list["apiVersion"]),
        (&json!("APIGroupList"), &json!("v1"))
    );
    let names: Vec<_> = list["groups"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|group| group["name"].clone())
        .collect();
    // In upstream's order, which is the order clients try groups in.
    let place = |group: &str| names.iter().position(|name| name == group);
    for pair in [
        "apps",
        "events.k8s.io",
        "batch",
        "storage.k8s.io",
        "coordination.k8s.io",
        "flowcontrol.apiserver.k8s.io",
    ]
    .windows(2)
    {
        assert!(
            place(pair[0]).is_some() && place(pair[0]) < place(pair[1]),
            "{pair:?}"
        );
    }
}

#[test]
fn aggregated_documents() {
    let core = aggregated(&Served::default(), true);
    assert_eq!(core["apiVersion"], "apidiscovery.k8s.io/v2");
    assert_eq!(core["items"][0]["metadata"], json!({}));
    let version = &core["items"][0]["versions"][0];
    assert_eq!(
        (&version["version"], &version["freshness"]),
        (&json!("v1"), &json!("Current"))
    );
    let services = version["resources"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|resource| resource["resource"] == "services")
        .expect("is served");
    assert_eq!(
        *services,
        json!({"resource":"services","responseKind":{"group":"","version":"","kind":"Service"},
            "scope":"Namespaced","singularResource":"service","shortNames":["svc"],
            "categories":["all"],
            "verbs":["create","delete","deletecollection","get","list","patch","update","watch"],
            "subresources":[{"subresource":"status","verbs":["get","patch","update"],
                "responseKind":{"group":"","version":"","kind":"Service"}}]}),
    );
    let named = aggregated(&Served::default(), false);
    let leases = named["items"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|group| group["metadata"]["name"] == "coordination.k8s.io");
    assert_eq!(
        *leases.expect("is served"),
        json!({"metadata":{"name":"coordination.k8s.io"},"versions":[{"version":"v1",
            "resources":[{"resource":"leases","singularResource":"lease","scope":"Namespaced",
                "responseKind":{"group":"","version":"","kind":"Lease"},
                "verbs":["create","delete","deletecollection","get","list","patch","update",
                    "watch"]}],
            "freshness":"Current"}]}),
    );
}
