//! `sampan run`: one module as a pod, its output here, its exit code ours.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use futures::{AsyncReadExt, StreamExt};
use k8s_openapi::api::core::v1::{Container, EnvVar, Pod, PodSpec};
use kube::api::{Api, DeleteParams, LogParams, ObjectMeta, PostParams};
use kube::runtime::watcher;

use crate::cli::RunArgs;
use crate::output::{self, complain};
use crate::progress::{Standing, standing};
use crate::registry_client::{self, ImageName};
use crate::signals::{self, EXIT_INTERRUPTED};
use crate::watching::{self, Patience};

const CONTAINER: &str = "main";
/// Waiting reasons that no waiting mends.
const HOPELESS: [&str; 5] = [
    // Forbidden by the namespace, or asked for and not given: this pod takes nothing from other objects.
    "CreateContainerConfigError",
    "CreateContainerError",
    "InvalidImageName",
    "ErrImageNeverPull",
    "RunContainerError",
];

pub(crate) async fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let shutdown = signals::shutdown_token()?;
    let stem = module_stem(&args)?;
    let module = registry_client::read_module(&args.module)?;
    let client = args.connect.client().await?;

    let image = ImageName {
        repository: format!("run/{stem}"),
        tag: "latest".to_string(),
    };
    let digest = tokio::select! {
        pushed = registry_client::push(&client, &module, &image) => pushed?,
        () = shutdown.cancelled() => return Ok(ExitCode::from(EXIT_INTERRUPTED)),
    };
    // By digest: a second run at the same time cannot change what this one starts.
    let image = format!("{}@{digest}", image.repository);

    let api: Api<Pod> = Api::namespaced(client, &args.namespace);
    let pod = api
        .create(&PostParams::default(), &pod(&args, &stem, image))
        .await?;
    let name = pod
        .metadata
        .name
        .clone()
        .context("the server named no pod")?;
    let result = tokio::select! {
        result = follow(&api, &name) => result,
        () = shutdown.cancelled() => Ok(ExitCode::from(EXIT_INTERRUPTED)),
    };
    if !args.keep {
        delete(&api, &name).await;
    }
    result
}

/// Removes the pod. What its program ended with counts more than whether this works.
async fn delete(api: &Api<Pod>, name: &str) {
    let now = DeleteParams {
        grace_period_seconds: Some(0),
        ..DeleteParams::default()
    };
    match api.delete(name, &now).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        Err(error) => {
            let why = output::words(&error.into());
            complain(format_args!("warning: cannot delete pod {name}: {why}"));
        }
    }
}

fn module_stem(args: &RunArgs) -> anyhow::Result<String> {
    let stem = args
        .module
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    let stem: String = stem
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(40)
        .collect();
    let stem = stem.trim_matches('-').to_string();
    if stem.is_empty() {
        anyhow::bail!(
            "{} has no usable file name: give one with --name",
            args.module.display()
        );
    }
    Ok(stem)
}

fn pod(args: &RunArgs, stem: &str, image: String) -> Pod {
    let env = args.env.iter().map(|(name, value)| EnvVar {
        name: name.clone(),
        value: Some(value.clone()),
        value_from: None,
    });
    let container = Container {
        name: CONTAINER.to_string(),
        image: Some(image),
        args: Some(args.args.clone()),
        env: Some(env.collect()),
        ..Container::default()
    };
    Pod {
        metadata: ObjectMeta {
            name: args.name.clone(),
            generate_name: args.name.is_none().then(|| format!("{stem}-")),
            annotations: Some(args.annotations.iter().cloned().collect()),
            ..ObjectMeta::default()
        },
        spec: Some(PodSpec {
            containers: vec![container],
            restart_policy: Some("Never".to_string()),
            ..PodSpec::default()
        }),
        status: None,
    }
}

/// Waits for the pod to start, copies its output, and turns its end into an exit code.
async fn follow(api: &Api<Pod>, name: &str) -> anyhow::Result<ExitCode> {
    wait_until(api, name, |pod| match standing(Some(pod)) {
        Standing::Waiting(reason) => {
            if HOPELESS.iter().any(|hopeless| reason.starts_with(hopeless)) {
                return Err(anyhow!("the pod cannot run: {reason}"));
            }
            let phase = pod
                .status
                .as_ref()
                .and_then(|status| status.phase.as_deref());
            Ok(phase == Some("Running"))
        }
        _ => Ok(true),
    })
    .await?;
    copy_output(api, name).await?;
    let pod = wait_until(api, name, |pod| {
        Ok(matches!(
            standing(Some(pod)),
            Standing::Completed | Standing::Failed(_)
        ))
    })
    .await?;
    Ok(exit_code(&pod))
}

async fn copy_output(api: &Api<Pod>, name: &str) -> anyhow::Result<()> {
    let params = LogParams {
        follow: true,
        ..LogParams::default()
    };
    let mut lines = std::pin::pin!(api.log_stream(name, &params).await?);
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let length = lines
            .read(&mut buffer)
            .await
            .context("reading the output")?;
        if length == 0 {
            return Ok(());
        }
        let mut out = std::io::stdout().lock();
        out.write_all(&buffer[..length])
            .and_then(|()| out.flush())
            .context("writing the output")?;
    }
}

async fn wait_until<F>(api: &Api<Pod>, name: &str, mut done: F) -> anyhow::Result<Pod>
where
    F: FnMut(&Pod) -> anyhow::Result<bool>,
{
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut events = watching::pods(api.clone(), config);
    let mut patience = Patience::default();
    while let Some(event) = events.next().await {
        let event = patience.with(event);
        match event.with_context(|| format!("cannot watch pod {name}"))? {
            Some(watcher::Event::Apply(pod) | watcher::Event::InitApply(pod)) => {
                if done(&pod)? {
                    return Ok(pod);
                }
            }
            Some(watcher::Event::Delete(_)) => anyhow::bail!("pod {name} was deleted"),
            Some(_) | None => {}
        }
    }
    anyhow::bail!("the watch of pod {name} ended")
}

fn exit_code(pod: &Pod) -> ExitCode {
    let statuses = pod
        .status
        .as_ref()
        .and_then(|status| status.container_statuses.as_ref());
    let ended = statuses
        .and_then(|statuses| statuses.first())
        .and_then(|status| status.state.as_ref()?.terminated.as_ref());
    let Some(ended) = ended else {
        return ExitCode::FAILURE;
    };
    if let (Some(reason), Some(message)) = (&ended.reason, &ended.message) {
        complain(format_args!("{reason}: {message}"));
    }
    // Codes of containers fit into a byte, as processes' do.
    u8::try_from(ended.exit_code).map_or(ExitCode::FAILURE, ExitCode::from)
}
