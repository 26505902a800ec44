//! FlowSchemas and PriorityLevelConfigurations that exist from the first start on: upstream's. They are objects only;
//! what protects this server is in `chain/limits`.

use serde_json::{Map, Value, json};

const API_VERSION: &str = "flowcontrol.apiserver.k8s.io/v1";

/// A priority level that queues: name, nominal shares, lendable percent, queues, hand size, queue length.
const QUEUING: [(&str, i64, i64, [i64; 3]); 6] = [
    ("system", 30, 33, [64, 6, 50]),
    ("node-high", 40, 25, [64, 6, 50]),
    ("leader-election", 10, 0, [16, 4, 50]),
    ("workload-high", 40, 50, [128, 6, 50]),
    ("workload-low", 100, 90, [128, 6, 50]),
    ("global-default", 20, 50, [128, 6, 50]),
];

/// A FlowSchema: name, level, precedence, distinguisher, and whose requests.
const SCHEMAS: [(&str, &str, i64, &str, &[&str]); 11] = [
    ("exempt", "exempt", 1, "", &["group:system:masters"]),
    ("probes", "exempt", 2, "", &EVERYBODY),
    (
        "system-leader-election",
        "leader-election",
        100,
        "ByUser",
        &[CONTROLLERS, SCHEDULER, SYSTEM_ACCOUNTS],
    ),
    ("system-node-high", "node-high", 400, "ByUser", &[NODES]),
    ("system-nodes", "system", 500, "ByUser", &[NODES]),
    (
        "kube-controller-manager",
        "workload-high",
        800,
        "ByNamespace",
        &[CONTROLLERS],
    ),
    (
        "kube-scheduler",
        "workload-high",
        800,
        "ByNamespace",
        &[SCHEDULER],
    ),
    (
        "kube-system-service-accounts",
        "workload-high",
        900,
        "ByNamespace",
        &[SYSTEM_ACCOUNTS],
    ),
    (
        "service-accounts",
        "workload-low",
        9000,
        "ByUser",
        &["group:system:serviceaccounts"],
    ),
    (
        "global-default",
        "global-default",
        9900,
        "ByUser",
        &EVERYBODY,
    ),
    ("catch-all", "catch-all", 10000, "ByUser", &EVERYBODY),
];
const EVERYBODY: [&str; 2] = ["group:system:unauthenticated", "group:system:authenticated"];
const NODES: &str = "group:system:nodes";
const CONTROLLERS: &str = "user:system:kube-controller-manager";
const SCHEDULER: &str = "user:system:kube-scheduler";
const SYSTEM_ACCOUNTS: &str = "account:kube-system/*";

/// All of them, levels before what names them.
pub(super) fn objects() -> Vec<Value> {
    let mut objects = vec![
        object(
            "PriorityLevelConfiguration",
            "exempt",
            json!({"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}}),
        ),
        level("catch-all", 5, 0, json!({"type": "Reject"})),
    ];
    objects.extend(QUEUING.iter().map(|(name, shares, lendable, queues)| {
        let [queues, hand, length] = queues;
        let queuing = json!({"queues": queues, "handSize": hand, "queueLengthLimit": length});
        level(
            name,
            *shares,
            *lendable,
            json!({"type": "Queue", "queuing": queuing}),
        )
    }));
    objects.extend(SCHEMAS.iter().map(|(name, level, precedence, distinguisher, subjects)| {
        let mut rules = rules(name);
        rules.insert("subjects".to_owned(), subjects.iter().map(|subject| self::subject(subject)).collect());
        let mut spec = json!({
            "priorityLevelConfiguration": {"name": level}, "matchingPrecedence": precedence, "rules": [rules],
        });
        if !distinguisher.is_empty() {
            spec["distinguisherMethod"] = json!({"type": distinguisher});
        }
        object("FlowSchema", name, spec)
    }));
    objects
}

fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": API_VERSION, "kind": kind,
        "metadata": {"name": name, "annotations": {"apf.kubernetes.io/autoupdate-spec": "true"}},
        "spec": spec,
    })
}

fn level(name: &str, shares: i64, lendable: i64, response: Value) -> Value {
    let limited = json!({
        "nominalConcurrencyShares": shares, "lendablePercent": lendable, "limitResponse": response,
    });
    object(
        "PriorityLevelConfiguration",
        name,
        json!({"type": "Limited", "limited": limited}),
    )
}

fn subject(word: &str) -> Value {
    match word.split_once(':') {
        Some(("group", name)) => json!({"kind": "Group", "group": {"name": name}}),
        Some(("user", name)) => json!({"kind": "User", "user": {"name": name}}),
        _ => {
            let account = word
                .strip_prefix("account:")
                .and_then(|rest| rest.split_once('/'));
            let (namespace, name) = account.unwrap_or_default();
            json!({"kind": "ServiceAccount", "serviceAccount": {"namespace": namespace, "name": name}})
        }
    }
}

/// The requests a schema is about: nearly always all.
fn rules(name: &str) -> Map<String, Value> {
    let any = json!(["*"]);
    let leases = |verbs: Value| json!({"verbs": verbs, "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "namespaces": any});
    let (resources, paths) = match name {
        "probes" => (
            None,
            Some(json!({"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]})),
        ),
        "system-leader-election" => (
            Some(json!([leases(json!(["get", "create", "update"]))])),
            None,
        ),
        "system-node-high" => {
            let nodes = json!({
                "verbs": any, "apiGroups": [""], "resources": ["nodes", "nodes/status"],
                "clusterScope": true, "namespaces": any,
            });
            (Some(json!([nodes, leases(any.clone())])), None)
        }
        _ => {
            let everything = json!({
                "verbs": any, "apiGroups": any, "resources": any, "clusterScope": true, "namespaces": any,
            });
            (
                Some(json!([everything])),
                Some(json!({"verbs": any, "nonResourceURLs": any})),
            )
        }
    };
    let mut rules = Map::new();
    if let Some(resources) = resources {
        rules.insert("resourceRules".to_owned(), resources);
    }
    if let Some(paths) = paths {
        rules.insert("nonResourceRules".to_owned(), json!([paths]));
    }
    rules
}
