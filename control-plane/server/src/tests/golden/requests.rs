//! The requests behind the captures, in the order in which they were sent.

use serde_json::json;

/// Who asks.
#[derive(Clone, Copy)]
pub(super) enum Who {
    Admin,
    Anonymous,
}

/// One request, and the capture of its answer.
pub(super) struct Request {
    pub(super) name: &'static str,
    pub(super) method: &'static str,
    /// `BEFORE` stands for the version before the first pod.
    pub(super) path: &'static str,
    pub(super) headers: Vec<(&'static str, &'static str)>,
    pub(super) body: String,
    pub(super) who: Who,
}

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const PODS: &str = "/api/v1/namespaces/default/pods";
const POD: &str = "/api/v1/namespaces/default/pods/p";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const SCALE: &str = "/apis/apps/v1/namespaces/default/deployments/d/scale";
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const UNKNOWN: &str = "application/json;as=PartialObjectMetadata;v=v9;g=meta.k8s.io";
const PARTIALS: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";

fn ask(name: &'static str, method: &'static str, path: &'static str, body: String) -> Request {
    let headers = match method {
        "GET" | "DELETE" if body.is_empty() => vec![],
        _ => vec![("content-type", "application/json")],
    };
    Request {
        name,
        method,
        path,
        headers,
        body,
        who: Who::Admin,
    }
}

fn get(name: &'static str, path: &'static str) -> Request {
    ask(name, "GET", path, String::new())
}

fn post(name: &'static str, path: &'static str, body: serde_json::Value) -> Request {
    ask(name, "POST", path, body.to_string())
}

impl Request {
    fn accepting(mut self, accept: &'static str) -> Request {
        self.headers.push(("accept", accept));
        self
    }

    fn sending(mut self, content_type: &'static str) -> Request {
        self.headers = vec![("content-type", content_type)];
        self
    }
}

pub(super) fn requests() -> Vec<Request> {
    let mut all = discovery();
    all.extend(config_maps());
    all.extend(pods());
    all.extend(lists_and_watches());
    all.extend(endings());
    all.extend(what_is_there_from_the_start());
    all
}

fn discovery() -> Vec<Request> {
    vec![
        get("version", "/version"),
        get("api", "/api"),
        get("apis", "/apis"),
        get("apiv1", "/api/v1"),
        get("api_agg", "/api").accepting(AGGREGATED),
        get("apis_agg", "/apis").accepting(AGGREGATED),
        get("readyz", "/readyz?verbose"),
        get("nopath", "/nope"),
        get("nslist", "/api/v1/namespaces"),
        get("notfound", "/api/v1/namespaces/default/pods/nope"),
        post(
            "badmethod",
            "/api/v1/namespaces/default/pods/nope",
            json!({}),
        ),
    ]
}

fn config_maps() -> Vec<Request> {
    const ONE: &str = "/api/v1/namespaces/default/configmaps/a";
    const APPLY: &str = "application/apply-patch+yaml";
    let named = |name: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name}, "data": {"k": "v"}})
    };
    let odd = |name: &str| {
        let mut map = named(name);
        map["bogus"] = json!(1);
        map
    };
    let with = |field: &str, value: &str| {
        let mut map = named("a");
        map["metadata"][field] = json!(value);
        map.to_string()
    };
    let apply = |name: &'static str, path: &'static str, value: &str| {
        let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "s"},
            "data": {"k": value}});
        ask(name, "PATCH", path, body.to_string()).sending(APPLY)
    };
    vec![
        post("cm_create_warn", MAPS, odd("a")),
        post("cm_create_exists", MAPS, odd("a")),
        post(
            "cm_create_strict",
            "/api/v1/namespaces/default/configmaps?fieldValidation=Strict",
            odd("b"),
        ),
        post("cm_badname", MAPS, named("A_b")),
        post(
            "cm_noname",
            MAPS,
            json!({"apiVersion": "v1", "kind": "ConfigMap"}),
        ),
        post(
            "cm_nonexist_ns",
            "/api/v1/namespaces/nope/configmaps",
            named("a"),
        ),
        post("cm_form", MAPS, named("c")).sending("application/x-www-form-urlencoded"),
        post("cm_text", MAPS, named("c")).sending("text/plain"),
        ask(
            "cm_put_create",
            "PUT",
            "/api/v1/namespaces/default/configmaps/zz",
            named("zz").to_string(),
        ),
        ask("cm_put_conflict", "PUT", ONE, with("resourceVersion", "1")),
        ask("cm_put_nouid", "PUT", ONE, with("uid", "123")),
        apply(
            "ssa1",
            "/api/v1/namespaces/default/configmaps/s?fieldManager=m1",
            "1",
        ),
        apply(
            "ssa_conflict",
            "/api/v1/namespaces/default/configmaps/s?fieldManager=m2",
            "2",
        ),
        apply("ssa_nomgr", "/api/v1/namespaces/default/configmaps/s", "3"),
    ]
}

