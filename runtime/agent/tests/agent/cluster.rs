//! An agent with a fake API server and a fake runtime, in a temporary folder.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use sampan_agent::{
    Agent, AgentConfig, HostFolder, NamespaceData, NamespaceDataError, ServingIdentity,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::FakeApi;
use crate::runtime::FakeRuntime;

pub(crate) const NODE: &str = "n1";

/// Namespaces, by name and uid, that the node holds data of.
#[derive(Default)]
pub(crate) struct Held(pub(crate) Mutex<BTreeSet<(String, String)>>);

#[async_trait]
impl NamespaceData for Held {
    async fn namespaces(&self) -> Result<Vec<(String, String)>, NamespaceDataError> {
        Ok(self.0.lock().iter().cloned().collect())
    }

    async fn remove(&self, name: &str, uid: &str) -> Result<(), NamespaceDataError> {
        self.0.lock().remove(&(name.to_owned(), uid.to_owned()));
        Ok(())
    }
}

pub(crate) struct Cluster {
    pub(crate) api: FakeApi,
    pub(crate) runtime: Arc<FakeRuntime>,
    pub(crate) data: Arc<Held>,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) ca: CertifiedIssuer<'static, KeyPair>,
    stop: CancellationToken,
    agent: Option<JoinHandle<()>>,
}

impl Cluster {
    pub(crate) fn new() -> Cluster {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let api = FakeApi::new();
        api.put(
            "namespaces",
            json!({"metadata": {"name": "default", "uid": "of default"}}),
        );
        let mut cluster = Cluster {
            api,
            data: Arc::default(),
            runtime: Arc::new(FakeRuntime::new(&["app:v1"])),
            dir: tempfile::tempdir().unwrap(),
            ca,
            stop: CancellationToken::new(),
            agent: None,
        };
        cluster.start();
        cluster
    }

    /// A certificate of the cluster's CA and its key, both PEM.
    pub(crate) fn certificate(&self, user: &str, group: &str) -> (String, String) {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, user);
        params
            .distinguished_name
            .push(DnType::OrganizationName, group);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.ca).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    pub(crate) fn start(&mut self) {
        let (certificate, key) = self.certificate(NODE, "system:nodes");
        let serving = ServingIdentity::new(certificate, key, self.ca.pem());
        let listen = "127.0.0.1:0".parse().unwrap();
        let mut config = AgentConfig::new(NODE, self.dir.path(), self.logs(), listen, serving);
        config.pod_cidr = Some("127.64.0.0/18".into());
        config.host_folders = vec![HostFolder {
            path: self.host_folder(),
            read_only: false,
        }];
        let agent = Agent::new(
            self.api.client(),
            self.runtime.clone(),
            self.runtime.clone(),
            config,
        )
        .with_namespace_data(self.data.clone());
        let stop = CancellationToken::new();
        self.stop = stop.clone();
        self.agent = Some(tokio::spawn(async move { agent.run(stop).await.unwrap() }));
    }

    /// Ends the agent.
    pub(crate) async fn stop(&mut self) {
        self.stop.cancel();
        self.agent.take().unwrap().await.unwrap();
    }

    /// Ends the agent and starts another, on a runtime that forgot everything or lived on.
    pub(crate) async fn restart(&mut self, runtime_forgets: bool) {
        self.stop().await;
        if runtime_forgets {
            self.runtime = Arc::new(FakeRuntime::new(&["app:v1"]));
        }
        self.start();
    }

    /// Ends the agent and then, with their process, the containers `c`; and starts both again.
    pub(crate) async fn restart_orderly(&mut self, code: i32) {
        self.stop().await;
        self.runtime.finish("c", code);
        let kept = sampan_agent::keep_ends(self.runtime.as_ref(), self.dir.path()).await;
        kept.unwrap();
        self.runtime = Arc::new(FakeRuntime::new(&["app:v1"]));
        self.start();
    }

    /// How many CPUs the node offers.
    pub(crate) async fn cpus(&self) -> i64 {
        let node = eventually(|| self.api.get("nodes", "", NODE))
            .await
            .unwrap();
        let cpus = node["status"]["allocatable"]["cpu"].as_str();
        cpus.unwrap().parse().unwrap()
    }

    /// The folder that pods may use as hostPath.
    pub(crate) fn host_folder(&self) -> PathBuf {
        let folder = self.dir.path().join("host");
        std::fs::create_dir_all(&folder).unwrap();
        folder.canonicalize().unwrap()
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.dir.path().join("logs")
    }

    /// A pod bound to the node whose container `c` gets these arguments.
    pub(crate) fn pod(&self, name: &str, args: &[&str], spec: Value) -> Value {
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "default", "generation": 1},
            "spec": {
                "nodeName": NODE, "restartPolicy": "Always", "terminationGracePeriodSeconds": 5,
                "containers": [{"name": "c", "image": "app:v1", "args": args}]
            },
            "status": {"phase": "Pending", "qosClass": "BestEffort", "conditions": [
                {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}
        });
        for (field, value) in spec.as_object().unwrap() {
            if field == "container" {
                for (field, value) in value.as_object().unwrap() {
                    pod["spec"]["containers"][0][field] = value.clone();
                }
            } else {
                pod["spec"][field] = value.clone();
            }
        }
        self.api.put("pods", pod)
    }

    pub(crate) fn get(&self, name: &str) -> Value {
        self.api.get("pods", "default", name).unwrap_or_default()
    }

    /// Waits until the pod's status shows `expect` at `pointer`.
    pub(crate) async fn until(&self, name: &str, pointer: &str, expect: Value) -> Value {
        let found = eventually(|| {
            let pod = self.get(name);
            (pod.pointer(pointer) == Some(&expect)).then_some(pod)
        });
        found.await.unwrap_or_else(|| {
            panic!(
                "{pointer} of {name} is not {expect}: {:#}",
                self.get(name)["status"]
            )
        })
    }

    /// Waits for an event of this reason whose message contains `text`.
    pub(crate) async fn event(&self, reason: &str, text: &str) -> Value {
        let found = eventually(|| {
            self.api.list("events").into_iter().find(|event| {
                event["reason"] == reason
                    && event["message"]
                        .as_str()
                        .is_some_and(|message| message.contains(text))
            })
        });
        found
            .await
            .unwrap_or_else(|| panic!("no event {reason}: {:#?}", self.api.list("events")))
    }

    pub(crate) async fn runtime_is_empty(&self) {
        let empty = eventually(|| (self.runtime.counts() == (0, 0)).then_some(()));
        assert!(empty.await.is_some(), "{:?}", self.runtime.counts());
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Looks again and again, for at most ten seconds.
pub(crate) async fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    for _ in 0..2_000 {
        if let Some(found) = look() {
            return Some(found);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    None
}
