//! The chain: who may, what is refused before a handler is reached, and what is served beside objects.

use super::*;

#[tokio::test]
async fn paths_and_methods() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    for path in [
        "/nope",
        "/apis/nope.example.com/v1/x",
        "/apis/nope.example.com",
        "/readyz/nope",
        "/v2/",
    ] {
        let answer = admin.get(path).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.bytes[..]),
            (404, &b"404 page not found\n"[..]),
            "{path}"
        );
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    }
    for path in [
        "/api/v1/nope",
        "/api/v1/namespaces/default/pods/p/nope",
        "/apis/apps/v1/nope",
    ] {
        admin.get(path).await.refused(
            404,
            "NotFound",
            "the server could not find the requested resource",
        );
    }
    for (method, path) in [
        ("POST", "/api/v1/pods"),
        ("PUT", CONFIGMAPS),
        ("DELETE", "/api/v1/namespaces"),
        ("GET", "/api/v1/namespaces/default/bindings"),
        ("POST", "/version"),
        ("OPTIONS", CONFIGMAPS),
    ] {
        admin.send(method, path, &[], Body::empty()).await.refused(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        );
    }
    for (method, path, what) in [
        (
            "POST",
            "/api/v1/namespaces/default/pods/p/exec?command=ls",
            "pods/exec",
        ),
        (
            "GET",
            "/api/v1/namespaces/default/pods/p/portforward",
            "pods/portforward",
        ),
        ("GET", "/api/v1/nodes/n/proxy/metrics", "nodes/proxy"),
    ] {
        admin.send(method, path, &[], Body::empty()).await.refused(
            501,
            "NotImplemented",
            &format!("{what} is not supported by this server"),
        );
    }
    for path in ["/healthz", "/livez", "/readyz", "/livez/ping"] {
        assert_eq!(&admin.get(path).await.bytes[..], b"ok", "{path}");
    }
    let verbose = admin.get("/readyz?verbose").await;
    assert!(
        verbose.bytes.starts_with(b"[+]ping ok\n")
            && verbose.bytes.ends_with(b"readyz check passed\n")
    );
    admin
        .get(&format!("{CONFIGMAPS}?timeout=nonsense"))
        .await
        .refused(
            400,
            "BadRequest",
            "invalid timeout specified in the request URL",
        );
    admin
        .get(&format!("{CONFIGMAPS}?timeout=4s"))
        .await
        .expect(200);
    let known = admin
        .send("GET", "/version", &[("audit-id", "mine")], Body::empty())
        .await;
    assert_eq!(known.header("audit-id"), "mine");
    let pretty = admin
        .send(
            "GET",
            &format!("{CONFIGMAPS}/zz"),
            &[("user-agent", "curl/8")],
            Body::empty(),
        )
        .await;
    assert!(pretty.bytes.starts_with(b"{\n  \"kind\": \"Status\",\n"));
}

#[tokio::test]
async fn the_root_lists_what_is_served() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    for path in ["/", "/index.html"] {
        let answer = admin.get(path).await;
        assert_eq!(answer.header("content-type"), "application/json");
        let begin =
            b"{\n  \"paths\": [\n    \"/.well-known/openid-configuration\",\n    \"/api\",\n";
        assert!(answer.bytes.starts_with(begin), "{path}");
        let paths = answer.expect(200)["paths"].clone();
        let paths: Vec<String> = serde_json::from_value(paths).expect("paths");
        assert!(paths.is_sorted());
        for served in [
            "/api/v1",
            "/apis",
            "/apis/apps",
            "/apis/apps/v1",
            "/apis/autoscaling/v2",
            "/livez/ping",
            "/openapi/v2",
            "/openapi/v3",
            "/version",
        ] {
            assert!(
                paths.iter().any(|path| path == served),
                "{served}: {paths:?}"
            );
        }
        for listed in &paths {
            let status = admin.get(listed).await.status.as_u16();
            assert_eq!(status, 200, "{listed}");
        }
    }
    let someone = cluster.client(UserInfo::new("someone", []));
    let refused = someone.get("/").await;
    refused.refused(
        403,
        "Forbidden",
        "forbidden: User \"someone\" cannot get path \"/\"",
    );
}

