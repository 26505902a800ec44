//! Where the time of creates goes, by the server's own counters before and after them. Servers that do not have these
//! counters get no profile.

use std::collections::BTreeMap;

use http::{Method, StatusCode};

use crate::connection::Endpoint;
use crate::table::Summary;

/// The steps in their order: name, counter, phase.
const STEPS: [(&str, &str, &str); 13] = [
    ("decode", SERVER, "decode"),
    ("admit", SERVER, "admit"),
    ("default", SERVER, "default"),
    ("own (managedFields)", SERVER, "own"),
    ("validate", SERVER, "validate"),
    ("encode", SERVER, "encode"),
    ("  queue", STORE, "queue"),
    ("  stage", STORE, "stage"),
    ("  sync", STORE, "sync"),
    ("  publish", STORE, "publish"),
    ("  answer", STORE, "answer"),
    ("store, all of it", SERVER, "store"),
    ("respond", SERVER, "respond"),
];

const SERVER: &str = "sampan_create_phase_seconds_total";
const STORE: &str = "sampan_store_write_phase_seconds_total";
const WRITES: &str = "sampan_store_writes_total";
const COMMITS: &str = "sampan_store_commit_duration_seconds_count";

/// The counters at one moment.
pub(crate) struct Profile(BTreeMap<String, f64>);

impl Profile {
    /// Reads `/metrics`; what cannot be read counts as nothing.
    pub(crate) async fn read(endpoint: &Endpoint) -> anyhow::Result<Profile> {
        let mut connection = endpoint.connect().await?;
        let status = connection.send(&Method::GET, "/metrics", &[]).await?;
        if status != StatusCode::OK {
            return Ok(Profile(BTreeMap::new()));
        }
        let body = connection.rest().await?;
        let text = String::from_utf8_lossy(&body);
        let samples = text.lines().filter(|line| line.starts_with("sampan_"));
        let samples = samples.filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        });
        Ok(Profile(samples.collect()))
    }

    /// Prints what happened since `before`, for creates that looked to their clients as in `summary`.
    pub(crate) fn print_since(&self, before: &Profile, summary: Summary) {
        let since = |series: &str| {
            let value = |profile: &Profile| profile.0.get(series).copied().unwrap_or(0.0);
            value(self) - value(before)
        };
        let writes = since(WRITES);
        if writes < 1.0 {
            return;
        }
        let phase = |counter: &str, phase: &str| since(&format!("{counter}{{phase=\"{phase}\"}}"));
        println!();
        println!(
            "{:<38} {:>10} {:>10}",
            "where a create's time goes", "µs each", "share"
        );
        let inside: f64 = STEPS
            .iter()
            .filter(|(_, counter, _)| *counter == SERVER)
            .map(|(_, counter, name)| phase(counter, name))
            .sum();
        let line = |name: &str, seconds: f64, whole: f64| {
            let each = seconds / writes * 1e6;
            println!("{name:<38} {each:>10.1} {:>9.1}%", seconds / whole * 100.0);
        };
        let whole = summary.mean_ms / 1000.0 * writes;
        for (name, counter, step) in STEPS {
            line(name, phase(counter, step), whole);
        }
        let name = "HTTP, TLS, waiting for a processor";
        line(name, (whole - inside).max(0.0), whole);
        println!(
            "{:<38} {:>10.1}",
            "writes per transaction",
            writes / since(COMMITS).max(1.0)
        );
        println!();
    }
}
