//! A server of the bench's own: what it needs idle and full, what it gives back, how long it takes to start.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::connection::Endpoint;
use crate::load::{Load, Until};
use crate::table::{self, Verdicts};
use crate::{OwnArgs, api};

/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);
/// Connections that fill the server.
const FILLING: usize = 128;
/// In the unit of `/proc`.
const MIB: f64 = 1024.0;

pub(crate) async fn run(args: OwnArgs) -> anyhow::Result<()> {
    let folder = args.folder.clone();
    fs::create_dir_all(&folder)?;
    let data = folder.join(format!("sampan-bench-{}", std::process::id()));
    let measured = measure(&args, &data).await;
    let removed = fs::remove_dir_all(&data);
    measured?;
    removed.with_context(|| format!("{}", data.display()))
}

async fn measure(args: &OwnArgs, data: &Path) -> anyhow::Result<()> {
    let mut verdicts = Verdicts::default();
    let server = Process::start(&args.binary, data).await?;
    println!("a first start took {:.0} ms", millis(server.started));
    tokio::time::sleep(args.rest()).await;
    let idle = server.resident_kib()? / MIB;
    verdicts.at_most("resident, idle", "MiB", idle, 35.0);
    let written = server.written_bytes()?;
    tokio::time::sleep(args.rest()).await;
    let hourly = (server.written_bytes()? - written) * 3600.0 / args.rest().as_secs_f64() / 1e6;
    verdicts.at_most("written when idle", "MB/h", hourly, 1.0);

    let load = server.load(args).await?;
    api::measure(&load, &args.load, &mut verdicts).await?;

    table::header();
    let there = load.created.load(Ordering::Relaxed);
    if there > args.objects {
        load.deletes(FILLING, there - args.objects).await?;
    } else {
        let missing = Until::Count(args.objects - there);
        load.creates(FILLING, missing).await?;
    }
    let written = load.created.load(Ordering::Relaxed);
    let updates = args.writes.saturating_sub(written);
    load.updates(FILLING, updates).await?;
    let busy = server.resident_kib()? / MIB;
    tokio::time::sleep(args.history()).await;
    let full = server.resident_kib()? / MIB;
    verdicts.at_most(
        &format!("resident, {} objects of {} B", args.objects, args.load.size),
        "MiB",
        full,
        350.0,
    );
    println!("resident right after the writes: {busy:.0} MiB, later {full:.0} MiB");

    server.stop().await?;
    let server = Process::start(&args.binary, data).await?;
    let what = format!("start, {} objects, {} writes", args.objects, args.writes);
    verdicts.at_most(&what, "ms", millis(server.started), 2000.0);
    // Controllers read everything after a start, and what that leaves counts.
    tokio::time::sleep(args.rest()).await;
    let fresh = server.resident_kib()? / MIB;
    println!("resident after a restart: {fresh:.0} MiB");
    let load = server.load(args).await?;
    load.created.store(args.objects, Ordering::Relaxed);
    load.updates(FILLING, 10_000).await?;
    server.kill().await?;
    let server = Process::start(&args.binary, data).await?;
    verdicts.at_most("start after kill -9", "ms", millis(server.started), 2000.0);

    load_again(&server, args).await?;
    tokio::time::sleep(args.history()).await;
    let empty = server.resident_kib()? / MIB;
    println!("resident after everything was deleted: {empty:.0} MiB");
    server.stop().await?;
    verdicts.print();
    Ok(())
}

async fn load_again(server: &Process, args: &OwnArgs) -> anyhow::Result<()> {
    let load = server.load(args).await?;
    load.created.store(args.objects, Ordering::Relaxed);
    table::header();
    load.deletes(FILLING, args.objects).await?;
    Ok(())
}

/// `sampan server` or `sampan up` on a folder.
pub(crate) struct Process {
    child: Child,
    kubeconfig: PathBuf,
    /// From its start until it said where it listens.
    started: Duration,
}

impl Process {
    async fn start(binary: &Path, data: &Path) -> anyhow::Result<Self> {
        Self::start_as("server", "listens on", binary, data).await
    }

    /// With a node.
    pub(crate) async fn start_cluster(binary: &Path, data: &Path) -> anyhow::Result<Self> {
        Self::start_as("up", "The cluster is up", binary, data).await
    }

    async fn start_as(verb: &str, ready: &str, binary: &Path, data: &Path) -> anyhow::Result<Self> {
        let (start, told) = (Instant::now(), ready);
        let mut child = Command::new(binary)
            .args([verb, "--port", "0", "--data-dir"])
            .arg(data)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{}", binary.display()))?;
        let output = child.stdout.take().context("its output is piped")?;
        let mut lines = BufReader::new(output).lines();
        let ready = async {
            while let Some(line) = lines.next_line().await? {
                if line.contains(told) {
                    return anyhow::Ok(());
                }
            }
            bail!("it ended without listening");
        };
        tokio::time::timeout(PATIENCE, ready)
            .await
            .context("it does not listen")??;
        let started = start.elapsed();
        // Nobody reads on, and it does not print on.
        Ok(Self {
            child,
            kubeconfig: data.join("admin.kubeconfig"),
            started,
        })
    }

    /// ConfigMaps of the default namespace.
    async fn load(&self, args: &OwnArgs) -> anyhow::Result<Load> {
        let load = Load::new(self.endpoint().await?, "default", args.load.size);
        Ok(load.of_server(self.child.id()))
    }

    pub(crate) async fn endpoint(&self) -> anyhow::Result<Endpoint> {
        let kubeconfig = Kubeconfig::read_from(&self.kubeconfig)?;
        let options = KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await?;
        Endpoint::new(&config)
    }

    fn proc(&self, file: &str, field: &str) -> anyhow::Result<f64> {
        let id = self.child.id().context("it runs")?;
        let path = format!("/proc/{id}/{file}");
        let text = fs::read_to_string(&path).with_context(|| path.clone())?;
        let line = text.lines().find_map(|line| line.strip_prefix(field));
        let number =
            line.and_then(|line| line.split_whitespace().find_map(|word| word.parse().ok()));
        number.with_context(|| format!("{path} has no {field}"))
    }

    fn resident_kib(&self) -> anyhow::Result<f64> {
        self.proc("status", "VmRSS:")
    }

    fn written_bytes(&self) -> anyhow::Result<f64> {
        self.proc("io", "write_bytes:")
    }

    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let id = self.child.id().context("it runs")?.to_string();
        Command::new("kill").arg(id).status().await?;
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended.context("it does not stop")??;
        Ok(())
    }

    async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
