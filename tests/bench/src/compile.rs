//! Whether the API notices that a large module is compiled beside it.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use http::{Method, StatusCode};
use tokio::process::Command;

use crate::connection::{Connection, Endpoint};
use crate::own::Process;
use crate::table::{self, Samples, Verdicts};
use crate::{CompileArgs, module};

/// Between two requests: a client that asks now and then, not one that keeps the server busy.
const PAUSE: Duration = Duration::from_millis(2);
/// What an answer may take longer at most while a module is compiled.
const WANTED_MS: f64 = 5.0;
/// How long a compilation may take.
const PATIENCE: Duration = Duration::from_secs(600);

pub(crate) async fn run(args: CompileArgs) -> anyhow::Result<()> {
    let folder = args.folder.clone();
    std::fs::create_dir_all(&folder)?;
    let data = folder.join(format!("sampan-bench-{}", std::process::id()));
    let measured = measure(&args, &data).await;
    let removed = std::fs::remove_dir_all(&data);
    measured?;
    removed.with_context(|| format!("{}", data.display()))
}

async fn measure(args: &CompileArgs, data: &Path) -> anyhow::Result<()> {
    let cluster = Process::start_cluster(&args.binary, data).await?;
    let file = data.join("large.wasm");
    std::fs::write(&file, module::of_code(args.megabytes << 20))?;
    push(args, data, &file).await?;
    let endpoint = cluster.endpoint().await?;
    let mut connection = endpoint.connect().await?;
    let object = create(&mut connection).await?;
    table::header();
    // The first of anything takes longer.
    reads(
        &mut connection,
        &object,
        Until::Time(Duration::from_secs(1)),
    )
    .await?;
    let alone = Until::Time(Duration::from_secs(args.seconds));
    let (samples, time) = reads(&mut connection, &object, alone).await?;
    let alone = table::row("get, alone", samples, time);
    start(&mut connection).await?;
    let running = tokio::spawn(runs(endpoint));
    let (samples, time) = reads(&mut connection, &object, Until::Done(&running)).await?;
    let what = format!("get, while {} MiB are compiled", args.megabytes);
    let during = table::row(&what, samples, time);
    running.await??;
    let mut verdicts = Verdicts::default();
    let added = (during.p99_ms - alone.p99_ms).max(0.0);
    verdicts.at_most(
        "p99 of a get, added by a compilation",
        "ms",
        added,
        WANTED_MS,
    );
    verdicts.at_most(
        "slowest get during a compilation",
        "ms",
        during.max_ms,
        alone.max_ms + WANTED_MS,
    );
    verdicts.print();
    cluster.stop().await
}

/// Puts the module into the cluster's registry.
async fn push(args: &CompileArgs, data: &Path, file: &Path) -> anyhow::Result<()> {
    let pushed = Command::new(&args.binary)
        .arg("push")
        .arg(file)
        .args(["large:v1", "--data-dir"])
        .arg(data)
        .stdout(Stdio::null())
        .status()
        .await?;
    ensure!(pushed.success(), "sampan push: {pushed}");
    Ok(())
}

/// Makes the object that is read, and returns its path.
async fn create(connection: &mut Connection) -> anyhow::Result<String> {
    let path = "/api/v1/namespaces/default/configmaps";
    let body =
        br#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"bench"},"data":{"d":"x"}}"#;
    connection
        .expect(Method::POST, path, body, StatusCode::CREATED)
        .await?;
    Ok(format!("{path}/bench"))
}

/// A pod of the large module, which is compiled before it can run.
async fn start(connection: &mut Connection) -> anyhow::Result<()> {
    let body = br#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"large"},"spec":{
        "restartPolicy":"Never","containers":[{"name":"main","image":"large:v1"}]}}"#;
    let path = "/api/v1/namespaces/default/pods";
    connection
        .expect(Method::POST, path, body, StatusCode::CREATED)
        .await?;
    Ok(())
}

/// Returns when the pod has run: its program ends at once.
async fn runs(endpoint: Endpoint) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut connection = endpoint.connect().await?;
    let path = "/api/v1/namespaces/default/pods/large/status";
    while begun.elapsed() < PATIENCE {
        let status = connection.send(&Method::GET, path, &[]).await?;
        let body = connection.rest().await?;
        ensure!(status == StatusCode::OK, "{path}: {status}");
        let pod: serde_json::Value = serde_json::from_slice(&body)?;
        match pod["status"]["phase"].as_str() {
            Some("Succeeded") => return Ok(()),
            Some("Failed") => bail!("the pod failed: {}", pod["status"]),
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    bail!("the pod has not run after {PATIENCE:?}")
}

/// When to stop reading.
enum Until<'a> {
    Time(Duration),
    Done(&'a tokio::task::JoinHandle<anyhow::Result<()>>),
}

async fn reads(
    connection: &mut Connection,
    path: &str,
    until: Until<'_>,
) -> anyhow::Result<(Samples, Duration)> {
    let begun = Instant::now();
    let mut samples = Samples::default();
    loop {
        let done = match until {
            Until::Time(time) => begun.elapsed() >= time,
            Until::Done(task) => task.is_finished(),
        };
        if done {
            return Ok((samples, begun.elapsed()));
        }
        tokio::time::sleep(PAUSE).await;
        let sent = Instant::now();
        connection
            .expect(Method::GET, path, &[], StatusCode::OK)
            .await?;
        samples.push(sent.elapsed());
    }
}
