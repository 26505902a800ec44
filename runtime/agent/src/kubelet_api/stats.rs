//! `GET /stats/summary` and `GET /metrics/resource`: what the node, its pods and their containers use.
//!
//! Figures are the runtime's and the kernel's at the moment of the request; nothing is sampled in between, so there
//! are totals and no rates: whoever asks twice can tell the rate.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use sampan_proto::v1;
use serde_json::{Value, json};

use super::Api;
use crate::cri::names;

/// What one container uses.
#[derive(Clone, Debug, PartialEq)]
struct Usage {
    container: String,
    started: Option<Timestamp>,
    at: Timestamp,
    cpu_nanos: u64,
    memory_bytes: u64,
}

/// A pod by namespace, name and UID.
type PodKey = (String, String, String);

/// All that is told.
#[derive(Clone, Debug, Default, PartialEq)]
struct Snapshot {
    node: String,
    at: Timestamp,
    node_cpu_nanos: u64,
    node_memory: (u64, u64),
    pods: BTreeMap<PodKey, Vec<Usage>>,
}

pub(super) async fn summary(State(api): State<Api>) -> Response {
    match snapshot(&api).await {
        Ok(snapshot) => axum::Json(summary_of(&snapshot)).into_response(),
        Err(message) => (StatusCode::INTERNAL_SERVER_ERROR, message).into_response(),
    }
}

