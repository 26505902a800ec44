//! Requests that few clients send. What becomes of them was observed on a kube-apiserver.

use super::*;

#[tokio::test]
async fn head_is_answered_where_upstream_answers_it() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    admin.create(CONFIGMAPS, configmap("a")).await;
    for (path, expect) in [
        (CONFIGMAPS, 405),
        ("/api/v1/namespaces/default/configmaps/a", 405),
        ("/api/v1/watch/pods", 405),
        ("/api", 405),
        ("/api/v1", 405),
        ("/apis/apps/v1", 405),
        ("/apis/apiregistration.k8s.io", 405),
        ("/version", 405),
        ("/openid/v1/jwks", 405),
        ("/", 200),
        ("/apis", 200),
        ("/apis/apps", 200),
        ("/healthz", 200),
        ("/openapi/v2", 200),
        ("/openapi/v3/apis/apps/v1", 200),
        ("/metrics", 200),
        ("/nope", 404),
        ("/apis/apps/v1/nope", 404),
    ] {
        let answer = admin.send("HEAD", path, &[], Body::empty()).await;
        assert_eq!(answer.status, expect, "{path}");
        assert!(answer.bytes.is_empty(), "{path}");
    }
    customs::establish(&admin, customs::definition(customs::schema())).await;
    let tabs = admin.send("HEAD", customs::TABS, &[], Body::empty()).await;
    assert_eq!(tabs.status, 200);
}

#[tokio::test]
async fn an_eviction_may_be_in_its_older_version() {
    let cluster = Cluster::with_account().await;
    let admin = cluster.admin();
    admin.create(PODS, pod("p")).await;
    let eviction = |version: &str| json!({"apiVersion": version, "kind": "Eviction", "metadata": {"name": "p"}});
    let path = format!("{PODS}/p/eviction?dryRun=All");
    for (version, expect) in [
        ("policy/v1", 201),
        ("policy/v1beta1", 201),
        ("policy/v2", 400),
    ] {
        let answer = admin.post(&path, &eviction(version)).await;
        assert_eq!(answer.status, expect, "{version}");
    }
    let refused = admin
        .post(PODS, &json!({"apiVersion": "policy/v1beta1"}))
        .await;
    assert_eq!(refused.status, 400);
}

#[tokio::test]
async fn no_stream_of_a_log_can_be_chosen() {
    let cluster = Cluster::with_account().await;
    let admin = cluster.admin();
    admin.create(PODS, pod("p")).await;
    for stream in ["Stdout", "All", "nope", ""] {
        let log = admin.get(&format!("{PODS}/p/log?stream={stream}")).await;
        let why = "PodLogOptions \"p\" is invalid: stream: Forbidden: may not be specified";
        log.refused(422, "Invalid", why);
    }
}

