//! This machine as a node: engine, images and pod addresses behind the CRI shim, and the agent in front of it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use sampan_agent::{Agent, AgentConfig, HostFolder, ServingIdentity};
use sampan_engine::{Engine, EngineConfig};
use sampan_image::{Distribution, ImageConfig, ImageStore};
use sampan_net::{PodNetwork, PodNetworkConfig};
use sampan_server::{CertificateRequest, Pki};
use sampan_shim::{Shim, ShimConfig};

use crate::buckets::Buckets;
use crate::cli::{NodeArgs, check_node_name};
use crate::data_dir::create_private_dir;
use crate::tasks::Tasks;

/// Where the node of a cluster in one process is reached.
pub(crate) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// How the kernel names a file system in memory.
const TMPFS_MAGIC: u64 = 0x0102_1994;

/// Characters of a node's folder that its folder in memory is named by.
const MEMORY_NAME_MAX: usize = 200;

/// How long guests have to end when their process stops.
const GUEST_GRACE: Duration = Duration::from_secs(2);

/// What a node is made from.
pub(crate) struct NodeConfig {
    /// Images, compiled code, logs and volumes lie below it.
    pub(crate) dir: PathBuf,
    pub(crate) name: String,
    /// Where the server reaches the kubelet API.
    pub(crate) ip: IpAddr,
    pub(crate) args: NodeArgs,
    /// The cluster's own registry, asked first for names without a host.
    pub(crate) registry: Arc<dyn Distribution>,
    /// `host:port` by which images name that registry, too.
    pub(crate) registry_hosts: Vec<String>,
    pub(crate) tls: ServingIdentity,
}

/// The node's name: given, or the host's.
pub(crate) fn name(args: &NodeArgs) -> anyhow::Result<String> {
    if let Some(name) = &args.node_name {
        return Ok(name.clone());
    }
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .to_lowercase();
    let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let name: String = host
        .chars()
        .map(|c| if valid(c) { c } else { '-' })
        .collect();
    let name = name.trim_matches(['-', '.']).to_string();
    if let Err(why) = check_node_name(&name) {
        bail!("the host name cannot name a node: choose one with --node-name ({why})");
    }
    Ok(name)
}

/// The kubelet API's certificate, signed by the cluster's own authority.
pub(crate) fn tls_from_authority(pki: &Pki, name: &str) -> anyhow::Result<ServingIdentity> {
    let request = CertificateRequest::server(
        format!("system:node:{name}"),
        [name.to_string(), LOOPBACK.to_string()],
    );
    let issued = pki
        .keep("kubelet", &request)
        .context("the kubelet API's certificate")?;
    Ok(ServingIdentity::new(
        issued.certificate_pem,
        issued.key_pem,
        pki.ca_pem(),
    ))
}

/// Starts the node's services among `tasks`.
pub(crate) async fn start(
    tasks: &mut Tasks,
    client: kube::Client,
    config: NodeConfig,
) -> anyhow::Result<()> {
    if config.args.image_gc_low_threshold >= config.args.image_gc_high_threshold {
        bail!("--image-gc-low-threshold must be below --image-gc-high-threshold");
    }
    create_private_dir(&config.dir)?;
    let network = Arc::new(claim_network(&config.dir)?);
    let mut engine = EngineConfig::new(config.dir.join("cache"));
    engine.pod_addresses = Some((network.cidr().first(), network.cidr().prefix_len()));
    let engine = Engine::new(engine).context("the Wasm engine")?;
    let mut images = ImageConfig::new(config.dir.join("images"));
    images.local = Some(config.registry.clone());
    images.local_hosts = config.registry_hosts.clone();
    images.file_roots = config.args.image_dir.clone();
    images.insecure_registries = config.args.insecure_registry.clone();
    for (host, mirror) in &config.args.registry_mirror {
        let mirrors = images.mirrors.entry(host.clone()).or_default();
        mirrors.push(mirror.clone());
    }
    let images = ImageStore::open(images).context("the image store")?;
    let pod_cidr = network.cidr().to_string();
    let shim = ShimConfig {
        keyvalue_file: Some(config.dir.join("keyvalue.db")),
        ..ShimConfig::default()
    };
    let shim = Arc::new(Shim::new(engine, images, network, shim));

    let agent = Agent::new(
        client,
        shim.clone(),
        shim.clone(),
        agent_config(&config, pod_cidr),
    )
    .with_namespace_data(Arc::new(Buckets(shim.clone())));
    let (shutdown, dir) = (tasks.shutdown(), config.dir.clone());
    tasks.spawn("the node agent", async move {
        let ended = agent.run(shutdown).await;
        // Guests end with their process: they get a moment to do so of themselves.
        shim.shutdown(GUEST_GRACE).await;
        if let Err(error) = sampan_agent::keep_ends(shim.as_ref(), &dir).await {
            tracing::warn!(%error, "how containers ended is not noted");
        }
        Ok(ended?)
    });
    Ok(())
}

