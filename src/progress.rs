//! Shows how the applied pods come along, until each is Ready or Completed.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::SelectAll;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::api::{Api, LogParams};
use kube::runtime::watcher;

use crate::output::{complain, say, words};
use crate::watching::{self, Patience};

/// Lines of a pod's output that are shown.
const SHOWN_LINES: i64 = 10;

/// How long pods must stay well: one that ends at once was Ready for a moment.
const SETTLE: Duration = Duration::from_millis(500);

/// A pod, by namespace and name.
pub(crate) type PodKey = (String, String);

/// How far a pod has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Not there yet, with what kubectl would show as its status.
    Waiting(String),
    Ready,
    Completed,
    Failed(String),
}

impl Standing {
    fn is_good(&self) -> bool {
        matches!(self, Standing::Ready | Standing::Completed)
    }
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Standing::Waiting(reason) => f.write_str(reason),
            Standing::Ready => f.write_str("Ready"),
            Standing::Completed => f.write_str("Completed"),
            Standing::Failed(reason) => write!(f, "Failed: {reason}"),
        }
    }
}

/// The applied pods, as last seen.
pub(crate) struct Progress {
    client: kube::Client,
    pods: BTreeMap<PodKey, Option<Pod>>,
}

impl Progress {
    pub(crate) fn new(client: kube::Client, pods: impl IntoIterator<Item = PodKey>) -> Self {
        Self {
            client,
            pods: pods.into_iter().map(|key| (key, None)).collect(),
        }
    }

    /// Prints each change until every pod is and stays Ready or Completed (true), or one has failed for good or cannot be
    /// watched (false).
    pub(crate) async fn follow(&mut self) -> anyhow::Result<bool> {
        let namespaces: std::collections::BTreeSet<_> = self
            .pods
            .keys()
            .map(|(namespace, _)| namespace.clone())
            .collect();
        let mut streams = SelectAll::new();
        for namespace in namespaces {
            let api: Api<Pod> = Api::namespaced(self.client.clone(), &namespace);
            streams.push(watching::pods(api, watcher::Config::default()));
        }
        let mut patience = Patience::default();
        loop {
            let good = self
                .pods
                .values()
                .all(|pod| standing(pod.as_ref()).is_good());
            let event = tokio::select! {
                event = streams.next() => event,
                () = tokio::time::sleep(SETTLE), if good => break,
            };
            let Some(event) = event else { break };
            match patience.with(event) {
                Ok(Some(watcher::Event::Apply(pod) | watcher::Event::InitApply(pod))) => {
                    if let Standing::Failed(_) = self.see(pod).await {
                        return Ok(false);
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    let why = words(&error.into());
                    complain(format_args!("cannot watch the applied pods: {why}"));
                    return Ok(false);
                }
            }
        }
        for (key, pod) in &self.pods {
            if standing(pod.as_ref()) == Standing::Ready {
                self.show_output(key).await;
            }
        }
        Ok(true)
    }

    async fn see(&mut self, pod: Pod) -> Standing {
        let metadata = &pod.metadata;
        let key = (
            metadata.namespace.clone().unwrap_or_default(),
            metadata.name.clone().unwrap_or_default(),
        );
        let Some(seen) = self.pods.get_mut(&key) else {
            return Standing::Waiting(String::new());
        };
        let before = standing(seen.as_ref());
        let now = standing(Some(&pod));
        *seen = Some(pod);
        if before != now {
            say(format_args!("pod/{}  {now}", key.1));
            if matches!(now, Standing::Completed | Standing::Failed(_)) {
                self.show_output(&key).await;
            }
        }
        now
    }

    /// The last lines of each container, which is the proof that it ran.
    async fn show_output(&self, key: &PodKey) {
        let Some(Some(pod)) = self.pods.get(key) else {
            return;
        };
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &key.0);
        for container in pod.spec.iter().flat_map(|spec| &spec.containers) {
            let params = LogParams {
                container: Some(container.name.clone()),
                tail_lines: Some(SHOWN_LINES),
                ..LogParams::default()
            };
            match api.logs(&key.1, &params).await {
                Ok(text) => text
                    .lines()
                    .for_each(|line| say(format_args!("[{}] {line}", key.1))),
                Err(error) => tracing::debug!(%error, "reading the log of {}", key.1),
            }
        }
    }

