//! The server as its owner sees it: started on a data folder, served until told to stop, closed.

mod certificates;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use futures::future::OptionFuture;
use http::Request;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use sampan_api::status::Status;
use sampan_store::{OpenError, SqliteStore, StoreConfig};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::util::BoxCloneService;

use crate::api::Api;
use crate::authn::{TokenFileError, Tokens};
use crate::authz::{Policy, Relations};
use crate::bootstrap::{self, Facts};
use crate::chain::InFlight;
use crate::config::{DATABASE, PKI_FOLDER, ServerConfig};
use crate::customs::Customs;
use crate::definitions::Definitions;
use crate::kubelet::Kubelets;
use crate::metrics::{MeasuredStore, Metrics};
use crate::object::{ObjCodec, Recent};
use crate::pki::{Issued, Pki, PkiError, RENEW_BEFORE_DAYS, kubeconfig, not_after, write_private};
use crate::serve::{Acceptor, Places, Threads};
use crate::strategy::{Addresses, Charges};
use crate::tls::{Identity, TlsError, Trust, server_config};
use crate::tokens::SigningKey;
use crate::user::UserInfo;
use crate::write::Lines;
use certificates::{admin_certificate, agent_certificate, kubelet_certificate, server_certificate};

/// The API as a service: what a client in this process talks to.
pub type ApiService = BoxCloneService<Request<Body>, Response<Body>, Infallible>;

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be made.
    #[error("making the data folder {path}")]
    DataDir {
        path: String,
        #[source]
        source: std::io::Error,
    },
    /// Keys or certificates.
    #[error("preparing keys and certificates")]
    Pki(#[from] PkiError),
    /// TLS.
    #[error("setting up TLS: {0}")]
    Tls(String),
    /// The state.
    #[error("opening the state")]
    Store(#[from] OpenError),
    /// The token file.
    #[error("reading static tokens")]
    Tokens(#[from] TokenFileError),
    /// The address.
    #[error("listening on {addr}")]
    Listen {
        addr: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    /// Two metrics of one name.
    #[error("registering metrics")]
    Metrics(#[from] prometheus::Error),
    /// The first objects.
    #[error("creating the system's own objects: {0}")]
    Bootstrap(String),
}

/// Why a server stopped serving.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// It was asked to serve a second time.
    #[error("the server is serving already")]
    Twice,
    /// The socket failed.
    #[error("accepting connections")]
    Accept(#[source] std::io::Error),
}

/// WebSockets get this long to end when everything else has.
const FAREWELL: Duration = Duration::from_secs(5);

/// A server whose state is loaded and whose socket is bound. Clients in this process are answered at once, others
/// while `serve` runs.
pub struct Server {
    config: ServerConfig,
    api: Arc<Api>,
    pki: Arc<Pki>,
    addr: SocketAddr,
    listener: Mutex<Option<TcpListener>>,
    identity: Arc<Identity>,
    certificate: Mutex<Issued>,
    trust: Arc<Trust>,
    /// Follows the definitions of custom resources.
    definitions: Mutex<Option<JoinHandle<()>>>,
}

impl From<TlsError> for StartError {
    fn from(error: TlsError) -> StartError {
        let source = std::error::Error::source(&error)
            .map(|source| format!(": {source}"))
            .unwrap_or_default();
        StartError::Tls(format!("{error}{source}"))
    }
}

impl Server {
    /// Opens the data folder, binds the socket, writes the kubeconfigs.
    pub async fn start(config: ServerConfig) -> Result<Server, StartError> {
        let dir = &config.data_dir;
        std::fs::create_dir_all(dir).map_err(|source| StartError::DataDir {
            path: dir.display().to_string(),
            source,
        })?;
        let pki = Arc::new(Pki::open(dir.join(PKI_FOLDER))?);
        let listener =
            TcpListener::bind(config.listen)
                .await
                .map_err(|source| StartError::Listen {
                    addr: config.listen,
                    source,
                })?;
        let addr = listener.local_addr().map_err(|source| StartError::Listen {
            addr: config.listen,
            source,
        })?;
        let certificate = pki.keep("apiserver", &server_certificate(&config, addr))?;
        let kubelet_client = pki.keep("apiserver-kubelet-client", &kubelet_certificate())?;
        let store = SqliteStore::open(StoreConfig::new(dir.join(DATABASE)), ObjCodec).await?;
        let metrics = Metrics::new(config.metrics.clone(), store.clone())?;
        let api = Arc::new(Api {
            store: Arc::new(MeasuredStore::new(store, &config.metrics)?),
            metrics,
            tokens: Tokens::load(&dir.join(PKI_FOLDER).join("tokens.csv"))?,
            signing_key: SigningKey::open(&dir.join(PKI_FOLDER))?,
            policy: Policy::default(),
            relations: Relations::default(),
            extra: config.extra.clone(),
            limits: config.limits.clone(),
            in_flight: InFlight::default(),
            recent: Recent::default(),
            addresses: Addresses::new(config.service_cidr, config.node_ports.clone()),
            charges: Charges::default(),
            lines: Lines::default(),
            kubelets: Kubelets::new(pki.ca_pem(), &kubelet_client)?,
            customs: Customs::default(),
            shutdown: CancellationToken::new(),
            runtime: Handle::current(),
            upgraded: TaskTracker::new(),
            advertised: SocketAddr::new(config.reachable_ip(addr), addr.port()),
            facts: Facts {
                service_ip: config.service_ip(),
                service_cidr: format!("{}/{}", config.service_cidr.0, config.service_cidr.1),
                ca_pem: pki.ca_pem().to_owned(),
            },
        });
        let bootstrap_failed = |status: Status| StartError::Bootstrap(status.message);
        let mut definitions = Definitions::new(api.clone());
        let revision = definitions.load().await.map_err(bootstrap_failed)?;
        bootstrap::run(&api).await.map_err(bootstrap_failed)?;
        let definitions = tokio::spawn(definitions.run(revision));
        let server = Server {
            identity: Identity::new(&certificate)?,
            trust: Arc::new(Trust::new(pki.ca_pem())?),
            certificate: Mutex::new(certificate),
            definitions: Mutex::new(Some(definitions)),
            listener: Mutex::new(Some(listener)),
            config,
            api,
            pki,
            addr,
        };
        server.write_kubeconfigs()?;
        Ok(server)
    }

    /// The bound address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `https://HOST:PORT`, as in the kubeconfigs.
    pub fn url(&self) -> String {
        self.config.url(self.addr)
    }

    /// The authority's certificate, for clients and for `kube-root-ca.crt`.
    pub fn ca_pem(&self) -> &str {
        self.pki.ca_pem()
    }

    /// Issues further certificates.
    pub fn pki(&self) -> &Arc<Pki> {
        &self.pki
    }

    #[cfg(test)]
    pub(crate) fn api(&self) -> &Arc<Api> {
        &self.api
    }

    /// The API as `user`: the same chain as over a connection, without the connection.
    pub fn service_as(&self, user: UserInfo) -> ApiService {
        let (api, user) = (self.api.clone(), Arc::new(user));
        BoxCloneService::new(tower::service_fn(move |request: Request<Body>| {
            let (api, user) = (api.clone(), user.clone());
            async move { Ok(api.answer_as(request, user).await) }
        }))
    }

    /// Accepts connections until `shutdown`; then watches end, and running requests are waited for.
    pub async fn serve(&self, shutdown: CancellationToken) -> Result<(), ServeError> {
        let listener = self.listener.lock().take().ok_or(ServeError::Twice)?;
        let tls = server_config(self.identity.clone())
            .map_err(|error| ServeError::Accept(std::io::Error::other(error)))?;
        let acceptor = Acceptor {
            listener,
            tls,
            trust: self.trust.clone(),
            api: self.api.clone(),
        };
        let threads = Threads::start().map_err(ServeError::Accept)?;
        let result = self.serve_on(threads.places(), acceptor, shutdown).await;
        // WebSockets are no connections of the acceptor's any more.
        self.api.shutdown.cancel();
        let upgraded = &self.api.upgraded;
        upgraded.close();
        if tokio::time::timeout(FAREWELL, upgraded.wait())
            .await
            .is_err()
        {
            tracing::warn!(open = upgraded.len(), "WebSockets were cut off at shutdown");
        }
        threads.end().await;
        result
    }

    async fn serve_on(
        &self,
        places: &Places,
        acceptor: Acceptor,
        shutdown: CancellationToken,
    ) -> Result<(), ServeError> {
        let end = shutdown.clone();
        let watches = self.api.shutdown.clone();
        let kept = bootstrap::keep(&self.api, watches.clone());
        let served = acceptor.run(places, shutdown);
        tokio::pin!(served);
        tokio::select! {
            result = &mut served => result.map_err(ServeError::Accept),
            () = self.renew() => Ok(()),
            () = kept => Ok(()),
            () = end.cancelled() => {
                watches.cancel();
                served.await.map_err(ServeError::Accept)
            }
        }
    }

    /// Ends watches, flushes the state and closes it.
    pub async fn close(&self) {
        self.api.shutdown.cancel();
        let definitions = self.definitions.lock().take();
        if let Some(Err(error)) = OptionFuture::from(definitions).await {
            tracing::error!(%error, "following custom resource definitions failed");
        }
        self.api.store.close().await;
    }

    /// Replaces the certificates before they expire. Never returns.
    async fn renew(&self) {
        /// When renewing failed (a full disk, say), it is tried again after this.
        const RETRY: Duration = Duration::from_secs(3600);
        loop {
            let due = not_after(&self.certificate.lock().certificate_pem)
                .map(|end| end - SignedDuration::from_hours(RENEW_BEFORE_DAYS * 24))
                .unwrap_or_else(|_| Timestamp::now());
            let wait = due
                .duration_since(Timestamp::now())
                .max(SignedDuration::ZERO);
            tokio::time::sleep(wait.unsigned_abs()).await;
            if let Err(error) = self.renew_now() {
                tracing::error!(%error, "renewing the server's certificate failed");
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    fn renew_now(&self) -> Result<(), StartError> {
        let renewed = self
            .pki
            .keep("apiserver", &server_certificate(&self.config, self.addr))?;
        self.identity.replace(&renewed)?;
        let client = self
            .pki
            .keep("apiserver-kubelet-client", &kubelet_certificate())?;
        self.api.kubelets.replace(self.pki.ca_pem(), &client)?;
        *self.certificate.lock() = renewed;
        self.write_kubeconfigs()
    }

    /// `admin.kubeconfig` and `agent.kubeconfig`, with certificates that have at least 30 days left.
    fn write_kubeconfigs(&self) -> Result<(), StartError> {
        let admin = admin_certificate();
        let agent = agent_certificate(&self.config.node_name);
        for (file, keep, request) in [
            ("admin.kubeconfig", "admin", admin),
            ("agent.kubeconfig", "agent", agent),
        ] {
            let issued = self.pki.keep(keep, &request)?;
            let user = &request.common_name;
            let text = kubeconfig(&self.url(), self.pki.ca_pem(), user, &issued);
            write_private(&self.config.data_dir.join(file), text.as_bytes())?;
        }
        Ok(())
    }
}