fn agent_config(config: &NodeConfig, pod_cidr: String) -> AgentConfig {
    let mut agent = AgentConfig::new(
        &config.name,
        &config.dir,
        config.dir.join("logs"),
        SocketAddr::new(config.ip, 0),
        config.tls.clone(),
    );
    agent.node_ip = Some(config.ip);
    agent.pod_cidr = Some(pod_cidr);
    agent.image_collection.high_percent = config.args.image_gc_high_threshold;
    agent.image_collection.low_percent = config.args.image_gc_low_threshold;
    agent.labels = config.args.node_label.iter().cloned().collect();
    let resources = config.args.resource.iter();
    agent.extended_resources = resources
        .map(|(name, count)| (name.clone(), count.to_string()))
        .collect();
    let folders = config.args.allow_host_path.iter().cloned();
    agent.host_folders = folders
        .map(|(path, read_only)| HostFolder { path, read_only })
        .collect();
    agent.memory_dir = memory_dir(&config.dir);
    agent
}

/// A folder of this node's own on a file system in memory, if there is one that may be used: no privileges are needed to
/// mount one then.
fn memory_dir(node_dir: &Path) -> Option<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let candidates = [Some(PathBuf::from("/dev/shm")), runtime];
    let is_memory =
        |dir: &PathBuf| rustix::fs::statfs(dir).is_ok_and(|stat| stat.f_type as u64 == TMPFS_MAGIC);
    let base = candidates.into_iter().flatten().find(is_memory)?;
    // Nodes of one user may share the machine: each has its own folder, the same one next time.
    let whole = node_dir.to_string_lossy().replace('/', "_");
    let end: String = whole.chars().rev().take(MEMORY_NAME_MAX).collect();
    let end: String = end.chars().rev().collect();
    let user = rustix::process::getuid().as_raw();
    let dir = base.join(format!("sampan-{user}{end}"));
    let usable = create_private_dir(&dir).and_then(|()| {
        // Anybody may have made something of that name there.
        let found = std::fs::symlink_metadata(&dir)?;
        let private = found.is_dir() && found.uid() == user && found.mode() & 0o077 == 0;
        match private {
            true => Ok(std::fs::canonicalize(&dir)?),
            false => bail!("{} is not this user's own", dir.display()),
        }
    });
    usable
        .inspect_err(|error| tracing::warn!(%error, "no folder in memory"))
        .ok()
}

/// Claims pod addresses, the same ones as last time if nobody else took them.
fn claim_network(dir: &Path) -> anyhow::Result<PodNetwork> {
    let path = dir.join("pod-cidr");
    let preferred = std::fs::read_to_string(&path)
        .ok()
        .and_then(|text| text.trim().parse().ok());
    let network = PodNetwork::claim(PodNetworkConfig {
        preferred,
        ..PodNetworkConfig::default()
    })
    .context("pod addresses")?;
    std::fs::write(&path, network.cidr().to_string())
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(network)
}
