//! Admission that looks at other objects: priorities, limits, quotas, default classes, namespaces.

use super::*;

const QUOTAS: &str = "/api/v1/namespaces/default/resourcequotas";
const LIMITS: &str = "/api/v1/namespaces/default/limitranges";
const CLASSES: &str = "/apis/scheduling.k8s.io/v1/priorityclasses";
const CLAIMS: &str = "/api/v1/namespaces/default/persistentvolumeclaims";

fn with_resources(name: &str, resources: Value) -> Value {
    let mut pod = pod(name);
    pod["spec"]["containers"][0]["resources"] = resources;
    pod
}

#[tokio::test]
async fn priorities_come_from_classes() {
    let cluster = Cluster::with_account().await;
    let admin = cluster.admin();
    let classed = |name: &str, class: &str| {
        let mut pod = pod(name);
        pod["spec"]["priorityClassName"] = json!(class);
        pod
    };
    admin.post(PODS, &classed("a", "high")).await.refused(
        403,
        "Forbidden",
        "pods \"a\" is forbidden: no PriorityClass with name high was found",
    );
    admin
        .create(
            CLASSES,
            json!({"metadata": {"name": "high"}, "value": 1000, "preemptionPolicy": "Never"}),
        )
        .await;
    let made = admin.create(PODS, classed("a", "high")).await;
    assert_eq!(
        (&made["spec"]["priority"], &made["spec"]["preemptionPolicy"]),
        (&json!(1000), &json!("Never"))
    );
    let mut wrong = classed("b", "high");
    wrong["spec"]["priority"] = json!(5);
    admin.post(PODS, &wrong).await.refused(
        403,
        "Forbidden",
        "pods \"b\" is forbidden: the integer value of priority (5) must not be provided in pod spec; priority admission controller computed 1000 from the given PriorityClass name",
    );
    let system = admin
        .create(PODS, classed("c", "system-node-critical"))
        .await;
    assert_eq!(system["spec"]["priority"], 2_000_001_000);
    admin
        .create(
            CLASSES,
            json!({"metadata": {"name": "usual"}, "value": 7, "globalDefault": true}),
        )
        .await;
    let usual = admin.create(PODS, pod("d")).await;
    assert_eq!(
        (
            &usual["spec"]["priorityClassName"],
            &usual["spec"]["priority"]
        ),
        (&json!("usual"), &json!(7))
    );
    admin
        .post(CLASSES, &json!({"metadata": {"name": "other"}, "value": 8, "globalDefault": true}))
        .await
        .refused(
            403,
            "Forbidden",
            "priorityclasses.scheduling.k8s.io \"other\" is forbidden: PriorityClass usual is already marked as default. Only one default can exist",
        );
    for name in ["system-node-critical", "system-cluster-critical"] {
        let why = "this is a system priority class and cannot be deleted";
        admin.delete(&format!("{CLASSES}/{name}")).await.refused(
            403,
            "Forbidden",
            &format!("priorityclasses.scheduling.k8s.io {name:?} is forbidden: {why}"),
        );
    }
}

#[tokio::test]
async fn limit_ranges_fill_in_and_refuse() {
    let cluster = Cluster::with_account().await;
    let admin = cluster.admin();
    let range = json!({"metadata": {"name": "l"}, "spec": {"limits": [
        {"type": "Container", "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m"}, "max": {"cpu": "1"}, "min": {"cpu": "50m"}},
        {"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}},
    ]}});
    admin.create(LIMITS, range).await;
    let made = admin.create(PODS, pod("a")).await;
    assert_eq!(
        made["spec"]["containers"][0]["resources"],
        json!({"requests": {"cpu": "100m"}, "limits": {"cpu": "500m"}})
    );
    assert_eq!(made["status"]["qosClass"], "Burstable");
    let greedy = with_resources(
        "b",
        json!({"limits": {"cpu": "2"}, "requests": {"cpu": "100m"}}),
    );
    admin.post(PODS, &greedy).await.refused(
        403,
        "Forbidden",
        "pods \"b\" is forbidden: maximum cpu usage per Container is 1, but limit is 2",
    );
    // What is not valid is told first.
    let mut invalid = greedy.clone();
    invalid["spec"]["restartPolicy"] = json!("Sometimes");
    admin.post(PODS, &invalid).await.expect(422);
    let claim = json!({"metadata": {"name": "c"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}});
    admin.post(CLAIMS, &claim).await.refused(
        403,
        "Forbidden",
        "persistentvolumeclaims \"c\" is forbidden: maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi",
    );
}

