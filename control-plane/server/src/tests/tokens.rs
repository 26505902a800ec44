//! ServiceAccount tokens: asked for, shown, and no longer believed when what they are bound to is gone.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::BoxFuture;

use super::*;
use crate::tls::Peer;

const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";
const REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

fn claims(token: &Value) -> Value {
    let token = token["status"]["token"].as_str().expect("a token");
    let part = token.split('.').nth(1).expect("claims");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("JSON")
}

/// What a connection that shows the token is answered.
fn with_token<'a>(
    cluster: &'a Cluster,
    token: &Value,
    path: &'a str,
) -> BoxFuture<'a, (u16, Value)> {
    let token = token["status"]["token"]
        .as_str()
        .expect("a token")
        .to_owned();
    Box::pin(async move {
        let request = Request::get(path)
            .header("authorization", format!("Bearer {token}"))
            .body(Body::empty())
            .expect("a request");
        let api = cluster.server.api().clone();
        let response = api.answer_peer(request, Peer::Nobody).await;
        let status = response.status().as_u16();
        let bytes = response
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    })
}

#[tokio::test]
async fn tokens_stand_for_their_account() {
    let cluster = Cluster::with_account().await;
    let admin = cluster.admin();
    let path = format!("{ACCOUNTS}/default/token");
    let account = admin.get(&format!("{ACCOUNTS}/default")).await.expect(200);
    let uid = &account["metadata"]["uid"];
    let token = admin
        .post(&path, &json!({"spec": {"expirationSeconds": 600}}))
        .await
        .expect(201);
    assert_eq!(
        (
            &token["kind"],
            &token["spec"]["audiences"],
            &token["spec"]["boundObjectRef"]
        ),
        (&json!("TokenRequest"), &json!([ISSUER]), &Value::Null)
    );
    let said = claims(&token);
    assert_eq!(said["sub"], "system:serviceaccount:default:default");
    assert_eq!(
        (&said["iss"], &said["aud"]),
        (&json!(ISSUER), &json!([ISSUER]))
    );
    assert_eq!(
        said["exp"].as_i64().expect("a time") - said["iat"].as_i64().expect("a time"),
        600
    );
    assert_eq!(
        said["kubernetes.io"],
        json!({"namespace": "default", "serviceaccount": {"name": "default", "uid": uid}})
    );
    // Known, and allowed what everybody known is.
    let (status, _) = with_token(&cluster, &token, "/api").await;
    assert_eq!(status, 200);
    let (status, refused) = with_token(&cluster, &token, PODS).await;
    assert_eq!(status, 403);
    assert_eq!(
        refused["message"],
        "pods is forbidden: User \"system:serviceaccount:default:default\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\""
    );
    let review = admin
        .create(
            REVIEWS,
            json!({"spec": {"token": token["status"]["token"]}}),
        )
        .await;
    let status = &review["status"];
    assert_eq!(
        (
            &status["authenticated"],
            &status["user"]["username"],
            &status["user"]["uid"]
        ),
        (
            &json!(true),
            &json!("system:serviceaccount:default:default"),
            uid
        )
    );
    assert_eq!(
        status["user"]["groups"],
        json!([
            "system:serviceaccounts",
            "system:serviceaccounts:default",
            "system:authenticated"
        ])
    );
    let other = admin
        .create(
            REVIEWS,
            json!({"spec": {"token": token["status"]["token"], "audiences": ["vault"]}}),
        )
        .await;
    assert_eq!(other["status"].get("authenticated"), None);
    // A new account of the same name is another account.
    admin
        .delete(&format!("{ACCOUNTS}/default"))
        .await
        .expect(200);
    admin
        .create(ACCOUNTS, json!({"metadata": {"name": "default"}}))
        .await;
    assert_eq!(with_token(&cluster, &token, "/api").await.0, 401);
}