#[tokio::test]
async fn watches_with_odd_options() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let created = admin.create(CONFIGMAPS, configmap("a")).await;
    for asked in ["continue=a", "continue=a&resourceVersion=0"] {
        let refused = admin.get(&format!("{CONFIGMAPS}?watch=1&{asked}")).await;
        let why = "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: \
                   resourceVersionMatch is forbidden when continue is provided";
        refused.refused(422, "Invalid", why);
    }
    let path = format!("{CONFIGMAPS}?watch=1&timeoutSeconds=-1");
    let mut events = admin.watch(&path).await;
    let event = events.next().await.expect("an event");
    assert_eq!(
        event,
        json!({"type": "ERROR", "object": {"kind": "Status", "apiVersion": "v1", "metadata": {},
            "status": "Failure", "message": "context deadline exceeded",
            "reason": "InternalError", "code": 500}})
    );
    assert!(events.next().await.is_none());
    let revision = created["metadata"]["resourceVersion"]
        .as_str()
        .expect("a text");
    let mut events = admin
        .watch(&format!("{path}&resourceVersion={revision}"))
        .await;
    assert!(events.next().await.is_none());
    let list = admin
        .get(&format!("{CONFIGMAPS}?timeoutSeconds=-1&limit=-1"))
        .await;
    assert_eq!(list.expect(200)["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn selectors_that_say_nothing() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    admin.create(CONFIGMAPS, configmap("a")).await;
    for query in [
        "fieldSelector==",
        "fieldSelector=!=",
        "fieldSelector===",
        "fieldSelector=metadata.name=a,=",
        "labelSelector=%zz",
        "labelSelector=x;y",
    ] {
        let list = admin.get(&format!("{CONFIGMAPS}?{query}")).await;
        let count = list.expect(200)["items"].as_array().map(Vec::len);
        assert_eq!(count, Some(1), "{query}");
    }
}

#[tokio::test]
async fn requirements_of_reviews_are_checked() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    let must = "values: Required value: must be specified when `operator` is 'In' or 'NotIn'";
    let may_not =
        "values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
    for (field, requirement, expect) in [
        ("labelSelector", json!({"key": "a", "operator": "In"}), must),
        (
            "labelSelector",
            json!({"key": "a", "operator": "Exists", "values": ["x"]}),
            may_not,
        ),
        (
            "labelSelector",
            json!({"key": "a", "operator": "Foo", "values": ["x"]}),
            "",
        ),
        (
            "fieldSelector",
            json!({"key": "a", "operator": "NotIn"}),
            must,
        ),
        (
            "fieldSelector",
            json!({"key": "a", "operator": "Exists", "values": ["x"]}),
            may_not,
        ),
        (
            "fieldSelector",
            json!({"operator": "In", "values": ["x"]}),
            "key: Required value: must be specified",
        ),
        (
            "fieldSelector",
            json!({"key": "-a", "operator": "In", "values": ["-x"]}),
            "",
        ),
    ] {
        let review = json!({"spec": {"user": "u", "resourceAttributes": {"verb": "list",
            "resource": "pods", field: {"requirements": [requirement]}}}});
        let answer = admin.post(path, &review).await;
        if expect.is_empty() {
            answer.expect(201);
            continue;
        }
        let why = format!(
            ".authorization.k8s.io \"\" is invalid: spec.resourceAttributes.{field}.requirements[0].{expect}"
        );
        answer.refused(422, "Invalid", &why);
    }
}

#[tokio::test]
async fn the_plural_of_an_address_follows_the_singular() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let path = "/api/v1/namespaces/default/services";
    let service = |spec: Value| {
        let mut service = json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}});
        let fields = spec.as_object().expect("fields").clone();
        service["spec"]
            .as_object_mut()
            .expect("fields")
            .extend(fields);
        service
    };
    for (spec, expect) in [
        (
            json!({"clusterIPs": ["10.96.0.55"]}),
            "[\"10.96.0.55\"]: must be empty when `clusterIP` is not specified",
        ),
        (
            json!({"clusterIPs": ["None"]}),
            "[\"None\"]: must be empty when `clusterIP` is not specified",
        ),
        (
            json!({"clusterIPs": ["10.96.0.55"], "clusterIP": "10.96.0.56"}),
            "[\"10.96.0.55\"]: first value must match `clusterIP`",
        ),
    ] {
        let why = format!("Service \"s\" is invalid: spec.clusterIPs: Invalid value: {expect}");
        admin
            .post(path, &service(spec))
            .await
            .refused(422, "Invalid", &why);
    }
    admin
        .create(path, service(json!({"clusterIP": "10.96.0.55"})))
        .await;
    let path = format!("{path}/s");
    for (patch, expect) in [
        (json!({"clusterIP": null}), 200),
        (json!({"clusterIPs": null}), 200),
        (json!({"clusterIP": null, "clusterIPs": []}), 200),
        (json!({"clusterIPs": ["10.96.0.56"]}), 422),
        (
            json!({"clusterIP": null, "clusterIPs": ["10.96.0.56"]}),
            422,
        ),
    ] {
        let answer = admin.merge(&path, json!({"spec": patch})).await;
        assert_eq!(answer.status, expect, "{patch}");
    }
}
