//! Clients of the API: in this process without a socket, or from a kubeconfig.

use std::path::PathBuf;

use anyhow::Context;
use axum::body::Body;
use http::header::USER_AGENT;
use http::{HeaderValue, Request};
use kube::config::{KubeConfigOptions, Kubeconfig};
use sampan_server::{Server, UserInfo};
use tower::ServiceExt;

use crate::cli::ConnectArgs;
use crate::data_dir;

/// What a client says it is: the server names the manager of what it writes after it, and tools
/// that leave alone what the control plane writes go by Kubernetes' own names.
pub(crate) mod agent {
    /// The scheduler.
    pub(crate) const SCHEDULER: &str = concat!("kube-scheduler/", env!("CARGO_PKG_VERSION"));
    /// The controllers.
    pub(crate) const CONTROLLERS: &str =
        concat!("kube-controller-manager/", env!("CARGO_PKG_VERSION"));
    /// A node.
    pub(crate) const NODE: &str = concat!("kubelet/", env!("CARGO_PKG_VERSION"));
    /// The command line.
    pub(crate) const COMMAND: &str = concat!("sampan/", env!("CARGO_PKG_VERSION"));
}

/// A client that calls the server's router directly, as the given user.
pub(crate) fn in_process(
    server: &Server,
    user: UserInfo,
    user_agent: &'static str,
) -> kube::Client {
    let service =
        server
            .service_as(user)
            .map_request(move |request: Request<kube::client::Body>| {
                let mut request = request.map(Body::new);
                let value = HeaderValue::from_static(user_agent);
                request.headers_mut().insert(USER_AGENT, value);
                request
            });
    kube::Client::new(service, "default")
}

/// A client from a kubeconfig file.
pub(crate) async fn from_kubeconfig(
    path: &PathBuf,
    user_agent: &'static str,
) -> anyhow::Result<kube::Client> {
    let kubeconfig = Kubeconfig::read_from(path)
        .with_context(|| format!("cannot read the kubeconfig {}", path.display()))?;
    let mut config =
        kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .with_context(|| format!("cannot use the kubeconfig {}", path.display()))?;
    let value = HeaderValue::from_static(user_agent);
    config.headers.push((USER_AGENT, value));
    Ok(kube::Client::try_from(config)?)
}

impl ConnectArgs {
    /// The kubeconfig these arguments mean: named, or the one that `sampan up` wrote.
    pub(crate) fn kubeconfig_path(&self) -> anyhow::Result<PathBuf> {
        if let Some(path) = &self.kubeconfig {
            return Ok(path.clone());
        }
        if let Some(path) = &self.data_dir {
            return Ok(path.join(data_dir::ADMIN_KUBECONFIG));
        }
        // It may list several files; kubectl reads them all, we the first that is there.
        let listed = std::env::var_os("KUBECONFIG").unwrap_or_default();
        let mut listed = std::env::split_paths(&listed).filter(|path| !path.as_os_str().is_empty());
        if let Some(first) = listed.next() {
            let found = [first.clone()].into_iter().chain(listed);
            let mut found = found.filter(|path| path.exists());
            return Ok(found.next().unwrap_or(first));
        }
        let root = data_dir::default_path(crate::commands::DATA_DIR_NAME)?;
        Ok(root.join(data_dir::ADMIN_KUBECONFIG))
    }

    /// A client of that cluster; the error says how to get one.
    pub(crate) async fn client(&self) -> anyhow::Result<kube::Client> {
        let path = self.kubeconfig_path()?;
        if !path.exists() {
            anyhow::bail!(
                "no cluster found: {} does not exist. Start one with `sampan up`, or name a kubeconfig with --kubeconfig",
                path.display()
            );
        }
        let client = from_kubeconfig(&path, agent::COMMAND).await?;
        match client.apiserver_version().await {
            Ok(_) => {}
            // It answers, and says no.
            Err(error @ kube::Error::Api(_)) => return Err(error.into()),
            Err(error) => {
                return Err(anyhow::Error::new(error).context(format!(
                    "the cluster of {} does not answer; is `sampan up` running?",
                    path.display()
                )));
            }
        }
        Ok(client)
    }
}
