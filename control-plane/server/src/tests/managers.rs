//! `managedFields` of writes that are no apply.

use super::applies::owners;
use super::*;

const AGENT: (&str, &str) = ("user-agent", "curl/8.0 (x)");
const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn every_write_is_tracked() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let path = format!("{CONFIGMAPS}/a");
    let body = configmap("a").to_string();
    let created = admin
        .send("POST", CONFIGMAPS, &[AGENT, JSON], body)
        .await
        .expect(201);
    let own = json!({"f:data": {".": {}, "f:k": {}}});
    assert_eq!(
        created["metadata"]["managedFields"],
        json!([{
            "manager": "curl", "operation": "Update", "apiVersion": "v1",
            "time": created["metadata"]["creationTimestamp"], "fieldsType": "FieldsV1", "fieldsV1": own,
        }])
    );
    // Each kind of patch, and a replacement.
    let label = json!({"metadata": {"labels": {"l": "1"}}});
    admin
        .merge(&format!("{path}?fieldManager=merge"), label)
        .await
        .expect(200);
    let add = json!([{"op": "add", "path": "/data/j", "value": "1"}]);
    admin
        .patch(&format!("{path}?fieldManager=json"), "json-patch", &add)
        .await
        .expect(200);
    let data = json!({"data": {"s": "1"}});
    let patched = admin
        .patch(
            &format!("{path}?fieldManager=strategic"),
            "strategic-merge-patch",
            &data,
        )
        .await
        .expect(200);
    let mut new = patched.clone();
    // A client that knows nothing of managers leaves them out.
    new["metadata"]
        .as_object_mut()
        .expect("metadata")
        .remove("managedFields");
    new["data"]["k"] = json!("w");
    let updated = admin
        .put(&format!("{path}?fieldManager=put"), &new)
        .await
        .expect(200);
    assert_eq!(
        owners(&updated),
        json!([
            ["curl Update", {"f:data": {}}],
            ["json Update", {"f:data": {"f:j": {}}}],
            ["merge Update", {"f:metadata": {"f:labels": {".": {}, "f:l": {}}}}],
            ["put Update", {"f:data": {"f:k": {}}}],
            ["strategic Update", {"f:data": {"f:s": {}}}],
        ])
    );
    // The same again is no write.
    let again = admin
        .put(&format!("{path}?fieldManager=other"), &updated)
        .await
        .expect(200);
    assert_eq!(again, updated);
}

#[tokio::test]
async fn managers_can_be_forgotten() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let path = format!("{CONFIGMAPS}/a");
    for reset in [json!([]), json!([{}])] {
        admin.delete(&path).await;
        admin.create(CONFIGMAPS, configmap("a")).await;
        let patch = json!([{"op": "replace", "path": "/metadata/managedFields", "value": reset}]);
        let patched = admin.patch(&path, "json-patch", &patch).await.expect(200);
        assert_eq!(patched["metadata"]["managedFields"], Value::Null, "{reset}");
        // From now on nobody is tracked, until somebody applies.
        let patched = admin
            .merge(&path, json!({"data": {"x": "1"}}))
            .await
            .expect(200);
        assert_eq!(patched["metadata"]["managedFields"], Value::Null);
        let applied = admin.apply(&path, "m", &configmap("a")).await.expect(200);
        assert_eq!(
            owners(&applied),
            json!([
                ["before-first-apply Update", {"f:data": {".": {}, "f:k": {}, "f:x": {}}}],
                ["m Apply", {"f:data": {"f:k": {}}}],
            ])
        );
    }
    // A body brings its managers along; what makes no sense does not count, and a name may be too long.
    let with = |list: Value| {
        let mut body = configmap("b");
        body["metadata"]["managedFields"] = list;
        body
    };
    let entry = |manager: &str| {
        json!([{
            "manager": manager, "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:metadata": {"f:labels": {"f:x": {}}}},
        }])
    };
    let create = async |body: Value| {
        admin
            .post(&format!("{CONFIGMAPS}?fieldManager=m"), &body)
            .await
    };
    let path = format!("{CONFIGMAPS}/b");
    let own = json!(["m Update", {"f:data": {".": {}, "f:k": {}}}]);
    let created = create(with(entry("x"))).await.expect(201);
    assert_eq!(
        owners(&created),
        json!([own, ["x Apply", {"f:metadata": {"f:labels": {"f:x": {}}}}]])
    );
    admin.delete(&path).await;
    let created = create(with(json!([{"manager": "x", "operation": "Eat"}])))
        .await
        .expect(201);
    assert_eq!(owners(&created), json!([own]));
    admin.delete(&path).await;
    create(with(entry(&"x".repeat(200)))).await.refused(
        422,
        "Invalid",
        "ConfigMap \"b\" is invalid: metadata.managedFields[0].manager: Too long: may not be more than 128 bytes",
    );
}

