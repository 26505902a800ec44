//! Real clients: kube-rs in this process and over TLS; tokens and certificates on the wire.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, ResourceExt};
use tokio_util::sync::CancellationToken;

use super::*;

fn data(value: &str) -> ConfigMap {
    let mut map = ConfigMap {
        data: Some(BTreeMap::from([("k".into(), value.into())])),
        ..ConfigMap::default()
    };
    map.metadata.name = Some("a".into());
    map
}

/// What every client does.
async fn exercise(client: kube::Client) {
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let version = client.apiserver_version().await.expect("a version");
    assert_eq!(version.minor, "36");
    let created = maps
        .create(&PostParams::default(), &data("1"))
        .await
        .expect("created");
    assert_eq!(maps.get("a").await.expect("read"), created);
    let config = watcher::Config::default().streaming_lists();
    let mut objects = std::pin::pin!(watcher(maps.clone(), config).applied_objects());
    assert_eq!(
        objects
            .try_next()
            .await
            .expect("an event")
            .expect("an object"),
        created
    );
    let patch = Patch::Merge(json!({"data": {"k": "2"}}));
    let patched = maps
        .patch("a", &PatchParams::default(), &patch)
        .await
        .expect("patched");
    assert_eq!(
        objects
            .try_next()
            .await
            .expect("an event")
            .expect("an object"),
        patched
    );
    let list = maps.list(&ListParams::default()).await.expect("listed");
    assert_eq!(
        list.items
            .iter()
            .map(ResourceExt::name_any)
            .collect::<Vec<_>>(),
        ["a"]
    );
    maps.delete("a", &DeleteParams::default())
        .await
        .expect("deleted");
    let gone = maps.get("a").await.expect_err("gone");
    assert!(matches!(gone, kube::Error::Api(status) if status.is_not_found()));
    let namespaces: Api<Namespace> = Api::all(client);
    assert_eq!(
        namespaces
            .list_metadata(&ListParams::default())
            .await
            .expect("listed")
            .items
            .len(),
        4
    );
}

#[tokio::test]
async fn kube_in_this_process() {
    let cluster = Cluster::start().await;
    let service = cluster.server.service_as(UserInfo::admin());
    let service = tower::ServiceBuilder::new()
        .map_request(|request: Request<kube::client::Body>| request.map(Body::new))
        .service(service);
    exercise(kube::Client::new(service, "default")).await;
}

/// A server that listens.
pub(super) struct Listening {
    pub(super) cluster: std::sync::Arc<Cluster>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Listening {
    pub(super) async fn start() -> Listening {
        Listening::serve(Cluster::start().await)
    }

    pub(super) fn serve(cluster: Cluster) -> Listening {
        let (cluster, stop) = (std::sync::Arc::new(cluster), CancellationToken::new());
        let (served, token) = (cluster.clone(), stop.clone());
        let task = tokio::spawn(async move { served.server.serve(token).await.expect("served") });
        Listening {
            cluster,
            stop,
            task,
        }
    }

    async fn kubeconfig(&self, file: &str) -> kube::Config {
        let text = std::fs::read_to_string(self.cluster.dir.path().join(file)).expect("written");
        let kubeconfig = Kubeconfig::from_yaml(&text).expect("a kubeconfig");
        kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .expect("a config")
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task)
            .await
            .expect("stops")
            .expect("no panic");
    }
}

#[tokio::test]
async fn kube_over_tls() {
    let listening = Listening::start().await;
    let config = listening.kubeconfig("admin.kubeconfig").await;
    exercise(kube::Client::try_from(config).expect("a client")).await;
    listening.stop().await;
}

#[tokio::test]
async fn certificates_and_tokens_on_the_wire() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(dir.path().join("pki")).expect("made");
    std::fs::write(
        dir.path().join("pki/tokens.csv"),
        "s3cret,jane,1,system:masters\n",
    )
    .expect("written");
    let config = ServerConfig::new(dir.path(), "127.0.0.1:0".parse().expect("an address"));
    let listening = Listening::serve(Cluster::with(config, dir).await);
    let admin = listening.kubeconfig("admin.kubeconfig").await;
    let list = |config: kube::Config| async move {
        let maps: Api<ConfigMap> =
            Api::default_namespaced(kube::Client::try_from(config).expect("a client"));
        match maps.list(&ListParams::default()).await {
            Ok(_) => 200,
            Err(kube::Error::Api(status)) => status.code,
            Err(error) => panic!("{error}"),
        }
    };
    let with = |change: &dyn Fn(&mut kube::config::AuthInfo)| {
        let mut config = admin.clone();
        config.auth_info = kube::config::AuthInfo::default();
        change(&mut config.auth_info);
        config
    };
    assert_eq!(list(admin.clone()).await, 200);
    assert_eq!(list(with(&|_| ())).await, 403);
    assert_eq!(
        list(with(&|auth| auth.token = Some("s3cret".to_owned().into()))).await,
        200
    );
    assert_eq!(
        list(with(&|auth| auth.token = Some("wrong".to_owned().into()))).await,
        401
    );
    // A certificate of another authority is refused in words, not by a broken connection.
    let foreign_dir = tempfile::tempdir().expect("a folder");
    let foreign = crate::Pki::open(foreign_dir.path()).expect("made");
    let issued = foreign
        .issue(&crate::CertificateRequest::client(
            "eve",
            Some("system:masters"),
        ))
        .expect("issued");
    let mut config = admin.clone();
    let encode =
        |text: &str| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text);
    config.auth_info = kube::config::AuthInfo::default();
    config.auth_info.client_certificate_data = Some(encode(&issued.certificate_pem));
    config.auth_info.client_key_data = Some(encode(&issued.key_pem).into());
    assert_eq!(list(config).await, 401);
    let agent = listening.kubeconfig("agent.kubeconfig").await;
    // A node is known by its certificate, and lists no pods but its own.
    assert_eq!(list(agent).await, 403);
    listening.stop().await;
}

#[tokio::test]
async fn shutdown_ends_watches_and_connections() {
    let listening = Listening::start().await;
    let client =
        kube::Client::try_from(listening.kubeconfig("admin.kubeconfig").await).expect("a client");
    let maps: Api<ConfigMap> = Api::default_namespaced(client);
    let mut events = std::pin::pin!(
        maps.watch(&kube::api::WatchParams::default(), "0")
            .await
            .expect("a watch")
    );
    maps.create(&PostParams::default(), &data("1"))
        .await
        .expect("created");
    // A bookmark ends the initial events.
    while !matches!(
        events
            .try_next()
            .await
            .expect("no error")
            .expect("an event"),
        kube::api::WatchEvent::Added(_)
    ) {}
    listening.stop().await;
    let rest = tokio::time::timeout(PATIENCE, events.try_next())
        .await
        .expect("the watch ends");
    assert!(!matches!(rest, Ok(Some(kube::api::WatchEvent::Added(_)))));
}
