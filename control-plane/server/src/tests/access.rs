//! Who may do what: roles, reviews, acting as others, and what may not be given away.

use super::*;
use crate::user::MASTERS;

const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles";
const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings";
const CLUSTER_ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
const AUTHORIZATION: &str = "/apis/authorization.k8s.io/v1";
const GROUP: &str = "rbac.authorization.k8s.io";

fn role(name: &str, resources: &[&str], verbs: &[&str]) -> Value {
    json!({"metadata": {"name": name}, "rules": [{"apiGroups": [""], "resources": resources, "verbs": verbs}]})
}

fn binding(name: &str, kind: &str, role: &str, user: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": GROUP, "kind": kind, "name": role},
        "subjects": [{"apiGroup": GROUP, "kind": "User", "name": user}],
    })
}

fn alice() -> UserInfo {
    UserInfo::new("alice", ["dev".into()])
}

#[tokio::test]
async fn roles_count_from_the_next_request_on() {
    let cluster = Cluster::start().await;
    let (admin, alice) = (cluster.admin(), cluster.client(alice()));
    alice.get(CONFIGMAPS).await.refused(
        403,
        "Forbidden",
        "configmaps is forbidden: User \"alice\" cannot list resource \"configmaps\" in API group \"\" in the namespace \"default\"",
    );
    admin
        .create(BINDINGS, binding("b", "Role", "r", "alice"))
        .await;
    let dangling = alice.get(CONFIGMAPS).await.expect(403);
    assert!(
        dangling["message"].as_str().is_some_and(
            |text| text.ends_with(": RBAC: role.rbac.authorization.k8s.io \"r\" not found")
        ),
        "{dangling}"
    );
    admin
        .create(ROLES, role("r", &["configmaps"], &["get", "list"]))
        .await;
    alice.get(CONFIGMAPS).await.expect(200);
    alice.get("/api/v1/configmaps").await.expect(403);
    alice.post(CONFIGMAPS, &configmap("c")).await.expect(403);
    admin
        .merge(&format!("{ROLES}/r"), json!({"rules": [{"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["c"], "verbs": ["*"]}]}))
        .await
        .expect(200);
    alice.get(CONFIGMAPS).await.expect(403);
    // A list of the one object counts as a request about it.
    alice
        .get(&format!("{CONFIGMAPS}?fieldSelector=metadata.name%3Dc"))
        .await
        .expect(200);
    admin.delete(&format!("{BINDINGS}/b")).await.expect(200);
    alice
        .get(&format!("{CONFIGMAPS}?fieldSelector=metadata.name%3Dc"))
        .await
        .expect(403);
}

#[tokio::test]
async fn reviews_say_what_would_be_decided() {
    let cluster = Cluster::start().await;
    let (admin, alice) = (cluster.admin(), cluster.client(alice()));
    admin
        .create(BINDINGS, binding("view", "ClusterRole", "view", "alice"))
        .await;
    let asked = |verb: &str, resource: &str| json!({"verb": verb, "resource": resource, "namespace": "default"});
    let review = |user: &str, attributes: Value| json!({"spec": {"user": user, "resourceAttributes": attributes}});
    let path = format!("{AUTHORIZATION}/subjectaccessreviews");
    let allowed = admin
        .create(&path, review("alice", asked("list", "pods")))
        .await;
    assert_eq!(
        allowed["status"],
        json!({"allowed": true, "reason": "RBAC: allowed by RoleBinding \"view/default\" of ClusterRole \"view\" to User \"alice\""})
    );
    let refused = admin
        .create(&path, review("alice", asked("list", "secrets")))
        .await;
    assert_eq!(refused["status"], json!({"allowed": false}));
    alice.get(PODS).await.expect(200);
    alice
        .get("/api/v1/namespaces/default/secrets")
        .await
        .expect(403);

    let own = format!("{AUTHORIZATION}/selfsubjectaccessreviews");
    let own_review = json!({"spec": {"resourceAttributes": asked("get", "configmaps")}});
    let answer = alice.create(&own, own_review.clone()).await;
    assert_eq!(answer["status"]["allowed"], true);
    let table = [
        ("accept", "application/json;as=Table;v=v1;g=meta.k8s.io"),
        ("content-type", "application/json"),
    ];
    alice
        .send("POST", &own, &table, own_review.to_string())
        .await
        .expect(406);

    let local = format!("{AUTHORIZATION}/namespaces/default/localsubjectaccessreviews");
    let answer = admin
        .create(&local, review("alice", asked("watch", "services")))
        .await;
    assert_eq!(answer["status"]["allowed"], true);
    let elsewhere = json!({"verb": "list", "resource": "pods", "namespace": "other"});
    admin.post(&local, &review("alice", elsewhere)).await.refused(
        422,
        "Invalid",
        ".authorization.k8s.io \"\" is invalid: spec.resourceAttributes.namespace: Invalid value: \"other\": must match metadata.namespace",
    );
    admin
        .post(&path, &json!({"spec": {"user": "alice"}}))
        .await
        .expect(422);
    admin
        .post(
            &path,
            &json!({"spec": {"resourceAttributes": asked("get", "pods")}}),
        )
        .await
        .expect(422);

    let rules = format!("{AUTHORIZATION}/selfsubjectrulesreviews");
    let answer = alice
        .create(&rules, json!({"spec": {"namespace": "default"}}))
        .await;
    let listed = answer["status"]["resourceRules"]
        .as_array()
        .expect("rules")
        .clone();
    assert!(
        listed
            .iter()
            .any(|rule| rule["resources"][0] == "selfsubjectaccessreviews")
    );
    assert!(
        listed
            .iter()
            .any(|rule| rule["resources"].to_string().contains("\"pods\""))
    );
    assert_eq!(answer["status"]["incomplete"], false);

    let whoami = alice
        .create(
            "/apis/authentication.k8s.io/v1/selfsubjectreviews",
            json!({}),
        )
        .await;
    assert_eq!(
        whoami["status"]["userInfo"],
        json!({"username": "alice", "groups": ["dev", "system:authenticated"]})
    );
}

#[tokio::test]
async fn acting_as_another() {
    let cluster = Cluster::start().await;
    let (admin, alice) = (cluster.admin(), cluster.client(alice()));
    let whoami = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let headers = [
        ("content-type", "application/json"),
        ("impersonate-user", "bob"),
        ("impersonate-group", "ops"),
        ("impersonate-uid", "42"),
        ("impersonate-extra-scopes", "read"),
    ];
    let bob = admin.send("POST", whoami, &headers, "{}").await.expect(201);
    assert_eq!(
        bob["status"]["userInfo"],
        json!({"username": "bob", "uid": "42", "groups": ["ops", "system:authenticated"], "extra": {"scopes": ["read"]}})
    );
    let refusals = [
        "users \"bob\" is forbidden: User \"alice\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope",
        "groups \"ops\" is forbidden: User \"alice\" cannot impersonate resource \"groups\" in API group \"\" at the cluster scope",
        "userextras.authentication.k8s.io \"read\" is forbidden: User \"alice\" cannot impersonate resource \"userextras/scopes\" in API group \"authentication.k8s.io\" at the cluster scope",
        "uids.authentication.k8s.io \"42\" is forbidden: User \"alice\" cannot impersonate resource \"uids\" in API group \"authentication.k8s.io\" at the cluster scope",
    ];
    let grants = [
        json!({"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"]}),
        json!({"apiGroups": [""], "resources": ["groups"], "resourceNames": ["ops"], "verbs": ["impersonate"]}),
        json!({"apiGroups": ["authentication.k8s.io"], "resources": ["userextras/scopes"], "verbs": ["impersonate"]}),
        json!({"apiGroups": ["authentication.k8s.io"], "resources": ["uids"], "verbs": ["impersonate"]}),
    ];
    let roles = CLUSTER_ROLES;
    admin
        .create(roles, json!({"metadata": {"name": "actor"}, "rules": []}))
        .await;
    admin
        .create(
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            binding("actor", "ClusterRole", "actor", "alice"),
        )
        .await;
    for count in 0..=grants.len() {
        let answer = alice.send("POST", whoami, &headers, "{}").await;
        match refusals.get(count) {
            Some(message) => {
                answer.refused(403, "Forbidden", message);
                admin
                    .merge(
                        &format!("{roles}/actor"),
                        json!({"rules": grants[..=count]}),
                    )
                    .await
                    .expect(200);
            }
            None => {
                answer.expect(201);
            }
        }
    }
    let group = [("impersonate-group", "ops")];
    admin
        .send("GET", "/api", &group, Body::empty())
        .await
        .expect(400);
}

#[tokio::test]
async fn nobody_gives_what_he_does_not_have() {
    let cluster = Cluster::start().await;
    let (admin, alice) = (cluster.admin(), cluster.client(alice()));
    admin
        .create(BINDINGS, binding("admin", "ClusterRole", "admin", "alice"))
        .await;
    // An administrator of a namespace hands on what he has there.
    alice
        .create(ROLES, role("readers", &["pods"], &["get"]))
        .await;
    alice
        .create(BINDINGS, binding("bob", "Role", "readers", "bob"))
        .await;
    alice.post(ROLES, &role("nodes", &["nodes"], &["get", "list"])).await.refused(
        403,
        "Forbidden",
        "roles.rbac.authorization.k8s.io \"nodes\" is forbidden: user \"alice\" (groups=[\"dev\" \"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"nodes\"], Verbs:[\"get\" \"list\"]}",
    );
    alice
        .merge(
            &format!("{ROLES}/readers"),
            json!({"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}),
        )
        .await
        .expect(403);
    alice
        .post(
            BINDINGS,
            &binding("all", "ClusterRole", "cluster-admin", "alice"),
        )
        .await
        .expect(403);
    alice
        .post(BINDINGS, &binding("none", "Role", "none", "alice"))
        .await
        .refused(
            404,
            "NotFound",
            "roles.rbac.authorization.k8s.io \"none\" not found",
        );
    // Finalizers are the garbage collector's.
    admin
        .create(ROLES, role("wide", &["nodes"], &["get"]))
        .await;
    alice
        .merge(
            &format!("{ROLES}/wide"),
            json!({"metadata": {"finalizers": ["x.io/y"]}}),
        )
        .await
        .expect(200);
    // The right to bind, or to escalate, is a right like others.
    let extra = json!({"metadata": {"name": "extra"}, "rules": [
        {"apiGroups": [GROUP], "resources": ["clusterroles"], "resourceNames": ["view"], "verbs": ["bind"]},
        {"apiGroups": [GROUP], "resources": ["roles"], "verbs": ["escalate"]},
    ]});
    admin.create(ROLES, extra).await;
    admin
        .create(BINDINGS, binding("extra", "Role", "extra", "alice"))
        .await;
    alice
        .create(ROLES, role("nodes", &["nodes"], &["get", "list"]))
        .await;
    alice
        .create(BINDINGS, binding("view", "ClusterRole", "view", "bob"))
        .await;
}

/// A request for a certificate, as it goes into a spec.
pub(super) fn certificate_request(name: &str, group: impl Into<rcgen::DnValue>) -> String {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::default();
    let subject = &mut params.distinguished_name;
    subject.push(rcgen::DnType::CommonName, name);
    subject.push(rcgen::DnType::OrganizationName, group);
    let request = params
        .serialize_request(&key)
        .expect("a request")
        .pem()
        .expect("PEM");
    base64::Engine::encode(&base64::prelude::BASE64_STANDARD, request)
}

#[tokio::test]
async fn certificate_requests_carry_who_asked() {
    let cluster = Cluster::start().await;
    let (admin, alice) = (cluster.admin(), cluster.client(alice()));
    let requests = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
    let grant = json!({"metadata": {"name": "csr"}, "rules": [{
        "apiGroups": ["certificates.k8s.io"], "resources": ["certificatesigningrequests", "certificatesigningrequests/approval"], "verbs": ["*"]}]});
    admin.create(CLUSTER_ROLES, grant).await;
    let bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    admin
        .create(bindings, binding("csr", "ClusterRole", "csr", "alice"))
        .await;
    let request = |name: &str, group: rcgen::DnValue| {
        json!({
            "metadata": {"name": name},
            "spec": {"request": certificate_request("somebody", group), "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"], "username": "forged"},
        })
    };
    let created = alice.create(requests, request("a", "dev".into())).await;
    assert_eq!(created["spec"]["username"], "alice");
    assert_eq!(
        created["spec"]["groups"],
        json!(["dev", "system:authenticated"])
    );
    alice.post(requests, &request("b", MASTERS.into())).await.refused(
        403,
        "Forbidden",
        "certificatesigningrequests.certificates.k8s.io \"b\" is forbidden: use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed",
    );
    // Strings that others read, and we do not.
    for group in [
        rcgen::DnValue::BmpString(MASTERS.try_into().expect("of its characters")),
        rcgen::DnValue::TeletexString(MASTERS.try_into().expect("of its characters")),
    ] {
        alice.post(requests, &request("b", group)).await.refused(
            403,
            "Forbidden",
            "certificatesigningrequests.certificates.k8s.io \"b\" is forbidden: failed to parse CSR: the subject holds a string that cannot be read",
        );
    }
    let mut approved = created.clone();
    approved["status"]["conditions"] =
        json!([{"type": "Approved", "status": "True", "reason": "Test", "message": "ok"}]);
    approved["spec"]["signerName"] = json!("example.com/other");
    let path = format!("{requests}/a/approval");
    alice.put(&path, &approved).await.refused(
        403,
        "Forbidden",
        "certificatesigningrequests.certificates.k8s.io \"a\" is forbidden: user not permitted to approve requests with signerName \"kubernetes.io/kube-apiserver-client\"",
    );
    let done = admin.put(&path, &approved).await.expect(200);
    assert_eq!(
        done["spec"]["signerName"],
        "kubernetes.io/kube-apiserver-client"
    );
    let condition = &done["status"]["conditions"][0];
    assert_eq!(condition["type"], "Approved");
    assert!(condition["lastUpdateTime"].is_string() && condition["lastTransitionTime"].is_string());
}

#[tokio::test]
async fn components() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let list = admin.get("/api/v1/componentstatuses").await.expect(200);
    assert_eq!(
        (&list["kind"], &list["items"][0]["metadata"]["name"]),
        (&json!("ComponentStatusList"), &json!("etcd-0"))
    );
    let lease = json!({"metadata": {"name": "kube-scheduler"}, "spec": {"renewTime": "2020-01-01T00:00:00.000000Z", "leaseDurationSeconds": 15}});
    admin
        .create(
            "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases",
            lease,
        )
        .await;
    let one = admin
        .get("/api/v1/componentstatuses/scheduler")
        .await
        .expect(200);
    assert_eq!(one["conditions"][0]["status"], "False");
    admin
        .get("/api/v1/componentstatuses/nope")
        .await
        .expect(404);
    admin
        .get("/api/v1/componentstatuses?watch=1")
        .await
        .expect(405);
    admin
        .post("/api/v1/componentstatuses", &json!({}))
        .await
        .expect(405);
}

/// A role that names its objects lets nobody create others, whatever selector comes along.
#[tokio::test]
async fn a_selector_names_nothing_that_is_written() {
    let cluster = Cluster::start().await;
    let (admin, alice) = (cluster.admin(), cluster.client(alice()));
    let mut mine = role("r", &["configmaps"], &["*"]);
    mine["rules"][0]["resourceNames"] = json!(["mine"]);
    admin.create(ROLES, mine).await;
    admin
        .create(BINDINGS, binding("b", "Role", "r", "alice"))
        .await;
    let selected = format!("{CONFIGMAPS}?fieldSelector=metadata.name%3Dmine");
    alice.get(&selected).await.expect(200);
    alice.post(&selected, &configmap("other")).await.expect(403);
    alice.delete(&selected).await.expect(403);
}
