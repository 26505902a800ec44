//! A disk that fills up in the midst of writing: writes are refused and say why, everything else goes on, and room is all
//! it takes.

use std::path::{Path, PathBuf};
use std::process::Command;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams, PostParams, WatchEvent, WatchParams};
use serde_json::json;

use crate::support::{PATIENCE, Program, client_of, have, sampan};

const DISK_MIB: usize = 16;
const BALLAST_BYTES: usize = 4 << 20;
const OBJECT_BYTES: usize = 256 << 10;

/// A small file system of its own, in a mount namespace that lives as long as this.
struct Disk {
    keeper: Program,
    folder: tempfile::TempDir,
}

impl Disk {
    fn mount() -> Option<Disk> {
        let tried = Command::new("unshare").args(["-rm", "true"]).output();
        let works = tried.is_ok_and(|output| output.status.success());
        if !have("user namespaces", works) {
            return None;
        }
        let folder = tempfile::tempdir().expect("temp dir");
        let script = format!(
            "mount -t tmpfs -o size={DISK_MIB}m none \"$1\" && echo mounted && exec sleep infinity"
        );
        let mut command = Command::new("unshare");
        command.args(["-rm", "sh", "-c", &script, "sh"]);
        let mut keeper = Program::start(command.arg(folder.path()));
        keeper.wait_for("mounted");
        Some(Disk { keeper, folder })
    }

    /// A file on the disk, as seen from here.
    fn file(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.keeper.id()));
        let inside = self.folder.path().strip_prefix("/").expect("absolute");
        root.join(inside).join(name)
    }

    fn serve(&self) -> Program {
        let sampan = sampan();
        let mut command = Command::new("nsenter");
        command
            .args(["--user", "--mount", "--preserve-credentials", "-t"])
            .arg(self.keeper.id().to_string())
            .arg(Path::new(sampan.get_program()))
            .args(["server", "--port", "0", "--data-dir"])
            .arg(self.folder.path().join("data"));
        let mut server = Program::start(&mut command);
        server.wait_for("sampan agent --kubeconfig");
        server
    }

    async fn objects(&self) -> Api<ConfigMap> {
        Api::default_namespaced(client_of(&self.file("data/admin.kubeconfig")).await)
    }
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
    let Some(disk) = Disk::mount() else { return };
    let server = disk.serve();
    let api = disk.objects().await;
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

    std::fs::remove_file(&ballast).expect("removed");
    create(&api, "full-room").await.expect("there is room");
    acknowledged.push("full-room".to_owned());

    server.signal("KILL");
    server.finish();
    let server = disk.serve();
    let api = disk.objects().await;
    assert_eq!(names(&api).await, acknowledged);
    create(&api, "full-zest").await.expect("written");
    server.signal("TERM");
    let (status, output) = server.finish();
    assert!(status.success(), "{status}: {output}");
}