#[tokio::test]
async fn quotas_are_charged() {
    let cluster = Cluster::with_account().await;
    let admin = cluster.admin();
    admin.create(CONFIGMAPS, configmap("before")).await;
    let quota = json!({"metadata": {"name": "q"}, "spec": {"hard": {
        "pods": "2", "requests.cpu": "1", "configmaps": "2", "count/deployments.apps": "0", "services.nodeports": "1"}}});
    admin.create(QUOTAS, quota).await;
    let path = format!("{QUOTAS}/q");
    let status = admin.get(&path).await.expect(200)["status"].clone();
    assert_eq!(status["hard"]["pods"], "2");
    assert_eq!(
        status["used"],
        json!({"configmaps": "1", "count/deployments.apps": "0", "pods": "0", "requests.cpu": "0", "services.nodeports": "0"})
    );
    admin.post(PODS, &pod("a")).await.refused(
        403,
        "Forbidden",
        "pods \"a\" is forbidden: failed quota: q: must specify requests.cpu for: c",
    );
    let cpu = |amount: &str| json!({"requests": {"cpu": amount}});
    admin.create(PODS, with_resources("a", cpu("600m"))).await;
    admin.post(PODS, &with_resources("b", cpu("500m"))).await.refused(
        403,
        "Forbidden",
        "pods \"b\" is forbidden: exceeded quota: q, requested: requests.cpu=500m, used: requests.cpu=600m, limited: requests.cpu=1",
    );
    // A dry run is charged to nobody.
    admin
        .post(
            &format!("{PODS}?dryRun=All"),
            &with_resources("b", cpu("400m")),
        )
        .await
        .expect(201);
    admin.create(PODS, with_resources("b", cpu("400m"))).await;
    let used = admin.get(&path).await.expect(200)["status"]["used"].clone();
    assert_eq!(
        (&used["pods"], &used["requests.cpu"]),
        (&json!("2"), &json!("1"))
    );
    admin.create(CONFIGMAPS, configmap("c")).await;
    admin.post(CONFIGMAPS, &configmap("d")).await.refused(
        403,
        "Forbidden",
        "configmaps \"d\" is forbidden: exceeded quota: q, requested: configmaps=1, used: configmaps=2, limited: configmaps=2",
    );
    let services = "/api/v1/namespaces/default/services";
    let service = |kind: &str| json!({"metadata": {"name": "s"}, "spec": {"type": kind, "ports": [{"name": "a", "port": 1}, {"name": "b", "port": 2}]}});
    admin.post(services, &service("NodePort")).await.expect(403);
    let made = admin.create(services, service("ClusterIP")).await;
    let mut opened = made.clone();
    opened["spec"]["type"] = json!("NodePort");
    admin.put(&format!("{services}/s"), &opened).await.refused(
        403,
        "Forbidden",
        "services \"s\" is forbidden: exceeded quota: q, requested: services.nodeports=2, used: services.nodeports=0, limited: services.nodeports=1",
    );
    // What went is noticed when there is need of it, even if nobody follows the quota.
    admin.delete(&format!("{PODS}/a")).await.expect(200);
    admin.create(PODS, with_resources("e", cpu("600m"))).await;
    let used = admin.get(&path).await.expect(200)["status"]["used"].clone();
    assert_eq!(
        (&used["pods"], &used["requests.cpu"]),
        (&json!("2"), &json!("1"))
    );
}