fn pods() -> Vec<Request> {
    const STRATEGIC: &str = "application/strategic-merge-patch+json";
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec":
        {"containers": [{"name": "c", "image": "nginx", "ports": [{"containerPort": 80}]}]}});
    let empty = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "q"},
        "spec": {"containers": []}});
    let account =
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
    let patch = |name: &'static str, kind: &'static str, body: serde_json::Value| {
        ask(name, "PATCH", POD, body.to_string()).sending(kind)
    };
    let test = json!([{"op": "test", "path": "/metadata/name", "value": "other"}]);
    vec![
        post("pod_forbidden_sa", PODS, pod.clone()),
        post("sa", "/api/v1/namespaces/default/serviceaccounts", account),
        post("pod", PODS, pod),
        post("pod_invalid", PODS, empty),
        patch(
            "pod_smp",
            STRATEGIC,
            json!({"metadata": {"labels": {"a": "b"}}}),
        ),
        patch("pod_immut", STRATEGIC, json!({"spec": {"nodeName": "x"}})),
        patch("pod_jsonpatch_bad", "application/json-patch+json", test),
        patch("pod_patch_badct", "text/plain", json!({})),
        get("accept_yaml", POD).accepting("application/yaml"),
        get("accept_pb", POD).accepting("application/vnd.kubernetes.protobuf"),
        get("accept_cbor", POD).accepting("application/cbor"),
        get("accept_bad", PODS).accepting("text/html"),
        get("pods_table", PODS).accepting(TABLE),
        get(
            "pods_table_full",
            "/api/v1/namespaces/default/pods?includeObject=Object",
        )
        .accepting(TABLE),
        get("pods_pom", PODS).accepting(PARTIALS),
        get("pod_pom_badaccept", POD).accepting(UNKNOWN),
    ]
}

fn lists_and_watches() -> Vec<Request> {
    vec![
        get("list_limit", "/api/v1/namespaces?limit=1"),
        get(
            "fieldsel_bad",
            "/api/v1/namespaces/default/pods?fieldSelector=spec.foo%3Dx",
        ),
        get(
            "labsel_bad",
            "/api/v1/namespaces/default/pods?labelSelector=a%20in%20(",
        ),
        get("cont_bad", "/api/v1/namespaces?limit=1&continue=gQ"),
        get(
            "rv_exact_old",
            "/api/v1/namespaces/default/pods?resourceVersion=1&resourceVersionMatch=Exact",
        ),
        get(
            "rv_future",
            "/api/v1/namespaces/default/pods?resourceVersion=999999999",
        ),
        get(
            "rvm_bad",
            "/api/v1/namespaces/default/pods?resourceVersionMatch=Exact",
        ),
        get(
            "watch_old",
            "/api/v1/namespaces/default/pods?watch=1&timeoutSeconds=1&resourceVersion=BEFORE",
        ),
        get(
            "watch_init",
            "/api/v1/namespaces/default/pods?watch=1&timeoutSeconds=1&sendInitialEvents=true\
             &resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
        ),
        get(
            "watch_init_bad",
            "/api/v1/namespaces/default/pods?watch=1&timeoutSeconds=1&sendInitialEvents=true",
        ),
        get(
            "watch_rv0",
            "/api/v1/namespaces/default/pods?watch=1&timeoutSeconds=1&resourceVersion=0",
        ),
        get(
            "watch_table",
            "/api/v1/namespaces/default/pods?watch=1&timeoutSeconds=1",
        )
        .accepting(TABLE),
    ]
}

fn endings() -> Vec<Request> {
    const MAP: &str = "/api/v1/namespaces/default/configmaps/a";
    let wrong =
        json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": "nope"}});
    let eviction =
        json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}});
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}});
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "c", "image": "nginx"}]}}}});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
        "spec": {"selector": {"a": "b"}, "ports": [{"port": 80}]}});
    let token = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": {"audiences": ["x"], "expirationSeconds": 600}});
    let replicas = json!({"spec": {"replicas": 3}}).to_string();
    let plain = |name, path| ask(name, "DELETE", path, String::new());
    vec![
        post(
            "dryrun_bad",
            "/api/v1/namespaces/default/configmaps?dryRun=foo",
            map,
        ),
        ask("del_opts", "DELETE", MAP, wrong.to_string()),
        plain("del_ok", MAP),
        plain("del_pod", POD),
        post("ev", "/api/v1/namespaces/default/pods/p/eviction", eviction),
        plain("dc", MAPS),
        post(
            "ssar",
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            review,
        ),
        post("deploy", DEPLOYMENTS, deployment),
        get("scale", SCALE),
        ask("scale_patch", "PATCH", SCALE, replicas).sending("application/merge-patch+json"),
        get("anon_forbidden", PODS),
        post("svc", "/api/v1/namespaces/default/services", service),
        post(
            "tokenreq",
            "/api/v1/namespaces/default/serviceaccounts/default/token",
            token,
        ),
        Request {
            who: Who::Anonymous,
            ..get("anon", "/api/v1/pods")
        },
    ]
}

fn what_is_there_from_the_start() -> Vec<Request> {
    vec![
        get("allns", "/api/v1/namespaces"),
        get("apiservices", "/apis/apiregistration.k8s.io/v1/apiservices"),
        get(
            "clusterrolebindings",
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        ),
        get(
            "clusterroles",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles",
        ),
        get("endpointslices", "/apis/discovery.k8s.io/v1/endpointslices"),
        get(
            "flowschemas",
            "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas",
        ),
        get("leases", "/apis/coordination.k8s.io/v1/leases"),
        get("prio", "/apis/scheduling.k8s.io/v1/priorityclasses"),
        get("services", "/api/v1/services"),
    ]
}