pub(super) async fn resource_metrics(State(api): State<Api>) -> Response {
    let snapshot = snapshot(&api).await;
    let error = snapshot.is_err();
    let text = metrics_of(&snapshot.unwrap_or_default(), error);
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

async fn snapshot(api: &Api) -> Result<Snapshot, String> {
    let request = v1::ListContainerStatsRequest::default();
    let listed = api.shared.runtime.list_container_stats(request).await;
    let stats = listed.map_err(|error| error.message)?.stats;
    let host = tokio::task::spawn_blocking(|| {
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        (text("/proc/stat"), text("/proc/meminfo"))
    });
    let (cpu, memory) = host.await.unwrap_or_default();
    Ok(Snapshot {
        node: api.shared.facts.name.clone(),
        at: Timestamp::now(),
        node_cpu_nanos: busy_nanos(&cpu, rustix::param::clock_ticks_per_second()),
        node_memory: used_memory(&memory),
        pods: usages(stats, &api.shared.registry.pods()),
    })
}

fn usages(stats: Vec<v1::ContainerStats>, pods: &[Pod]) -> BTreeMap<PodKey, Vec<Usage>> {
    let statuses = pods.iter().filter_map(|pod| pod.status.as_ref());
    let started: BTreeMap<&str, Timestamp> = statuses
        .flat_map(|status| {
            let init = status.init_container_statuses.iter().flatten();
            let ephemeral = status.ephemeral_container_statuses.iter().flatten();
            init.chain(status.container_statuses.iter().flatten())
                .chain(ephemeral)
        })
        .filter_map(|status| {
            let (_, id) = status.container_id.as_ref()?.split_once("://")?;
            let running = status.state.as_ref()?.running.as_ref()?;
            Some((id, running.started_at.as_ref()?.0))
        })
        .collect();
    let mut usages: BTreeMap<PodKey, Vec<Usage>> = BTreeMap::new();
    for stats in stats {
        let attributes = stats.attributes.unwrap_or_default();
        let label = |key: &str| attributes.labels.get(key).cloned();
        let (Some(container), Some(name)) = (label(names::CONTAINER_NAME), label(names::POD_NAME))
        else {
            continue;
        };
        let key = (
            label(names::POD_NAMESPACE).unwrap_or_default(),
            name,
            label(names::POD_UID).unwrap_or_default(),
        );
        let cpu = stats.cpu.unwrap_or_default();
        let memory = stats.memory.unwrap_or_default();
        usages.entry(key).or_default().push(Usage {
            started: started.get(attributes.id.as_str()).copied(),
            container,
            at: Timestamp::from_nanosecond(i128::from(cpu.timestamp)).unwrap_or_default(),
            cpu_nanos: cpu.usage_core_nano_seconds.unwrap_or_default().value,
            memory_bytes: memory.working_set_bytes.unwrap_or_default().value,
        });
    }
    usages
}

/// As the kubelet's `stats/v1alpha1` has it.
fn summary_of(snapshot: &Snapshot) -> Value {
    let cpu = |at: Timestamp, nanos: u64| json!({ "time": at, "usageCoreNanoSeconds": nanos });
    let memory = |at: Timestamp, bytes: u64| json!({ "time": at, "usageBytes": bytes, "workingSetBytes": bytes, "rssBytes": bytes });
    let container = |usage: &Usage| {
        json!({
            "name": usage.container,
            "startTime": usage.started,
            "cpu": cpu(usage.at, usage.cpu_nanos),
            "memory": memory(usage.at, usage.memory_bytes),
        })
    };
    let pods = snapshot
        .pods
        .iter()
        .map(|((namespace, name, uid), usages)| {
            let (nanos, bytes) = sums(usages);
            json!({
                "podRef": { "name": name, "namespace": namespace, "uid": uid },
                "startTime": usages.iter().filter_map(|usage| usage.started).min(),
                "containers": usages.iter().map(container).collect::<Vec<_>>(),
                "cpu": cpu(snapshot.at, nanos),
                "memory": memory(snapshot.at, bytes),
            })
        });
    let (used, available) = snapshot.node_memory;
    json!({
        "node": {
            "nodeName": snapshot.node,
            "cpu": cpu(snapshot.at, snapshot.node_cpu_nanos),
            "memory": {
                "time": snapshot.at,
                "availableBytes": available,
                "usageBytes": used,
                "workingSetBytes": used,
            },
        },
        "pods": pods.collect::<Vec<_>>(),
    })
}

fn sums(usages: &[Usage]) -> (u64, u64) {
    let nanos = usages.iter().map(|usage| usage.cpu_nanos).sum();
    (nanos, usages.iter().map(|usage| usage.memory_bytes).sum())
}

/// In Prometheus' text format, with the kubelet's names.
fn metrics_of(snapshot: &Snapshot, error: bool) -> String {
    let mut text = Metrics::default();
    let seconds = |nanos: u64| nanos as f64 / 1e9;
    let containers = || {
        snapshot
            .pods
            .iter()
            .flat_map(|((namespace, pod, _), usages)| {
                usages.iter().map(move |usage| {
                    let labels = format!(
                        "{{container={},namespace={},pod={}}}",
                        quoted(&usage.container),
                        quoted(namespace),
                        quoted(pod)
                    );
                    (labels, usage)
                })
            })
    };
    let pods = || {
        snapshot.pods.iter().map(|((namespace, pod, _), usages)| {
            let labels = format!("{{namespace={},pod={}}}", quoted(namespace), quoted(pod));
            (labels, sums(usages))
        })
    };
    let at = snapshot.at;
    text.family(
        "container_cpu_usage_seconds_total",
        "counter",
        "Cumulative cpu time consumed by the container in core-seconds",
    );
    for (labels, usage) in containers() {
        text.sample(&labels, seconds(usage.cpu_nanos), Some(usage.at));
    }
    text.family(
        "container_memory_working_set_bytes",
        "gauge",
        "Current working set of the container in bytes",
    );
    for (labels, usage) in containers() {
        text.sample(&labels, usage.memory_bytes as f64, Some(usage.at));
    }
    text.family(
        "container_start_time_seconds",
        "gauge",
        "Start time of the container since unix epoch in seconds",
    );
    for (labels, usage) in containers() {
        if let Some(started) = usage.started {
            text.sample(&labels, started.as_millisecond() as f64 / 1e3, None);
        }
    }
    text.family(
        "node_cpu_usage_seconds_total",
        "counter",
        "Cumulative cpu time consumed by the node in core-seconds",
    );
    text.sample("", seconds(snapshot.node_cpu_nanos), Some(at));
    text.family(
        "node_memory_working_set_bytes",
        "gauge",
        "Current working set of the node in bytes",
    );
    text.sample("", snapshot.node_memory.0 as f64, Some(at));
    text.family(
        "pod_cpu_usage_seconds_total",
        "counter",
        "Cumulative cpu time consumed by the pod in core-seconds",
    );
    for (labels, (nanos, _)) in pods() {
        text.sample(&labels, seconds(nanos), Some(at));
    }
    text.family(
        "pod_memory_working_set_bytes",
        "gauge",
        "Current working set of the pod in bytes",
    );
    for (labels, (_, bytes)) in pods() {
        text.sample(&labels, bytes as f64, Some(at));
    }
    text.family(
        "resource_scrape_error",
        "gauge",
        "1 if there was an error while getting container metrics, 0 otherwise",
    );
    text.sample("", f64::from(u8::from(error)), None);
    text.text
}

#[derive(Default)]
struct Metrics {
    text: String,
    name: &'static str,
}

impl Metrics {
    fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        self.name = name;
        // Writing to a String cannot fail.
        let _written = writeln!(
            self.text,
            "# HELP {name} [STABLE] {help}\n# TYPE {name} {kind}"
        );
    }

    fn sample(&mut self, labels: &str, value: f64, at: Option<Timestamp>) {
        let name = self.name;
        let _written = match at {
            Some(at) => writeln!(self.text, "{name}{labels} {value} {}", at.as_millisecond()),
            None => writeln!(self.text, "{name}{labels} {value}"),
        };
    }
}

