//! `/metrics`: upstream's names and labels, in a format that parses, for those who may read it.

use std::collections::{BTreeMap, HashSet};

use super::*;

/// One sample: its name, its labels, its value.
type Samples = BTreeMap<(String, BTreeMap<String, String>), f64>;

/// Reads Prometheus' text format strictly, and checks what every reader relies on.
fn parse(text: &str) -> Samples {
    let mut samples = Samples::new();
    let mut types = BTreeMap::new();
    let mut family = String::new();
    let mut helped = HashSet::new();
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a help text");
            assert!(!help.is_empty() && helped.insert(name), "{line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(types.insert(name.to_owned(), kind.to_owned()).is_none());
            assert!(helped.contains(name), "{name} says nothing about itself");
            family = name.to_owned();
        } else {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let ends = match &*types[&family] {
                "histogram" => &["_bucket", "_sum", "_count"][..],
                _ => &[""],
            };
            let ours = ends.iter().any(|end| name == format!("{family}{end}"));
            assert!(ours, "{name} stands below {family}");
            let labels = read_labels(labels);
            let old = samples.insert((name.to_owned(), labels), value);
            assert!(old.is_none(), "twice: {line}");
        }
    }
    check_histograms(&samples, &types);
    samples
}

fn read_labels(text: &str) -> BTreeMap<String, String> {
    let text = text.strip_suffix('}').expect("labels end");
    let pairs = text.split(',').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').expect("a pair");
            let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
            (name.to_owned(), value.expect("quoted").to_owned())
        })
        .collect()
}

/// Buckets grow, and the last one holds everything.
fn check_histograms(samples: &Samples, types: &BTreeMap<String, String>) {
    for (name, _) in types.iter().filter(|(_, kind)| *kind == "histogram") {
        let mut series: BTreeMap<BTreeMap<String, String>, Vec<(f64, f64)>> = BTreeMap::new();
        for ((_, labels), count) in samples
            .iter()
            .filter(|((sample, _), _)| *sample == format!("{name}_bucket"))
        {
            let mut labels = labels.clone();
            let bound = labels.remove("le").expect("a bound");
            let bound = bound.parse().expect("a number");
            series.entry(labels).or_default().push((bound, *count));
        }
        for (labels, mut buckets) in series {
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            let counts: Vec<f64> = buckets.iter().map(|bucket| bucket.1).collect();
            assert!(counts.is_sorted(), "{name}{labels:?}: {counts:?}");
            let last = buckets.last().expect("a bucket");
            assert_eq!(last.0, f64::INFINITY);
            let count = samples[&(format!("{name}_count"), labels)];
            assert_eq!(last.1, count, "{name}");
        }
    }
}

fn value(samples: &Samples, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let labels: BTreeMap<_, _> = labels
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    samples.get(&(name.to_owned(), labels)).copied()
}

async fn scrape(client: &Client) -> Samples {
    let answer = client.send("GET", "/metrics", &[], "").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        answer.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    parse(std::str::from_utf8(&answer.bytes).expect("text"))
}

/// The labels of requests for ConfigMaps.
fn labels<'a>(verb: &'a str, scope: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("verb", verb),
        ("group", ""),
        ("version", "v1"),
        ("resource", "configmaps"),
        ("subresource", ""),
        ("scope", scope),
        ("component", "apiserver"),
    ]
}

fn with<'a>(
    mut labels: Vec<(&'a str, &'a str)>,
    more: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    labels.extend(more);
    labels
}

#[tokio::test]
async fn requests_are_counted_by_what_they_were() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let path = "/api/v1/namespaces/default/configmaps";
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}});
    admin.create(path, object.clone()).await;
    let again = admin.send("POST", path, &[], object.to_string()).await;
    again.expect(409);
    let dry = format!("{path}?dryRun=All");
    let other = object.to_string().replace("\"a\"", "\"b\"");
    admin.send("POST", &dry, &[], other).await.expect(201);
    for _ in 0..3 {
        admin.send("GET", &format!("{path}/a"), &[], "").await;
    }
    admin.send("GET", path, &[], "").await;
    admin.send("GET", "/api/v1/configmaps", &[], "").await;
    admin.send("GET", "/readyz", &[], "").await;
    admin.send("GET", "/no/such/path", &[], "").await;

    let seen = scrape(&admin).await;
    let total = |verb, scope, dry_run, code| {
        let labels = with(labels(verb, scope), &[("dry_run", dry_run), ("code", code)]);
        value(&seen, "apiserver_request_total", &labels)
    };
    assert_eq!(total("POST", "resource", "", "201"), Some(1.0));
    assert_eq!(total("POST", "resource", "", "409"), Some(1.0));
    assert_eq!(total("POST", "resource", "All", "201"), Some(1.0));
    assert_eq!(total("GET", "resource", "", "200"), Some(3.0));
    assert_eq!(total("LIST", "namespace", "", "200"), Some(1.0));
    assert_eq!(total("LIST", "cluster", "", "200"), Some(1.0));
    let took = with(labels("GET", "resource"), &[("dry_run", "")]);
    let count = "apiserver_request_duration_seconds_count";
    assert_eq!(value(&seen, count, &took), Some(3.0));
    let sizes = value(
        &seen,
        "apiserver_response_sizes_sum",
        &labels("GET", "resource"),
    );
    assert!(sizes.is_some_and(|bytes| bytes > 600.0), "{sizes:?}");
    let bounds: HashSet<&str> = seen
        .keys()
        .filter(|(name, _)| name == "apiserver_request_duration_seconds_bucket")
        .map(|(_, labels)| &*labels["le"])
        .collect();
    assert_eq!(bounds.len(), 24);
    assert!(
        ["0.005", "1.25", "60", "+Inf"]
            .iter()
            .all(|bound| bounds.contains(bound))
    );
    let health = |(name, labels): &(String, BTreeMap<String, String>)| {
        name == "apiserver_request_total" && labels["subresource"] == "/readyz"
    };
    assert!(seen.keys().any(health));
    let strange = seen
        .keys()
        .any(|(_, labels)| labels.values().any(|v| v.contains("such")));
    assert!(!strange, "what a client names is not remembered");
}

