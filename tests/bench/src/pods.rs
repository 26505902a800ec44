//! From POST to Running, as a watcher sees it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, ListParams, PostParams, WatchEvent, WatchParams};
use serde_json::json;
use tokio::sync::mpsc;

use crate::table::{self, Samples};
use crate::{PodsArgs, Workspace};

/// No pod may take longer.
const PATIENCE: Duration = Duration::from_secs(120);
/// Requests that a burst keeps under way.
const IN_FLIGHT: usize = 64;

pub(crate) async fn run(args: PodsArgs) -> anyhow::Result<()> {
    let workspace = Workspace::open(args.target.config().await?, &args.target).await?;
    let api: Api<Pod> = Api::namespaced(workspace.client.clone(), &workspace.name);
    let mut running = watch(api.clone()).await?;
    table::header();

    start(&api, "warm-up", &args.image).await?;
    wait(&mut running, 1).await?;
    let begin = Instant::now();
    let mut samples = Samples::default();
    for number in 0..args.single {
        let sent = Instant::now();
        start(&api, &format!("single-{number}"), &args.image).await?;
        let seen = wait(&mut running, 1).await?;
        samples.push(
            seen.values()
                .next()
                .context("a pod runs")?
                .duration_since(sent),
        );
    }
    table::row("pod POST to Running, one by one", samples, begin.elapsed());

    let begin = Instant::now();
    let sent: Vec<(String, Instant)> = stream::iter(0..args.burst)
        .map(|number| {
            let (api, image) = (api.clone(), args.image.clone());
            async move {
                let name = format!("burst-{number}");
                let sent = Instant::now();
                start(&api, &name, &image).await?;
                anyhow::Ok((name, sent))
            }
        })
        .buffer_unordered(IN_FLIGHT)
        .collect::<Vec<_>>()
        .await
        .into_iter()
        .collect::<anyhow::Result<_>>()?;
    let seen = wait(&mut running, args.burst).await?;
    let elapsed = begin.elapsed();
    let mut samples = Samples::default();
    for (name, sent) in sent {
        samples.push(
            seen.get(&name)
                .context("every pod runs")?
                .duration_since(sent),
        );
    }
    table::row("pod POST to Running, burst", samples, elapsed);

    let begin = Instant::now();
    let now = DeleteParams {
        grace_period_seconds: Some(0),
        ..DeleteParams::default()
    };
    api.delete_collection(&now, &ListParams::default()).await?;
    while !api
        .list_metadata(&ListParams::default().limit(1))
        .await?
        .items
        .is_empty()
    {
        if begin.elapsed() > PATIENCE {
            bail!("pods are not deleted");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!(
        "{:<38} {:>9} {:>12.0}",
        "pods deleted",
        args.single + args.burst + 1,
        (args.single + args.burst + 1) as f64 / begin.elapsed().as_secs_f64()
    );
    workspace.close().await
}

async fn start(api: &Api<Pod>, name: &str, image: &str) -> anyhow::Result<()> {
    let pod = serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "main", "image": image, "imagePullPolicy": "IfNotPresent"}],
        },
    }))?;
    api.create(&PostParams::default(), &pod).await?;
    Ok(())
}

/// Names of pods with the time at which a watcher first saw them Running.
async fn watch(api: Api<Pod>) -> anyhow::Result<mpsc::UnboundedReceiver<(String, Instant)>> {
    let version = api
        .list_metadata(&ListParams::default())
        .await?
        .metadata
        .resource_version;
    let mut events = api
        .watch(&WatchParams::default(), &version.unwrap_or_default())
        .await?
        .boxed();
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut seen = std::collections::HashSet::new();
        while let Some(Ok(event)) = events.next().await {
            let (WatchEvent::Added(pod) | WatchEvent::Modified(pod)) = event else {
                continue;
            };
            let phase = pod
                .status
                .as_ref()
                .and_then(|status| status.phase.as_deref());
            let Some(name) = pod.metadata.name.clone() else {
                continue;
            };
            if phase == Some("Running") && seen.insert(name.clone()) {
                // The receiver is gone when the bench ended early.
                let _ = sender.send((name, Instant::now()));
            }
        }
    });
    Ok(receiver)
}

async fn wait(
    running: &mut mpsc::UnboundedReceiver<(String, Instant)>,
    count: usize,
) -> anyhow::Result<HashMap<String, Instant>> {
    let mut seen = HashMap::new();
    while seen.len() < count {
        let next = tokio::time::timeout(PATIENCE, running.recv()).await;
        let next = next.with_context(|| format!("only {} of {count} pods run", seen.len()))?;
        let (name, at) = next.context("the watch ended")?;
        seen.insert(name, at);
    }
    Ok(seen)
}