#[tokio::test]
async fn tokens_live_as_long_as_their_pod() {
    let cluster = Cluster::with_account().await;
    let admin = cluster.admin();
    let mut new = pod("p");
    new["spec"]["nodeName"] = json!("n1");
    let pod = admin.create(PODS, new).await;
    let path = format!("{ACCOUNTS}/default/token");
    let ask = |uid: &Value, seconds: i64| {
        json!({"spec": {"expirationSeconds": seconds, "boundObjectRef": {
            "apiVersion": "v1", "kind": "Pod", "name": "p", "uid": uid}}})
    };
    let uid = &pod["metadata"]["uid"];
    admin
        .post(&path, &ask(&json!("another"), 3600))
        .await
        .expect(409);
    // What admission asks for in pods says one hour and is good for a year.
    let agent = cluster.client(UserInfo::node("n1"));
    let token = agent.post(&path, &ask(uid, 3607)).await.expect(201);
    let said = claims(&token);
    let kubernetes = &said["kubernetes.io"];
    let issued = said["iat"].as_i64().expect("a time");
    assert_eq!(kubernetes["pod"], json!({"name": "p", "uid": uid}));
    assert_eq!(kubernetes["node"], json!({"name": "n1"}));
    assert_eq!(kubernetes["warnafter"], issued + 3607);
    assert_eq!(said["exp"], issued + 365 * 24 * 3600);
    assert_eq!(with_token(&cluster, &token, "/api").await.0, 200);
    // Agents get tokens of the pods they run, and of nothing else.
    agent.post(&path, &json!({})).await.expect(403);
    cluster
        .client(UserInfo::node("n2"))
        .post(&path, &ask(uid, 3607))
        .await
        .expect(403);
    admin
        .delete(&format!("{PODS}/p?gracePeriodSeconds=0"))
        .await
        .expect(200);
    assert_eq!(with_token(&cluster, &token, "/api").await.0, 401);
}

#[tokio::test]
async fn agents_get_tokens_for_whom_their_pods_show_them_to() {
    let cluster = Cluster::with_account().await;
    let (admin, agent) = (cluster.admin(), cluster.client(UserInfo::node("n1")));
    let driver = json!({"metadata": {"name": "d.example.com"}, "spec": {
        "tokenRequests": [{"audience": "driver"}]}});
    admin
        .create("/apis/storage.k8s.io/v1/csidrivers", driver)
        .await;
    let volume = json!({"metadata": {"name": "pv"}, "spec": {
        "capacity": {"storage": "1Mi"}, "accessModes": ["ReadWriteOnce"],
        "claimRef": {"namespace": "default", "name": "c"},
        "csi": {"driver": "d.example.com", "volumeHandle": "h"}}});
    admin.create("/api/v1/persistentvolumes", volume).await;
    let claim = json!({"metadata": {"name": "c"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "volumeName": "pv",
        "resources": {"requests": {"storage": "1Mi"}}}});
    let claims = "/api/v1/namespaces/default/persistentvolumeclaims";
    admin.create(claims, claim).await;
    let token = json!({"serviceAccountToken": {"audience": "vault", "path": "t"}});
    let projected = json!({"name": "t", "projected": {"sources": [token]}});
    let mut uids = Vec::new();
    for (name, volume) in [
        ("shows", projected),
        (
            "mounts",
            json!({"name": "v", "csi": {"driver": "d.example.com"}}),
        ),
        (
            "claims",
            json!({"name": "v", "persistentVolumeClaim": {"claimName": "c"}}),
        ),
        ("nothing", json!({"name": "v", "emptyDir": {}})),
    ] {
        let mut new = pod(name);
        new["spec"]["nodeName"] = json!("n1");
        new["spec"]["automountServiceAccountToken"] = json!(false);
        new["spec"]["volumes"] = json!([volume]);
        let created = admin.create(PODS, new).await;
        uids.push((name, created["metadata"]["uid"].clone()));
    }
    let path = format!("{ACCOUNTS}/default/token");
    let ask = |name: &str, audiences: Value| {
        let uid = uids
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, uid)| uid);
        let bound = json!({"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid});
        json!({"spec": {"audiences": audiences, "boundObjectRef": bound}})
    };
    for (pod, audience) in [
        ("shows", "vault"),
        ("mounts", "driver"),
        ("claims", "driver"),
    ] {
        let token = agent
            .post(&path, &ask(pod, json!([audience])))
            .await
            .expect(201);
        assert_eq!(token["spec"]["audiences"], json!([audience]));
    }
    let refused = |why: &str| format!("serviceaccounts \"default\" is forbidden: {why}");
    for (pod, audiences) in [
        ("shows", json!(["driver"])),
        ("mounts", json!(["vault"])),
        ("claims", json!(["vault"])),
        ("nothing", json!(["vault"])),
        ("nothing", json!([])),
        ("nothing", json!([ISSUER])),
    ] {
        let audience = audiences[0].as_str().unwrap_or_default();
        let why = format!(
            "audience {audience:?} not found in pod spec volume, system:node:n1 is not authorized to request tokens for this audience"
        );
        let answer = agent.post(&path, &ask(pod, audiences)).await;
        answer.refused(403, "Forbidden", &refused(&why));
    }
    let both = agent
        .post(&path, &ask("shows", json!(["vault", "other"])))
        .await;
    both.refused(
        403,
        "Forbidden",
        &refused("node may only request 0 or 1 audiences"),
    );
    // Whom roles let.
    let role = json!({"metadata": {"name": "r"}, "rules": [{
        "apiGroups": [""], "resources": ["other"], "resourceNames": ["default"],
        "verbs": ["request-serviceaccounts-token-audience"]}]});
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    admin.create(&format!("{rbac}/clusterroles"), role).await;
    let group =
        json!({"kind": "Group", "name": "system:nodes", "apiGroup": "rbac.authorization.k8s.io"});
    let binding = json!({"metadata": {"name": "b"}, "subjects": [group],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "r"}});
    admin
        .create(&format!("{rbac}/clusterrolebindings"), binding)
        .await;
    let other = ask("shows", json!(["other"]));
    agent.post(&path, &other).await.expect(201);
    // Nobody else is asked.
    let other = ask("nothing", json!(["a", "b"]));
    admin.post(&path, &other).await.expect(201);
}