    /// Why the pods that are not there yet are not.
    pub(crate) fn reasons(&self) -> Vec<String> {
        self.pods
            .iter()
            .map(|((_, name), pod)| (name, standing(pod.as_ref())))
            .filter(|(_, standing)| !standing.is_good())
            .map(|(name, standing)| format!("pod/{name}: {standing}"))
            .collect()
    }

    /// Where the pods that declare ports answer.
    pub(crate) fn urls(&self) -> Vec<String> {
        self.pods.values().flatten().flat_map(pod_urls).collect()
    }
}

fn pod_urls(pod: &Pod) -> Vec<String> {
    let Some(ip) = pod
        .status
        .as_ref()
        .and_then(|status| status.pod_ip.as_deref())
    else {
        return Vec::new();
    };
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let ports = containers.flat_map(|container| container.ports.iter().flatten());
    ports
        .map(|port| format!("http://{ip}:{}/", port.container_port))
        .collect()
}

/// What a pod's status amounts to.
pub(crate) fn standing(pod: Option<&Pod>) -> Standing {
    let Some(status) = pod.and_then(|pod| pod.status.as_ref()) else {
        return Standing::Waiting("Pending".to_string());
    };
    let phase = status.phase.as_deref().unwrap_or("Pending");
    let containers = || {
        status
            .init_container_statuses
            .iter()
            .flatten()
            .chain(status.container_statuses.iter().flatten())
    };
    match phase {
        "Succeeded" => return Standing::Completed,
        "Failed" => {
            let reason = containers()
                .find_map(failure)
                .or_else(|| status.message.clone());
            return Standing::Failed(reason.unwrap_or_else(|| "Error".to_string()));
        }
        _ => {}
    }
    let conditions = status.conditions.iter().flatten();
    if conditions
        .clone()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
    {
        return Standing::Ready;
    }
    let unscheduled = conditions
        .filter(|condition| condition.type_ == "PodScheduled" && condition.status == "False")
        .find_map(|condition| condition.message.clone());
    let reason = containers().find_map(waiting).or(unscheduled);
    Standing::Waiting(reason.unwrap_or_else(|| phase.to_string()))
}

fn waiting(status: &ContainerStatus) -> Option<String> {
    let waiting = status.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.clone()?;
    Some(match &waiting.message {
        Some(message) => format!("{reason} ({message})"),
        None => reason,
    })
}

fn failure(status: &ContainerStatus) -> Option<String> {
    let ended = status.state.as_ref()?.terminated.as_ref()?;
    if ended.exit_code == 0 {
        return None;
    }
    let reason = ended.reason.as_deref().unwrap_or("Error");
    let message = ended
        .message
        .as_deref()
        .map(|text| format!(": {text}"))
        .unwrap_or_default();
    Some(format!(
        "container {} {reason}, exit code {}{message}",
        status.name, ended.exit_code
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn standings() {
        let check = |status: serde_json::Value, expected: &str| {
            let pod: Pod =
                serde_json::from_value(json!({"metadata": {}, "status": status})).expect("pod");
            assert_eq!(standing(Some(&pod)).to_string(), expected);
        };
        assert_eq!(standing(None).to_string(), "Pending");
        check(json!({"phase": "Pending"}), "Pending");
        check(json!({"phase": "Succeeded"}), "Completed");
        check(
            json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}),
            "Ready",
        );
        check(
            json!({"phase": "Pending", "conditions":
                [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}]}),
            "0/1 nodes are available",
        );
        check(
            json!({"phase": "Running", "containerStatuses": [{"name": "c", "image": "", "imageID": "",
                "ready": false, "restartCount": 1,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}),
            "CrashLoopBackOff",
        );
        check(
            json!({"phase": "Failed", "containerStatuses": [{"name": "c", "image": "", "imageID": "",
                "ready": false, "restartCount": 0,
                "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}]}),
            "Failed: container c OOMKilled, exit code 137",
        );
    }
}