/// Counting takes so long here that it is not done again at once.
#[tokio::test]
async fn a_quota_counted_in_vain_lets_in_what_fits() {
    let cluster = Cluster::with_account().await;
    let admin = cluster.admin();
    let quota = json!({"metadata": {"name": "q"}, "spec": {"hard": {"requests.cpu": "10"}}});
    admin.create(QUOTAS, quota).await;
    let of = |name: &str, cpu: &str| with_resources(name, json!({"requests": {"cpu": cpu}}));
    for at in 0..6 {
        let mut large = of(&format!("large{at}"), "1");
        large["metadata"]["annotations"] = json!({"a": "x".repeat(200_000)});
        admin.create(PODS, large).await;
    }
    admin.create(PODS, of("gone", "4")).await;
    admin.delete(&format!("{PODS}/gone")).await.expect(200);
    admin.post(PODS, &of("much", "5")).await.refused(
        403,
        "Forbidden",
        "pods \"much\" is forbidden: exceeded quota: q, requested: requests.cpu=5, used: requests.cpu=6, limited: requests.cpu=10",
    );
    admin.create(PODS, of("a", "1")).await;
    admin.create(PODS, of("b", "3")).await;
    admin.post(PODS, &of("c", "3")).await.expect(403);
    admin.delete(&format!("{PODS}/b")).await.expect(200);
    admin.create(PODS, of("c", "3")).await;
    admin.post(PODS, &of("d", "1")).await.expect(403);
    let done = json!({"status": {"phase": "Succeeded"}});
    let path = format!("{PODS}/a/status");
    admin.merge(&path, done).await.expect(200);
    admin.create(PODS, of("d", "1")).await;
}

#[tokio::test]
async fn no_two_share_the_last_place() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    admin
        .create(
            QUOTAS,
            json!({"metadata": {"name": "q"}, "spec": {"hard": {"configmaps": "5"}}}),
        )
        .await;
    let all = (0..20).map(|number| {
        let admin = admin.clone();
        async move {
            admin
                .post(CONFIGMAPS, &configmap(&format!("c{number}")))
                .await
                .status
        }
    });
    let answers = futures::future::join_all(all).await;
    let made = answers
        .iter()
        .filter(|status| **status == StatusCode::CREATED)
        .count();
    assert_eq!(made, 5, "{answers:?}");
}

/// Who finds room is let in, however many ask at once.
#[tokio::test(flavor = "multi_thread")]
async fn charges_are_made_one_after_the_other() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let quota = json!({"metadata": {"name": "q"}, "spec": {"hard": {"configmaps": "1000"}}});
    admin.create(QUOTAS, quota).await;
    let all = (0..100).map(|number| {
        let admin = admin.clone();
        async move {
            let map = configmap(&format!("c{number}"));
            admin.create(CONFIGMAPS, map).await
        }
    });
    futures::future::join_all(all).await;
    let quota = admin.get(&format!("{QUOTAS}/q")).await.expect(200);
    assert_eq!(quota["status"]["used"]["configmaps"], "100");
}

