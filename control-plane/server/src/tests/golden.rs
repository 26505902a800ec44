//! The answers of a kube-apiserver 1.36.2 beside ours: the requests that led to `../shared/golden`, in their order, sent
//! to a fresh server. Where the answers differ, `differences.txt` says why; any other difference fails.

mod compare;
mod requests;

use std::cell::Cell;
use std::path::{Path, PathBuf};

use sampan_api::protobuf;

use super::*;
use compare::{Difference, differences, normalized};
use requests::{Request, Who, requests};

/// Beside the repository.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden")
}

#[tokio::test]
async fn answers_are_those_of_a_kube_apiserver() {
    let folder = folder();
    if !folder.is_dir() {
        println!("skipped: needs ../shared/golden");
        return;
    }
    let allowed = Allowed::read();
    let cluster = Cluster::start().await;
    let (mut found, mut compared) = (Vec::new(), 0);
    // The version before the first pod, for the watch that starts in the past.
    let mut before = 0;
    for request in requests() {
        let answer = ask(&cluster, &request, before).await;
        if request.name == "sa" {
            before = version(&answer.json());
        }
        let golden = golden(&folder, request.name);
        let ours = normalized(described(
            answer.status.as_u16(),
            |name| {
                answer
                    .headers
                    .get_all(name)
                    .iter()
                    .filter_map(|value| value.to_str().ok())
                    .map(str::to_owned)
                    .collect()
            },
            &answer.bytes,
        ));
        for difference in differences(&golden, &ours) {
            let reason = allowed.find(request.name, &difference);
            if reason.is_none() {
                found.push(format!("{} {difference}", request.name));
            }
        }
        compared += 1;
    }
    assert_eq!(compared, captures(&folder), "a capture is not asked for");
    let unused = allowed.unused();
    assert!(
        found.is_empty() && unused.is_empty(),
        "differences that are not listed:\n{}\nlisted, but not there any more:\n{}",
        found.join("\n"),
        unused.join("\n"),
    );
}

async fn ask(cluster: &Cluster, request: &Request, before: u64) -> Answer {
    // It decides the name of the field manager, and that answers are indented.
    let mut headers = vec![("user-agent", "curl/8.5.0")];
    headers.extend(request.headers.iter().copied());
    let path = request.path.replace("BEFORE", &before.to_string());
    let user = match request.who {
        Who::Admin => UserInfo::admin(),
        Who::Anonymous => UserInfo::anonymous(),
    };
    let client = cluster.client(user);
    client
        .send(request.method, &path, &headers, request.body.clone())
        .await
}

fn captures(folder: &Path) -> usize {
    let files = std::fs::read_dir(folder).expect("a folder");
    files
        .filter_map(|file| file.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".hdr"))
        // A token nobody knows is refused by authentication, which in-process requests do not pass.
        .filter(|name| name != "unauth.hdr")
        .count()
}

/// What was answered then.
fn golden(folder: &Path, name: &str) -> Value {
    let read = |ending: &str| {
        let file = folder.join(format!("{name}.{ending}"));
        std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    };
    let head = String::from_utf8(read("hdr")).expect("text");
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status = status.and_then(|code| code.parse().ok()).expect("a status");
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let all = |wanted: &str| {
        let same = headers.iter().filter(|(name, _)| name == wanted);
        same.map(|(_, value)| value.clone()).collect()
    };
    normalized(described(status, all, &read("body")))
}

/// An answer as one value.
fn described(status: u16, header: impl Fn(&str) -> Vec<String>, body: &[u8]) -> Value {
    const COMPARED: [&str; 7] = [
        "cache-control",
        "content-type",
        "location",
        "retry-after",
        "vary",
        "warning",
        "x-content-type-options",
    ];
    /// Of these it only counts that they are there.
    const PRESENT: [&str; 4] = [
        "audit-id",
        "etag",
        "x-kubernetes-pf-flowschema-uid",
        "x-kubernetes-pf-prioritylevel-uid",
    ];
    let mut headers = serde_json::Map::new();
    for name in COMPARED {
        let values = header(name);
        if !values.is_empty() {
            headers.insert(name.to_owned(), values.join("\n").into());
        }
    }
    for name in PRESENT {
        if !header(name).is_empty() {
            headers.insert(name.to_owned(), true.into());
        }
    }
    let kind = header("content-type").concat();
    json!({ "status": status, "headers": headers, "body": body_value(&kind, body) })
}

fn body_value(content_type: &str, body: &[u8]) -> Value {
    if content_type.contains("protobuf") {
        return protobuf::decode(body)
            .map_or_else(|error| error.message.into(), |(_, value)| value);
    }
    let text = String::from_utf8_lossy(body);
    if content_type.contains("yaml") {
        return serde_saphyr::from_str(&text).unwrap_or_else(|error| error.to_string().into());
    }
    if let Ok(value) = serde_json::from_slice(body) {
        return value;
    }
    // A watch: one event a line.
    let events: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
    match events {
        Ok(events) if !events.is_empty() => events.into(),
        _ => text.into_owned().into(),
    }
}

/// The differences that are meant: request and path, and whether the line was needed.
struct Allowed {
    lines: Vec<(&'static str, &'static str, Cell<bool>)>,
}

impl Allowed {
    fn read() -> Allowed {
        let lines = include_str!("golden/differences.txt").lines();
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let lines = lines.map(|line| {
            let mut words = line.splitn(3, char::is_whitespace);
            let (request, path) = (words.next(), words.next());
            let reason = words
                .next()
                .map(str::trim)
                .filter(|reason| reason.len() > 10);
            assert!(reason.is_some(), "no reason: {line}");
            (
                request.unwrap_or_default(),
                path.unwrap_or_default(),
                Cell::new(false),
            )
        });
        Allowed {
            lines: lines.collect(),
        }
    }

    fn find(&self, request: &str, difference: &Difference) -> Option<()> {
        let (_, _, used) = self.lines.iter().find(|(name, path, _)| {
            let name = name.trim_start_matches('?');
            compare::fits(name, request) && compare::fits(path, &difference.path)
        })?;
        used.set(true);
        Some(())
    }

    fn unused(&self) -> Vec<String> {
        let needed = |name: &str, used: &Cell<bool>| used.get() || name.starts_with('?');
        let unused = self.lines.iter();
        let unused = unused.filter(|(name, _, used)| !needed(name, used));
        unused
            .map(|(name, path, _)| format!("{name} {path}"))
            .collect()
    }
}
