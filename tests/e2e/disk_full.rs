//! A disk that fills up in the midst of writing: writes are refused and say why, deletes and everything else go on, and room
//! is all it takes.

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ListParams, PostParams, WatchEvent, WatchParams};
use serde_json::json;

use crate::disk::Disk;
use crate::support::{PATIENCE, Program, client_of};

const DISK_MIB: usize = 16;
const BALLAST_BYTES: usize = 4 << 20;
const OBJECT_BYTES: usize = 256 << 10;

fn serve(disk: &Disk) -> Program {
    let mut command = disk.sampan();
    command
        .args(["server", "--port", "0", "--data-dir"])
        .arg(disk.inside("data"));
    let mut server = Program::start(&mut command);
    server.wait_for("sampan agent --kubeconfig");
    server
}

async fn objects(disk: &Disk) -> Api<ConfigMap> {
    Api::default_namespaced(client_of(&disk.file("data/admin.kubeconfig")).await)
}

async fn create(api: &Api<ConfigMap>, name: &str) -> Result<(), kube::Error> {
    let object = json!({"metadata": {"name": name}, "data": {"text": "x".repeat(OBJECT_BYTES)}});
    let object = serde_json::from_value(object).expect("a ConfigMap");
    api.create(&PostParams::default(), &object).await.map(drop)
}

/// The names of the objects this test made.
async fn names(api: &Api<ConfigMap>) -> Vec<String> {
    let list = api.list(&ListParams::default()).await.expect("a list");
    let names = list.items.into_iter().filter_map(|item| item.metadata.name);
    names.filter(|name| name.starts_with("full-")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_writes_and_nothing_else() {
    let Some(disk) = Disk::mount(DISK_MIB) else {
        return;
    };
    let server = serve(&disk);
    let api = objects(&disk).await;
    let ballast = disk.file("ballast");
    std::fs::write(&ballast, vec![0; BALLAST_BYTES]).expect("written");
    let watch = api.watch(&WatchParams::default(), "0").await;
    let mut events = watch.expect("a watch").boxed();

    let mut acknowledged: Vec<String> = Vec::new();
    let refusal = loop {
        assert!(
            acknowledged.len() * OBJECT_BYTES < DISK_MIB << 20,
            "more than the disk holds"
        );
        let name = format!("full-{:03}", acknowledged.len());
        match create(&api, &name).await {
            Ok(()) => acknowledged.push(name),
            Err(kube::Error::Api(status)) => break status,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(refusal.code, 500);
    assert!(
        refusal
            .message
            .contains("state.db is full: free some space"),
        "{}",
        refusal.message
    );

    assert_eq!(names(&api).await, acknowledged);
    api.get(&acknowledged[0]).await.expect("readable");
    let mut expected = acknowledged.iter();
    let mut next = expected.next();
    let told = async {
        while let Some(name) = next {
            match events.try_next().await.expect("readable") {
                Some(WatchEvent::Added(object)) if object.metadata.name.as_ref() == Some(name) => {
                    next = expected.next();
                }
                Some(WatchEvent::Added(_) | WatchEvent::Bookmark(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, told)
        .await
        .expect("the watch tells of every one");

    for name in acknowledged.split_off(acknowledged.len() / 2) {
        let deleted = api.delete(&name, &DeleteParams::default()).await;
        deleted.expect("deletes go on");
    }
    std::fs::remove_file(&ballast).expect("removed");
    create(&api, "full-room").await.expect("there is room");
    acknowledged.push("full-room".to_owned());

    server.signal("KILL");
    server.finish();
    let server = serve(&disk);
    let api = objects(&disk).await;
    assert_eq!(names(&api).await, acknowledged);
    create(&api, "full-zest").await.expect("written");
    server.signal("TERM");
    let (status, output) = server.finish();
    assert!(status.success(), "{status}: {output}");
}