#[tokio::test]
async fn defaults_are_the_creators_and_what_admission_adds_is_nobodys() {
    let cluster = Cluster::with_account().await;
    let admin = cluster.admin();
    let body = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "nginx", "ports": [{"containerPort": 80}]}]},
        "status": {"phase": "Running"},
    });
    let created = admin
        .post(&format!("{PODS}?fieldManager=curl"), &body)
        .await
        .expect(201);
    assert_eq!(
        owners(&created),
        json!([["curl Update", {"f:spec": {
            "f:containers": {"k:{\"name\":\"c\"}": {
                ".": {}, "f:image": {}, "f:imagePullPolicy": {}, "f:name": {},
                "f:ports": {".": {}, "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}, "f:protocol": {}}},
                "f:resources": {}, "f:terminationMessagePath": {}, "f:terminationMessagePolicy": {},
            }},
            "f:dnsPolicy": {}, "f:enableServiceLinks": {}, "f:restartPolicy": {}, "f:schedulerName": {},
            "f:securityContext": {}, "f:terminationGracePeriodSeconds": {},
        }}]])
    );
    // What other endpoints and deletions do to it leaves the managers as they are.
    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}});
    admin.create(&format!("{PODS}/p/binding"), binding).await;
    admin.delete(&format!("{PODS}/p")).await.expect(200);
    let read = admin.get(&format!("{PODS}/p")).await.expect(200);
    assert_eq!(read["spec"]["nodeName"], "n");
    assert_eq!(owners(&read), owners(&created));
    // A status is owned by whoever writes it, apart from the rest.
    let status = json!({"metadata": {"labels": {"l": "1"}}, "spec": {"priority": 7}, "status": {"phase": "Running"}});
    let path = format!("{PODS}/p/status?fieldManager=agent");
    let patched = admin
        .patch(&path, "strategic-merge-patch", &status)
        .await
        .expect(200);
    assert_eq!(
        owners(&patched)[0],
        json!(["agent Update status", {
            "f:metadata": {"f:labels": {".": {}, "f:l": {}}}, "f:status": {"f:phase": {}},
        }])
    );
}

#[tokio::test]
async fn a_deployments_fields_belong_to_who_made_them() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let body = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}},
        },
    });
    let path = "/apis/apps/v1/namespaces/default/deployments?fieldManager=curl";
    let created = admin.post(path, &body).await.expect(201);
    assert_eq!(
        owners(&created),
        json!([["curl Update", {"f:spec": {
            "f:progressDeadlineSeconds": {}, "f:replicas": {}, "f:revisionHistoryLimit": {}, "f:selector": {},
            "f:strategy": {"f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}}, "f:type": {}},
            "f:template": {
                "f:metadata": {"f:labels": {".": {}, "f:a": {}}},
                "f:spec": {
                    "f:containers": {"k:{\"name\":\"c\"}": {
                        ".": {}, "f:image": {}, "f:imagePullPolicy": {}, "f:name": {}, "f:resources": {},
                        "f:terminationMessagePath": {}, "f:terminationMessagePolicy": {},
                    }},
                    "f:dnsPolicy": {}, "f:restartPolicy": {}, "f:schedulerName": {}, "f:securityContext": {},
                    "f:terminationGracePeriodSeconds": {},
                },
            },
        }}]])
    );
}