#[tokio::test]
async fn default_classes_and_claims_that_grow() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let classes = "/apis/storage.k8s.io/v1/storageclasses";
    let class = |name: &str, grows: bool| {
        json!({
        "metadata": {"name": name, "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "x.io/y", "allowVolumeExpansion": grows})
    };
    let claim = |name: &str| {
        json!({"metadata": {"name": name}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}})
    };
    let bare = admin.create(CLAIMS, claim("bare")).await;
    assert!(bare["spec"].get("storageClassName").is_none());
    admin.create(classes, class("gold", true)).await;
    let classed = admin.create(CLAIMS, claim("classed")).await;
    assert_eq!(classed["spec"]["storageClassName"], "gold");
    let bigger = json!({"spec": {"resources": {"requests": {"storage": "2Gi"}}}});
    let path = format!("{CLAIMS}/classed");
    admin.merge(&path, bigger.clone()).await.expect(403);
    admin
        .merge(
            &format!("{path}/status"),
            json!({"status": {"phase": "Bound"}}),
        )
        .await
        .expect(200);
    admin
        .merge(&path, json!({"spec": {"volumeName": "v"}}))
        .await
        .expect(200);
    admin.merge(&path, bigger).await.expect(200);
    let ingresses = "/apis/networking.k8s.io/v1/namespaces/default/ingresses";
    admin
        .create("/apis/networking.k8s.io/v1/ingressclasses", json!({"metadata": {"name": "web", "annotations": {
            "ingressclass.kubernetes.io/is-default-class": "true"}}, "spec": {"controller": "x.io/y"}}))
        .await;
    let ingress = json!({"metadata": {"name": "i"}, "spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 1}}}}});
    let made = admin.create(ingresses, ingress).await;
    assert_eq!(made["spec"]["ingressClassName"], "web");
}

#[tokio::test]
async fn what_holds_data_is_protected_from_the_start() {
    let cluster = Cluster::with_account().await;
    let admin = cluster.admin();
    let volumes = "/api/v1/persistentvolumes";
    let volume = json!({"metadata": {"name": "v", "finalizers": ["example.com/mine"]}, "spec": {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": "/data"}}});
    let made = admin.create(volumes, volume).await;
    assert_eq!(
        made["metadata"]["finalizers"],
        json!(["example.com/mine", "kubernetes.io/pv-protection"])
    );
    let claim = json!({"metadata": {"name": "c"}, "spec": {"accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}}}});
    let made = admin.create(CLAIMS, claim).await;
    let protected = json!(["kubernetes.io/pvc-protection"]);
    assert_eq!(made["metadata"]["finalizers"], protected);
    // Who says it is not told twice, and who takes it away has done so.
    let said = json!({"metadata": {"name": "d", "finalizers": protected}, "spec": made["spec"]});
    let made = admin.create(CLAIMS, said).await;
    assert_eq!(made["metadata"]["finalizers"], protected);
    let none = json!({"metadata": {"finalizers": null}});
    let freed = admin.merge(&format!("{CLAIMS}/d"), none).await.expect(200);
    assert_eq!(freed["metadata"]["finalizers"], Value::Null);
}

#[tokio::test]
async fn devices_in_use_are_for_namespaces_that_are_marked() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let devices = |admin: bool| {
        let request = |name, admin: bool| json!({"name": name, "exactly": {"deviceClassName": "c", "adminAccess": admin}});
        json!({"devices": {"requests": [request("a", false), request("b", admin)]}})
    };
    let why = "spec.devices.requests[1].adminAccess: Forbidden: admin access to devices requires the \
        `resource.kubernetes.io/admin-access: true` label on the containing namespace";
    let folder = "/apis/resource.k8s.io/v1/namespaces/default";
    let claims = (
        format!("{folder}/resourceclaims"),
        json!({"metadata": {"name": "c"}, "spec": devices(true)}),
        format!("ResourceClaim.resource.k8s.io \"c\" is invalid: {why}"),
    );
    let templates = (
        format!("{folder}/resourceclaimtemplates"),
        json!({"metadata": {"name": "c"}, "spec": {"spec": devices(true)}}),
        format!("ResourceClaimTemplate.resource.k8s.io \"c\" is invalid: {why}"),
    );
    for (path, object, message) in [&claims, &templates] {
        admin
            .post(path, object)
            .await
            .refused(422, "Invalid", message);
    }
    let plain = json!({"metadata": {"name": "plain"}, "spec": devices(false)});
    admin.create(&claims.0, plain).await;
    let label = json!({"metadata": {"labels": {"resource.kubernetes.io/admin-access": "true"}}});
    admin
        .merge("/api/v1/namespaces/default", label)
        .await
        .expect(200);
    for (path, object, _) in [claims, templates] {
        admin.create(&path, object).await;
    }
}
