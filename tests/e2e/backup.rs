//! A cluster saved while it is written to, and brought back elsewhere.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, ListParams, ObjectMeta, PostParams, WatchEvent, WatchParams};

use crate::disk::Disk;
use crate::support::{Cluster, Guest, PATIENCE, PodSpec, sampan};

fn run(args: &[&str], paths: &[&Path]) -> Output {
    sampan()
        .args(args)
        .args(paths)
        .output()
        .expect("sampan runs")
}

fn backup(data: &Path, file: &Path) -> Output {
    let data = data.to_str().expect("UTF-8");
    run(&["backup", "--data-dir", data], &[file])
}

fn restore(file: &Path, data: &Path) -> Output {
    let data = data.to_str().expect("UTF-8");
    run(&["restore", "--data-dir", data], &[file])
}

/// What it printed, when it went well.
#[track_caller]
fn text(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What it complained about.
#[track_caller]
fn error(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn object(name: &str, value: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([("value".into(), value.into())])),
        ..ConfigMap::default()
    }
}

fn number(version: Option<&String>) -> u64 {
    let text = version.expect("a resourceVersion");
    text.parse().expect("a number")
}

/// Every ConfigMap of the namespace, with its resourceVersion, at a revision or now.
async fn objects(client: &kube::Client, at: Option<u64>) -> BTreeMap<String, ConfigMap> {
    let api: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let params = match at {
        Some(revision) => ListParams::default()
            .at(&revision.to_string())
            .matching(kube::api::VersionMatch::Exact),
        None => ListParams::default(),
    };
    let list = api.list(&params).await.expect("a list");
    let items = list.items.into_iter();
    items
        .map(|object| (object.metadata.name.clone().expect("a name"), object))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_cluster_comes_back_elsewhere() {
    let cluster = Cluster::start();
    let client = cluster.client().await;
    cluster.push(Guest::Sleep, "sleep");
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let spec = PodSpec::new("lasting", "sleep").with("/spec/restartPolicy", "Always".into());
    let pod = serde_json::from_value(spec.json().clone()).expect("a pod");
    pods.create(&PostParams::default(), &pod)
        .await
        .expect("created");

    let stop = Arc::new(AtomicBool::new(false));
    let written = Arc::new(AtomicU64::new(0));
    let writer = tokio::spawn({
        let (client, stop, written) = (client.clone(), Arc::clone(&stop), Arc::clone(&written));
        async move {
            let api: Api<ConfigMap> = Api::default_namespaced(client);
            let mut round = 0;
            while !stop.load(Ordering::Relaxed) {
                let (name, value) = (format!("n{}", round % 60), round.to_string());
                let new = object(&name, &value);
                let done = match round < 60 {
                    true => api.create(&PostParams::default(), &new).await,
                    false => api.replace(&name, &PostParams::default(), &new).await,
                };
                done.expect("written");
                written.fetch_add(1, Ordering::Relaxed);
                round += 1;
            }
        }
    });
    while written.load(Ordering::Relaxed) < 100 {
        tokio::task::yield_now().await;
    }
    let elsewhere = tempfile::tempdir().expect("temp dir");
    let file = elsewhere.path().join("cluster.backup");
    let said = text(&backup(&cluster.data(), &file));
    let revision = said.split("at revision ").nth(1).expect("a revision");
    let revision: u64 = revision
        .split(' ')
        .next()
        .unwrap_or("")
        .parse()
        .expect("a number");
    let expected = objects(&client, Some(revision)).await;
    assert!(expected.len() >= 60);
    let again = error(&backup(&cluster.data(), &file));
    assert!(again.contains("exists already"), "{again}");
    stop.store(true, Ordering::Relaxed);
    writer.await.expect("the writer ends");
    let api: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let last = api.list(&ListParams::default()).await.expect("a list");
    let last = number(last.metadata.resource_version.as_ref());
    let occupied = error(&restore(&file, &cluster.data()));
    assert!(occupied.contains("is not empty"), "{occupied}");
    cluster.stop();

    let said = text(&restore(&file, &elsewhere.path().join("data")));
    assert!(said.contains("sampan up --data-dir"), "{said}");
    let cluster = Cluster::start_in(elsewhere, &[]);
    let client = cluster.client().await;
    assert_eq!(objects(&client, None).await, expected);
    // The image came along, so its pod runs.
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let running = kube::runtime::wait::await_condition(
        pods,
        "lasting",
        kube::runtime::wait::conditions::is_pod_running(),
    );
    tokio::time::timeout(PATIENCE, running)
        .await
        .expect("in time")
        .expect("watched");
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let created = api
        .create(&PostParams::default(), &object("new", "x"))
        .await
        .expect("created");
    let next = number(created.metadata.resource_version.as_ref());
    assert!(next > last + 1_000_000, "{next} is too close to {last}");
    // Who watched the old cluster is told to list again.
    let mut watch = api
        .watch(&WatchParams::default(), &last.to_string())
        .await
        .expect("a watch")
        .boxed();
    match watch.try_next().await.expect("an event") {
        Some(WatchEvent::Error(status)) => assert_eq!(status.code, 410),
        other => panic!("{other:?}"),
    }
    cluster.stop();
}

#[test]
fn a_stopped_cluster_and_bad_archives() {
    let cluster = Cluster::start();
    let data = cluster.data();
    let program = cluster.program;
    program.signal("TERM");
    let (status, output) = program.finish();
    assert!(status.success(), "{output}");
    let folder = cluster.folder.path();
    let file = folder.join("backup");
    text(&backup(&data, &file));
    let content = std::fs::read(&file).expect("readable");
    let (bad, target) = (folder.join("bad"), folder.join("target"));
    for (what, content) in [
        ("is damaged", &content[..content.len() / 2]),
        ("is not a backup", &b"something else"[..]),
    ] {
        std::fs::write(&bad, content).expect("writable");
        let said = error(&restore(&bad, &target));
        assert!(said.contains(what) && said.contains("bad"), "{said}");
        assert!(!target.exists());
    }
    let nothing = error(&backup(&target, &folder.join("other")));
    assert!(nothing.contains("holds no state"), "{nothing}");
    let missing = error(&restore(&folder.join("missing"), &target));
    assert!(missing.contains("missing"), "{missing}");
}

/// A data folder that is a file system of its own cannot be replaced; it is filled.
#[test]
fn a_mounted_folder_is_filled() {
    let Some(disk) = Disk::mount(64) else { return };
    let cluster = Cluster::serve(&[]);
    let elsewhere = tempfile::tempdir().expect("temp dir");
    let file = elsewhere.path().join("cluster.backup");
    text(&backup(&cluster.data(), &file));
    cluster.stop();
    std::fs::create_dir(disk.file("lost+found")).expect("as mke2fs makes it");
    let target = disk.inside("");
    let restored = |file: &Path| {
        let mut command = disk.sampan();
        command.args(["restore", "--data-dir"]).arg(&target);
        command.arg(file).output().expect("nsenter runs")
    };
    text(&restored(&file));
    let found = std::fs::read_dir(disk.file("")).expect("the folder");
    let mut names: Vec<_> = found
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    names.sort();
    assert!(names.iter().any(|name| name == "state.db"), "{names:?}");
    assert!(
        !names
            .iter()
            .any(|name| name.as_encoded_bytes().starts_with(b".sampan"))
    );
    let again = error(&restored(&file));
    assert!(again.contains("is not empty"), "{again}");
}
