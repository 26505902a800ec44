//! Clients of the API: in this process without a socket, or from a kubeconfig.

use std::path::PathBuf;

use anyhow::Context;
use axum::body::Body;
use http::Request;
use kube::config::{KubeConfigOptions, Kubeconfig};
use sampan_server::{Server, UserInfo};
use tower::ServiceExt;

use crate::cli::ConnectArgs;
use crate::data_dir;

/// A client that calls the server's router directly, as the given user.
pub(crate) fn in_process(server: &Server, user: UserInfo) -> kube::Client {
    let service = server
        .service_as(user)
        .map_request(|request: Request<kube::client::Body>| request.map(Body::new));
    kube::Client::new(service, "default")
}

/// A client from a kubeconfig file.
pub(crate) async fn from_kubeconfig(path: &PathBuf) -> anyhow::Result<kube::Client> {
    let kubeconfig = Kubeconfig::read_from(path)
        .with_context(|| format!("cannot read the kubeconfig {}", path.display()))?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .with_context(|| format!("cannot use the kubeconfig {}", path.display()))?;
    Ok(kube::Client::try_from(config)?)
}

impl ConnectArgs {
    /// The kubeconfig these arguments mean: named, or the one that `sampan up` wrote.
    pub(crate) fn kubeconfig_path(&self) -> anyhow::Result<PathBuf> {
        if let Some(path) = &self.kubeconfig {
            return Ok(path.clone());
        }
        let root = match &self.data_dir {
            Some(path) => path.clone(),
            None => data_dir::default_path(crate::commands::DATA_DIR_NAME)?,
        };
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
        let client = from_kubeconfig(&path).await?;
        client.apiserver_version().await.with_context(|| {
            format!(
                "the cluster of {} does not answer; is `sampan up` running?",
                path.display()
            )
        })?;
        Ok(client)
    }
}