/// Who may not is not told what is served.
#[tokio::test]
async fn what_is_not_served_takes_rights_too() {
    let cluster = Cluster::start().await;
    let someone = cluster.client(UserInfo::new("someone", []));
    let inside = "in the namespace \"default\"";
    let anywhere = "at the cluster scope";
    for (method, path, what) in [
        (
            "GET",
            "/api/v1/nope",
            format!(
                "nope is forbidden: User \"someone\" cannot list resource \"nope\" in API group \"\" {anywhere}"
            ),
        ),
        (
            "GET",
            "/apis/apps/v1/namespaces/default/nope?watch=1",
            format!(
                "nope.apps is forbidden: User \"someone\" cannot watch resource \"nope\" in API group \"apps\" {inside}"
            ),
        ),
        (
            "DELETE",
            "/apis/nope.example.com/v1/namespaces/default/nope/x",
            format!(
                "nope.nope.example.com \"x\" is forbidden: User \"someone\" cannot delete resource \"nope\" in API group \"nope.example.com\" {inside}"
            ),
        ),
        (
            "PUT",
            "/api/v1/namespaces/default/pods/p/nope",
            format!(
                "pods \"p\" is forbidden: User \"someone\" cannot update resource \"pods/nope\" in API group \"\" {inside}"
            ),
        ),
        (
            "POST",
            "/api/v1/namespaces/default/pods/p/exec?command=ls",
            format!(
                "pods \"p\" is forbidden: User \"someone\" cannot create resource \"pods/exec\" in API group \"\" {inside}"
            ),
        ),
        (
            "GET",
            "/api/v1/watch/nope",
            format!(
                "nope is forbidden: User \"someone\" cannot watch resource \"nope\" in API group \"\" {anywhere}"
            ),
        ),
    ] {
        let refused = someone.send(method, path, &[], Body::empty()).await;
        refused.refused(403, "Forbidden", &what);
    }
    let admin = cluster.admin();
    let role = json!({"metadata": {"name": "nope"},
        "rules": [{"apiGroups": ["apps"], "resources": ["nope"], "verbs": ["list"]}]});
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    admin.create(&format!("{rbac}/clusterroles"), role).await;
    let binding = json!({"metadata": {"name": "nope"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "nope"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "someone"}]});
    admin
        .create(&format!("{rbac}/clusterrolebindings"), binding)
        .await;
    someone.get("/apis/apps/v1/nope").await.refused(
        404,
        "NotFound",
        "the server could not find the requested resource",
    );
}