#[tokio::test]
async fn the_store_is_told_in_numbers() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let kind = [("resource", "configmaps")];
    let created = [
        ("operation", "create"),
        ("group", ""),
        ("resource", "configmaps"),
    ];
    // The server makes some of its own.
    let before = scrape(&admin).await;
    for n in 0..5 {
        let object =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("n{n}")}});
        admin
            .create("/api/v1/namespaces/default/configmaps", object)
            .await;
    }
    let seen = scrape(&admin).await;
    let more = |name, labels: &[(&str, &str)]| {
        let [new, old] = [&seen, &before].map(|samples| value(samples, name, labels));
        new.unwrap_or(0.0) - old.unwrap_or(0.0)
    };
    assert_eq!(more("apiserver_storage_objects", &kind), 5.0);
    assert_eq!(more("etcd_request_duration_seconds_count", &created), 5.0);
    for (name, labels, least) in [
        (
            "apiserver_storage_size_bytes",
            &[("storage_cluster_id", "sqlite-0")][..],
            4096.0,
        ),
        (
            "apiserver_storage_db_total_size_in_bytes",
            &[("endpoint", "sqlite-0")],
            4096.0,
        ),
        ("sampan_store_writes_total", &[], 5.0),
        ("sampan_store_commit_duration_seconds_count", &[], 1.0),
        ("sampan_store_batch_writes_sum", &[], 5.0),
        ("sampan_store_history_events", &[], 5.0),
        ("sampan_store_healthy", &[], 1.0),
        (
            "sampan_store_write_phase_seconds_total",
            &[("phase", "sync")],
            1e-6,
        ),
        (
            "sampan_create_phase_seconds_total",
            &[("phase", "decode")],
            1e-9,
        ),
        ("process_resident_memory_bytes", &[], 1e6),
        ("process_open_fds", &[], 3.0),
        ("process_start_time_seconds", &[], 1.6e9),
    ] {
        let found = value(&seen, name, labels);
        assert!(
            found.is_some_and(|found| found >= least),
            "{name}: {found:?}"
        );
    }
}

#[tokio::test]
async fn watches_are_counted_while_they_are_open() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let path = "/api/v1/namespaces/default/configmaps";
    let request = Request::builder().uri(format!("{path}?watch=1"));
    let mut watch = admin
        .raw(request.body(Body::empty()).expect("a request"))
        .await
        .into_body()
        .into_data_stream();
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    admin.create(path, object).await;
    // Upstream publishes the CA to each namespace; here nobody does, so this is the only event.
    let piece = tokio::time::timeout(PATIENCE, watch.next()).await;
    piece.expect("in time").expect("an event").expect("bytes");
    let kind = [("group", ""), ("version", "v1"), ("resource", "configmaps")];
    let open = labels("WATCH", "namespace");
    let seen = scrape(&admin).await;
    assert_eq!(
        value(&seen, "apiserver_longrunning_requests", &open),
        Some(1.0)
    );
    assert_eq!(
        value(&seen, "apiserver_watch_events_total", &kind),
        Some(1.0)
    );
    assert_eq!(
        value(&seen, "apiserver_watch_events_sizes_count", &kind),
        Some(1.0)
    );
    let answered = with(open.clone(), &[("dry_run", ""), ("code", "200")]);
    assert_eq!(
        value(&seen, "apiserver_request_total", &answered),
        None,
        "it goes on"
    );
    drop(watch);
    let seen = scrape(&admin).await;
    assert_eq!(
        value(&seen, "apiserver_longrunning_requests", &open),
        Some(0.0)
    );
    assert_eq!(
        value(&seen, "apiserver_request_total", &answered),
        Some(1.0)
    );
}

#[tokio::test]
async fn who_may_read_them() {
    let cluster = Cluster::start().await;
    let nobody = cluster.client(UserInfo::new("jane", []));
    let answer = nobody.send("GET", "/metrics", &[], "").await;
    answer.refused(
        403,
        "Forbidden",
        "forbidden: User \"jane\" cannot get path \"/metrics\"",
    );
    let monitoring = cluster.client(UserInfo::new("prometheus", ["system:monitoring".into()]));
    scrape(&monitoring).await;
    let posted = cluster.admin().send("POST", "/metrics", &[], "").await;
    assert_eq!(posted.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_server_that_never_writes_again_is_not_well() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    cluster.server.close().await;
    for (path, code, text) in [
        (
            "/livez",
            500,
            "[+]ping ok\n[+]log ok\n[-]etcd failed: reason withheld\nlivez check failed\n",
        ),
        (
            "/livez/etcd",
            500,
            "internal server error: the store is closed: the server is shutting down\n",
        ),
        (
            "/readyz/etcd",
            500,
            "internal server error: the store is closed: the server is shutting down\n",
        ),
        ("/livez/ping", 200, "ok"),
    ] {
        let answer = admin.get(path).await;
        assert_eq!(
            (answer.status.as_u16(), &*answer.bytes),
            (code, text.as_bytes()),
            "{path}"
        );
    }
    let status = admin
        .get("/api/v1/componentstatuses/etcd-0")
        .await
        .expect(200);
    assert_eq!(status["conditions"][0]["status"], "False");
}