/// Names of Kubernetes need no escapes; this holds whatever a label says.
fn quoted(value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", value.replace('\n', "\\n"))
}

/// Time the machine's processors were not idle, from `/proc/stat`.
fn busy_nanos(text: &str, ticks_per_second: u64) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "));
    let fields = line.unwrap_or_default().split_whitespace();
    // user, nice, system, idle, iowait, irq, softirq, steal; guests' time is in user already.
    let busy: u64 = fields
        .take(8)
        .enumerate()
        .filter(|(position, _)| !matches!(position, 3 | 4))
        .filter_map(|(_, field)| field.parse::<u64>().ok())
        .sum();
    busy.saturating_mul(1_000_000_000 / ticks_per_second.max(1))
}

/// Bytes in use and bytes available, from `/proc/meminfo`.
fn used_memory(text: &str) -> (u64, u64) {
    let bytes = |name: &str| crate::node::meminfo(text, name);
    let available = bytes("MemAvailable:");
    (bytes("MemTotal:").saturating_sub(available), available)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot() -> Snapshot {
        let at = Timestamp::from_second(1_700_000_000).unwrap();
        let usage = |container: &str, cpu_nanos, memory_bytes| Usage {
            container: container.to_owned(),
            started: Some(at),
            at,
            cpu_nanos,
            memory_bytes,
        };
        let usages = vec![usage("a", 1_500_000_000, 10), usage("b", 500_000_000, 5)];
        Snapshot {
            node: "n".into(),
            at,
            node_cpu_nanos: 9_000_000_000,
            node_memory: (7, 3),
            pods: BTreeMap::from([(("ns".into(), "p".into(), "u".into()), usages)]),
        }
    }

    #[test]
    fn a_summary_adds_up() {
        let summary = summary_of(&snapshot());
        assert_eq!(
            summary["node"]["cpu"]["usageCoreNanoSeconds"],
            9_000_000_000_u64
        );
        let pod = &summary["pods"][0];
        assert_eq!(
            pod["podRef"],
            json!({"name": "p", "namespace": "ns", "uid": "u"})
        );
        assert_eq!(pod["cpu"]["usageCoreNanoSeconds"], 2_000_000_000_u64);
        assert_eq!(pod["memory"]["workingSetBytes"], 15);
        assert_eq!(pod["containers"][1]["name"], "b");
        assert_eq!(pod["containers"][1]["startTime"], "2023-11-14T22:13:20Z");
    }

    #[test]
    fn metrics_have_the_kubelets_names() {
        let text = metrics_of(&snapshot(), false);
        for line in [
            r#"container_cpu_usage_seconds_total{container="a",namespace="ns",pod="p"} 1.5 1700000000000"#,
            r#"container_memory_working_set_bytes{container="b",namespace="ns",pod="p"} 5 1700000000000"#,
            r#"container_start_time_seconds{container="a",namespace="ns",pod="p"} 1700000000"#,
            "node_cpu_usage_seconds_total 9 1700000000000",
            "node_memory_working_set_bytes 7 1700000000000",
            r#"pod_cpu_usage_seconds_total{namespace="ns",pod="p"} 2 1700000000000"#,
            "resource_scrape_error 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        assert!(metrics_of(&Snapshot::default(), true).contains("resource_scrape_error 1\n"));
    }

    #[test]
    fn the_kernels_figures() {
        let stat = "cpu  100 20 30 1000 50 4 6 0 0 0\ncpu0 1 1 1 1\n";
        assert_eq!(busy_nanos(stat, 100), 1_600_000_000);
        assert_eq!(busy_nanos("", 100), 0);
        let memory = "MemTotal: 10 kB\nMemAvailable: 4 kB\n";
        assert_eq!(used_memory(memory), (6 * 1024, 4 * 1024));
        assert_eq!(quoted("a\"b\\\n"), r#""a\"b\\\n""#);
    }
}