#[tokio::test]
async fn requests_are_checked() {
    let cluster = Cluster::with_account().await;
    let admin = cluster.admin();
    let path = format!("{ACCOUNTS}/default/token");
    admin
        .post(&path, &json!({"spec": {"expirationSeconds": 599}}))
        .await
        .refused(
            422,
            "Invalid",
            "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes",
        );
    admin
        .post(&path, &json!({"metadata": {"name": "other"}}))
        .await
        .expect(422);
    admin
        .post(&path, &json!({"metadata": {"uid": "other"}}))
        .await
        .expect(409);
    admin
        .post(&path, &json!({"spec": {"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "nope"}}}))
        .await
        .refused(404, "NotFound", "pods \"nope\" not found");
    admin
        .post(&format!("{ACCOUNTS}/nope/token"), &json!({}))
        .await
        .expect(404);
    admin.get(&path).await.expect(405);
    admin.post(REVIEWS, &json!({"spec": {}})).await.expect(400);
    for nonsense in ["x", "a.b.c", "e30.e30.e30"] {
        let review = admin
            .create(REVIEWS, json!({"spec": {"token": nonsense}}))
            .await;
        assert_eq!(
            review["status"],
            json!({"user": {}, "error": "invalid bearer token"})
        );
    }
}

#[tokio::test]
async fn others_can_check_tokens() {
    let cluster = Cluster::start().await;
    let account = cluster.client(UserInfo::new(
        "system:serviceaccount:default:default",
        ["system:serviceaccounts".into()],
    ));
    let answer = account.get("/.well-known/openid-configuration").await;
    assert_eq!(answer.header("content-type"), "application/json");
    let document = answer.expect(200);
    assert_eq!(document["issuer"], ISSUER);
    assert_eq!(
        document["id_token_signing_alg_values_supported"],
        json!(["ES256"])
    );
    let keys = account.get("/openid/v1/jwks").await;
    assert_eq!(keys.header("content-type"), "application/jwk-set+json");
    let key = &keys.expect(200)["keys"][0];
    assert_eq!(
        (&key["kty"], &key["crv"], &key["alg"]),
        (&json!("EC"), &json!("P-256"), &json!("ES256"))
    );
    cluster
        .client(UserInfo::anonymous())
        .get("/openid/v1/jwks")
        .await
        .expect(403);
}

/// A certificate whose time is over while its connection lives leaves the word to a token, as one that was refused does.
#[tokio::test]
async fn a_token_beside_a_certificate_that_is_over() {
    let cluster = Cluster::with_account().await;
    let path = format!("{ACCOUNTS}/default/token");
    let token = cluster.admin().create(&path, json!({"spec": {}})).await;
    let token = token["status"]["token"].as_str().expect("a token");
    for (token, expected) in [(Some(token), 200), (None, 401)] {
        let mut request = Request::get("/version");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Body::empty()).expect("a request");
        let user = std::sync::Arc::new(UserInfo::admin());
        let api = cluster.server.api().clone();
        let response = api.answer_peer(request, Peer::User(user, 0)).await;
        assert_eq!(response.status().as_u16(), expected);
    }
}