#[tokio::test]
async fn who_may_do_what() {
    let cluster = Cluster::with_account().await;
    let admin = cluster.admin();
    for node in ["n1", "n2"] {
        let mut bound = pod(node);
        bound["spec"]["nodeName"] = json!(node);
        admin.create(PODS, bound).await;
    }
    let agent = || UserInfo::node("n1");
    let nobody = UserInfo::anonymous;
    let someone = || UserInfo::new("someone", []);
    let users: [(UserInfo, &str, String, bool); 25] = [
        (nobody(), "GET", "/version".into(), true),
        (nobody(), "GET", "/readyz".into(), true),
        (nobody(), "GET", "/api".into(), false),
        (nobody(), "GET", PODS.into(), false),
        (someone(), "GET", "/api".into(), true),
        (someone(), "GET", "/openapi/v3".into(), true),
        (someone(), "GET", PODS.into(), false),
        (someone(), "DELETE", format!("{PODS}/n1"), false),
        (UserInfo::scheduler(), "GET", "/api/v1/pods".into(), true),
        (
            UserInfo::scheduler(),
            "GET",
            "/api/v1/secrets".into(),
            false,
        ),
        (
            UserInfo::scheduler(),
            "POST",
            format!("{PODS}/n1/binding"),
            true,
        ),
        (UserInfo::scheduler(), "POST", PODS.into(), false),
        (
            UserInfo::controller_manager(),
            "DELETE",
            format!("{CONFIGMAPS}/zz"),
            true,
        ),
        (agent(), "GET", "/api/v1/pods".into(), false),
        (
            agent(),
            "GET",
            "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1".into(),
            true,
        ),
        (agent(), "PATCH", format!("{PODS}/n1/status"), true),
        (agent(), "PATCH", format!("{PODS}/n2/status"), false),
        (agent(), "PATCH", format!("{PODS}/n1"), false),
        (agent(), "DELETE", format!("{PODS}/n2"), false),
        (agent(), "POST", "/api/v1/nodes".into(), true),
        (agent(), "PATCH", "/api/v1/nodes/n2/status".into(), false),
        (
            agent(),
            "PUT",
            "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n1".into(),
            true,
        ),
        (
            agent(),
            "PUT",
            "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n2".into(),
            false,
        ),
        (agent(), "POST", CONFIGMAPS.into(), false),
        (
            agent(),
            "POST",
            "/api/v1/namespaces/default/events".into(),
            true,
        ),
    ];
    for (user, method, path, allowed) in users {
        let answer = cluster
            .client(user.clone())
            .send(method, &path, &[], Body::empty())
            .await;
        assert_eq!(
            answer.status.as_u16() != 403,
            allowed,
            "{} {method} {path}",
            user.name
        );
    }
    let refused = cluster.client(nobody()).get("/api/v1/pods").await;
    let status = refused.refused(
        403,
        "Forbidden",
        "pods is forbidden: User \"system:anonymous\" cannot list resource \"pods\" in API group \"\" at the cluster scope",
    );
    assert_eq!(status["details"], json!({"kind": "pods"}));
}

#[tokio::test]
async fn impersonation() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let act = |headers: Vec<(&'static str, &'static str)>| {
        let admin = admin.clone();
        async move { admin.send("GET", CONFIGMAPS, &headers, Body::empty()).await }
    };
    act(vec![
        ("impersonate-user", "jane"),
        ("impersonate-group", "system:masters"),
    ])
    .await
    .expect(200);
    act(vec![("impersonate-user", "jane")]).await.refused(
        403,
        "Forbidden",
        "configmaps is forbidden: User \"jane\" cannot list resource \"configmaps\" in API group \"\" in the namespace \"default\"",
    );
    act(vec![("impersonate-group", "x")]).await.expect(400);
    let other = cluster.client(UserInfo::scheduler());
    other.send("GET", CONFIGMAPS, &[("impersonate-user", "kubernetes-admin")], Body::empty()).await.refused(
        403,
        "Forbidden",
        "users \"kubernetes-admin\" is forbidden: User \"system:kube-scheduler\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope",
    );
}

#[tokio::test]
async fn too_many_at_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = ServerConfig::new(dir.path(), "127.0.0.1:0".parse().expect("an address"));
    config.limits.writes_in_flight = 1;
    let cluster = Cluster::with(config, dir).await;
    let admin = cluster.admin();
    // A pod waits for its account, and so holds the one place.
    let new = pod("p");
    let waiting = admin.post(PODS, &new);
    let second = async {
        tokio::task::yield_now().await;
        admin.post(CONFIGMAPS, &configmap("a")).await
    };
    let (_, second) = tokio::join!(biased; waiting, second);
    second.refused(
        429,
        "TooManyRequests",
        "Too many requests, please try again later.",
    );
    assert_eq!(second.header("retry-after"), "1");
    admin.get(CONFIGMAPS).await.expect(200);
    admin.create(CONFIGMAPS, configmap("a")).await;
}