#[tokio::test]
async fn fields_have_the_names_of_the_version_they_were_written_in() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let body = json!({
        "apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"},
        "spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}, "targetCPUUtilizationPercentage": 50},
    });
    let path = |version: &str| {
        format!("/apis/autoscaling/{version}/namespaces/default/horizontalpodautoscalers")
    };
    let created = admin
        .post(&format!("{}?fieldManager=old", path("v1")), &body)
        .await
        .expect(201);
    assert_eq!(
        created["metadata"]["managedFields"][0]["apiVersion"],
        "autoscaling/v1"
    );
    let fields = json!({"f:spec": {
        "f:maxReplicas": {}, "f:minReplicas": {}, "f:scaleTargetRef": {}, "f:targetCPUUtilizationPercentage": {},
    }});
    assert_eq!(owners(&created), json!([["old Update", fields]]));
    // Who changes the metrics in the other version takes the percentage from the one that set it in this.
    let metrics = json!({"spec": {"metrics": [{
        "type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
    }]}});
    let newer = format!("{}/h?fieldManager=new", path("v2"));
    let patched = admin.merge(&newer, metrics).await.expect(200);
    assert_eq!(
        owners(&patched),
        json!([
            ["new Update", {"f:spec": {"f:metrics": {}}}],
            ["old Update", {"f:spec": {"f:maxReplicas": {}, "f:minReplicas": {}, "f:scaleTargetRef": {}}}],
        ])
    );
}

#[tokio::test]
async fn the_servers_own_objects_are_its_own() {
    let cluster = Cluster::start().await;
    let namespace = cluster
        .admin()
        .get("/api/v1/namespaces/default")
        .await
        .expect(200);
    assert_eq!(
        owners(&namespace),
        json!([["kube-apiserver Update", {
            "f:metadata": {"f:labels": {".": {}, "f:kubernetes.io/metadata.name": {}}},
        }]])
    );
}

/// The annotation is a number behind the API: who sends none owns the zero it is then.
#[tokio::test]
async fn the_count_of_a_daemon_sets_templates_has_an_owner() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let path = "/apis/apps/v1/namespaces/default/daemonsets";
    let set = json!({"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod("a")["spec"]}}});
    let key = "f:deprecated.daemonset.template.generation";
    let annotations = |object: &Value, manager: &str| {
        let all = object["metadata"]["managedFields"].as_array();
        let found = all.and_then(|all| all.iter().find(|it| it["manager"] == manager));
        found.expect("a manager")["fieldsV1"]["f:metadata"]["f:annotations"].clone()
    };
    let created = admin.post(&format!("{path}?fieldManager=a"), &set).await;
    let created = created.expect(201);
    let count = &created["metadata"]["annotations"]["deprecated.daemonset.template.generation"];
    assert_eq!(*count, "1");
    assert_eq!(annotations(&created, "a"), json!({".": {}, key: {}}));
    let mut labelled = set.clone();
    labelled["metadata"]["labels"] = json!({"x": "y"});
    let put = admin
        .put(&format!("{path}/d?fieldManager=b"), &labelled)
        .await;
    let put = put.expect(200);
    assert_eq!(annotations(&put, "a"), json!({}));
    assert_eq!(annotations(&put, "b"), json!({key: {}}));
    let label = json!({"metadata": {"labels": {"z": "1"}}});
    let merged = admin
        .merge(&format!("{path}/d?fieldManager=c"), label)
        .await;
    assert_eq!(annotations(&merged.expect(200), "c"), Value::Null);
    let mut config = set;
    config["apiVersion"] = json!("apps/v1");
    config["kind"] = json!("DaemonSet");
    config["metadata"]["name"] = json!("e");
    let applied = admin.apply(&format!("{path}/e"), "e", &config).await;
    assert_eq!(annotations(&applied.expect(201), "e"), Value::Null);
}