#[tokio::test]
async fn the_mounted_router_knows_the_user() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = ServerConfig::new(dir.path(), "127.0.0.1:0".parse().expect("an address"));
    let whoami = |user: axum::Extension<std::sync::Arc<UserInfo>>| async move { user.name.clone() };
    config.extra = Some(axum::Router::new().route("/v2/", axum::routing::get(whoami)));
    let cluster = Cluster::with(config, dir).await;
    assert_eq!(
        &cluster.admin().get("/v2/").await.bytes[..],
        b"kubernetes-admin"
    );
    let asked = cluster.client(UserInfo::anonymous()).get("/v2/").await;
    assert_eq!(asked.status.as_u16(), 401);
    assert_eq!(asked.header("www-authenticate"), "Basic realm=\"sampan\"");
    let body: serde_json::Value = serde_json::from_slice(&asked.bytes).expect("JSON");
    assert_eq!(body["errors"][0]["code"], "UNAUTHORIZED");
}

#[tokio::test]
async fn a_blob_is_mounted_by_those_who_may_read_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = ServerConfig::new(dir.path(), "127.0.0.1:0".parse().expect("an address"));
    let told = |uri: http::Uri| async move { uri.query().unwrap_or_default().to_owned() };
    config.extra = Some(axum::Router::new().fallback(told));
    let cluster = Cluster::with(config, dir).await;
    let (admin, alice) = (
        cluster.admin(),
        cluster.client(UserInfo::new("alice", Vec::new())),
    );
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let role = |paths: &[&str]| json!({"metadata": {"name": "own"}, "rules": [{"nonResourceURLs": paths, "verbs": ["*"]}]});
    admin
        .create(&format!("{rbac}/clusterroles"), role(&["/v2/own/*"]))
        .await;
    // Without the rule that everybody may pull everything.
    let everybody = format!("{rbac}/clusterrolebindings/sampan:registry");
    admin.delete(&everybody).await.expect(200);
    let group = "rbac.authorization.k8s.io";
    let binding = json!({
        "metadata": {"name": "own"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "own"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": "alice"}],
    });
    admin
        .create(&format!("{rbac}/clusterrolebindings"), binding)
        .await;
    let mounted = async |client: &Client, query: &str| {
        let path = format!("/v2/own/blobs/uploads/?{query}");
        let answer = client.post(&path, &json!({})).await;
        String::from_utf8(answer.bytes.to_vec()).expect("text")
    };
    let private = "x=1&mount=sha256:0&from=a/private";
    assert_eq!(mounted(&admin, private).await, private);
    assert_eq!(mounted(&alice, private).await, "x=1");
    // What is looked at is what is passed on.
    for from in [
        "own/../a/private",
        "own&from=a/private",
        "own%26from=a/private",
    ] {
        let passed = mounted(&alice, &format!("from={from}&mount=sha256:0")).await;
        assert!(!passed.contains("private"), "{from}: {passed}");
    }
    let own = "mount=sha256:0&from=own/b";
    assert_eq!(mounted(&alice, own).await, own);
    admin
        .merge(
            &format!("{rbac}/clusterroles/own"),
            role(&["/v2/own/*", "/v2/a/*"]),
        )
        .await
        .expect(200);
    assert_eq!(mounted(&alice, private).await, private);
}

/// What is on its way out says so, in refusals, too.
#[tokio::test]
async fn deprecated_kinds_warn() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let warning =
        r#"299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice""#;
    for path in [
        "/api/v1/endpoints",
        "/api/v1/namespaces/default/endpoints/nope",
    ] {
        assert_eq!(admin.get(path).await.header("warning"), warning, "{path}");
    }
    let answer = admin.get("/api/v1/componentstatuses").await;
    assert_eq!(
        answer.header("warning"),
        r#"299 - "v1 ComponentStatus is deprecated in v1.19+""#
    );
    assert_eq!(admin.get("/api/v1/services").await.header("warning"), "");
}

/// A version that a group does not have is not found as an object is not; of a group nobody has there is no page.
#[tokio::test]
async fn versions_nobody_serves() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let why = "the server could not find the requested resource";
    let answer = admin.get("/apis/batch/v1beta1").await;
    answer.refused(404, "NotFound", why);
    let answer = admin.get("/apis/nobody.example.com/v1").await;
    assert_eq!(&*answer.bytes, b"404 page not found\n");
}
