//! One task per pod: plans, runs what the plan asks for, folds the outcomes back in.
//!
//! It sleeps until its pod changes, one of its containers does, an action ends, or a moment the
//! plan named comes. Everything it decides is decided by [`crate::plan`].

mod compiling;
mod hooks;
mod inbox;
mod message;
mod probing;
mod report;
mod resize;
mod sandbox;
mod start;
mod stop;
mod volumes;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use sampan_proto::RuntimeService;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::content::{
    NodeFacts, Objects, Refreshed, Services, Sources, Tokens, VolumePolicy, shows_metadata,
};
use crate::events::{PodRecorder, Recorder, Severity};
use crate::images::Puller;
use crate::plan::{
    Action, Found, Input, Intent, Kill, Outcome, PodState, Run, Sandbox, after, all_containers,
    notes, plan, rejected, seed,
};
use crate::probe::{Answer, Due};
use crate::registry::Registry;
use crate::room::{Room, Shortage};
use hooks::Hooks;
pub(crate) use inbox::{Inbox, News};
pub(crate) use message::finished;
use report::{Report, Written};
use sandbox::pod_ips;
use volumes::Volumes;

/// What all workers of a node use.
pub(crate) struct Shared {
    pub(crate) client: kube::Client,
    pub(crate) runtime: Arc<dyn RuntimeService>,
    pub(crate) puller: Puller,
    pub(crate) objects: Objects,
    pub(crate) sources: Sources,
    pub(crate) services: Services,
    pub(crate) volumes: VolumePolicy,
    pub(crate) recorder: Recorder,
    pub(crate) registry: Registry,
    pub(crate) room: Arc<Room>,
    pub(crate) facts: NodeFacts,
    pub(crate) pods_dir: PathBuf,
    pub(crate) log_dir: PathBuf,
    /// Bounds the starts under way on this node.
    pub(crate) starts: Semaphore,
    /// Bounds the pods whose volumes are made or brought up to date.
    pub(crate) renders: Semaphore,
}

/// What a finished piece of work says.
enum Done {
    Outcomes(Vec<Outcome>),
    /// Volumes and sandbox are made, or not.
    Sandbox(Box<Outcome>, Tokens),
    /// The volumes were looked at again.
    Refreshed(Option<Refreshed>),
    /// A probe has its answer.
    Probed(Due, Answer),
    Written(Written),
    /// The object is deleted, or was gone already.
    Deleted,
    /// Everything of the pod is removed from this node.
    CleanedUp,
}

impl Done {
    fn outcome(outcome: Outcome) -> Done {
        Done::Outcomes(vec![outcome])
    }
}

struct Worker {
    shared: Arc<Shared>,
    uid: String,
    inbox: Arc<Inbox>,
    pod: Arc<Pod>,
    gone: bool,
    state: PodState,
    status: Arc<PodStatus>,
    report: Report,
    volumes: Volumes,
    recorder: PodRecorder,
    work: FuturesUnordered<BoxFuture<'static, Done>>,
    /// Cancels the start under way, of the sandbox or a container.
    cancel: CancellationToken,
    /// Containers that changed before their start told their id.
    unknown: BTreeSet<String>,
    deleting: bool,
    ended: bool,
    /// When the last plan was made.
    planned_at: Timestamp,
    /// When to plan again though nothing happened.
    wake_at: Option<Timestamp>,
    /// Something happened that may change the plan.
    changed: bool,
}

/// A pod as it comes to its worker.
pub(crate) struct Arrival {
    pub(crate) pod: Arc<Pod>,
    /// What the runtime has of it.
    pub(crate) found: Found,
    /// What the node has too little of to take it.
    pub(crate) rejection: Option<Shortage>,
}

/// Runs one pod until nothing of it is left here.
pub(crate) async fn run(shared: Arc<Shared>, arrival: Arrival, inbox: Arc<Inbox>) {
    let mut worker = Worker::new(shared, arrival, inbox.clone());
    while !worker.ended {
        let wake_at = worker.advance();
        let timer = async {
            match wake_at {
                Some(at) => tokio::time::sleep(until(at)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(done) = worker.work.next() => worker.fold(done),
            news = inbox.next() => worker.hear(news),
            () = timer => {}
        }
    }
}

fn until(at: Timestamp) -> Duration {
    // A hair later, so that the moment has come when the plan looks at the clock.
    Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default()
        + Duration::from_millis(1)
}

/// Whether to plan though nothing happened. A clock that was set back says nothing of how long ago the last plan was.
fn is_due(planned_at: Timestamp, wake_at: Option<Timestamp>, now: Timestamp) -> bool {
    now < planned_at || wake_at.is_some_and(|at| at <= now)
}

impl Worker {
    fn new(shared: Arc<Shared>, arrival: Arrival, inbox: Arc<Inbox>) -> Worker {
        let now = Timestamp::now();
        let Arrival {
            pod,
            mut found,
            rejection,
        } = arrival;
        if let Some((.., ips)) = &mut found.sandbox {
            *ips = pod_ips(&pod, std::mem::take(ips), &shared.facts.host_ip);
        }
        let mut worker = Worker {
            uid: pod.metadata.uid.clone().unwrap_or_default(),
            inbox,
            state: seed(&pod, found, now),
            status: Arc::new(pod.status.clone().unwrap_or_default()),
            report: Report::new(&pod),
            volumes: Volumes::default(),
            recorder: shared.recorder.of(pod.clone()),
            pod,
            gone: false,
            shared,
            work: FuturesUnordered::new(),
            cancel: CancellationToken::new(),
            unknown: BTreeSet::new(),
            deleting: false,
            ended: false,
            planned_at: now,
            wake_at: None,
            changed: true,
        };
        if let Some(shortage) = rejection {
            let status = rejected(&worker.pod, &shortage, now);
            let (reason, message) = (shortage.reason(), shortage.message());
            worker.recorder.pod(Severity::Warning, &reason, &message);
            worker.status = Arc::new(status.clone());
            worker.state.ended = Some(Box::new(status));
        }
        if matches!(worker.state.sandbox, Sandbox::Ready { .. }) {
            // What changed while no agent was here is not known: everything is looked at.
            worker.open_volumes();
            worker.volumes.changed();
        }
        worker
    }

    fn open_volumes(&mut self) -> Arc<crate::content::Subscription> {
        self.volumes
            .open(&self.shared, &self.uid, &self.pod, &self.inbox)
    }

    /// Does what is to be done now. Returns when to look again at the latest.
    fn advance(&mut self) -> Option<Timestamp> {
        let now = Timestamp::now();
        // An answer that changes nothing is what probes mostly get: it costs no plan.
        let due = is_due(self.planned_at, self.wake_at, now);
        if std::mem::take(&mut self.changed) || due {
            self.wake_at = self.step();
        }
        let probe_at = self.probe(now);
        [self.wake_at, probe_at].into_iter().flatten().min()
    }

    /// Plans and starts what is to be done. Returns when to plan again at the latest.
    fn step(&mut self) -> Option<Timestamp> {
        let now = Timestamp::now();
        self.planned_at = now;
        self.state.follow(now);
        let intent = Intent::of(&self.pod, self.gone);
        self.settle_resize(intent);
        let plan = plan(&Input {
            pod: &self.pod,
            state: &self.state,
            known: self.report.known(),
            intent,
            now,
            host_ip: &self.shared.facts.host_ip,
        });
        for note in notes(&self.pod, &self.status, &plan.status) {
            self.recorder.note(&note);
        }
        self.status = Arc::new(plan.status);
        self.leave_room();
        self.publish();
        let mut wake_at = plan.wake_at;
        if !self.gone
            && let Some(at) = self.write_status(now)
        {
            wake_at = Some(wake_at.map_or(at, |wake| wake.min(at)));
        }
        for action in plan.actions {
            self.act(action, now);
        }
        if let Some(at) = self.refresh_volumes(now) {
            wake_at = Some(wake_at.map_or(at, |wake| wake.min(at)));
        }
        wake_at
    }

    /// Starts an action and notes that it is under way, so that the next plan does not ask again.
    fn act(&mut self, action: Action, now: Timestamp) {
        match action {
            Action::CreateSandbox { attempt } => {
                self.state.sandbox = Sandbox::Creating { attempt };
                self.cancel = CancellationToken::new();
                let subscription = self.open_volumes();
                self.work.push(self.create_sandbox(attempt, subscription));
            }
            // The files of a subPath may be the very ones that are being replaced. The end of that is news.
            Action::Start { .. } if self.volumes.under_way() => {}
            Action::Start { container, attempt } => {
                self.cancel = CancellationToken::new();
                if let Some(start) = self.start_container(&container, attempt) {
                    self.state.starting = Some(container);
                    self.work.push(start);
                }
            }
            Action::Resize(change) => {
                self.state.resize.under_way = true;
                self.work.push(self.change_limits(change));
            }
            Action::CancelStart => self.cancel.cancel(),
            Action::Kill {
                container,
                id,
                grace,
                replace,
                failed,
            } => {
                let why = if let Some(kind) = failed {
                    self.failed_text(&container, kind)
                } else if replace {
                    format!("Container {container} definition changed, will be restarted")
                } else {
                    format!("Stopping container {container}")
                };
                let severity = Severity::Normal;
                self.recorder
                    .container(&container, severity, "Killing", &why);
                let seconds = Duration::from_secs(u64::try_from(grace).unwrap_or(0));
                let kill = Kill {
                    deadline: after(now, seconds),
                    replace,
                };
                let with_pod = !replace && failed.is_none();
                let begins = self.state.killed(&container, &id, kill, with_pod);
                // A stop that only became more urgent has had its hook.
                let hooks = begins.then(|| self.hooks(&container)).flatten();
                self.work
                    .push(self.stop_container(container, id, grace, hooks));
            }
            Action::RemoveSandbox { id } => {
                self.state.sandbox = Sandbox::Removing {
                    attempt: self.state.sandbox.attempt(),
                };
                self.volumes.close();
                self.work.push(self.remove_sandbox(id));
            }
            Action::Delete if self.report.is_settled() && !self.deleting => {
                self.deleting = true;
                self.work.push(self.delete_object());
            }
            Action::Delete => {}
            Action::Finish if !self.deleting => {
                self.deleting = true;
                self.work.push(self.clean_up());
            }
            Action::Finish => {}
        }
    }

    fn hooks(&self, container: &str) -> Option<Hooks> {
        let (container, _) = all_containers(&self.pod).find(|(c, _)| c.name == container)?;
        container.lifecycle.as_ref()?;
        Some(Hooks {
            container: Arc::new(container.clone()),
            ip: self.state.ips.first().cloned().unwrap_or_default(),
            recorder: self.recorder.clone(),
        })
    }

    fn fold(&mut self, done: Done) {
        let now = Timestamp::now();
        if let Done::Probed(due, answer) = done {
            self.probed(&due, &answer, now);
            return;
        }
        self.changed = true;
        match done {
            Done::Probed(..) => {}
            Done::Outcomes(outcomes) => {
                for outcome in outcomes {
                    self.apply(outcome, now);
                }
            }
            Done::Sandbox(outcome, tokens) => {
                self.volumes.made(tokens);
                self.apply(*outcome, now);
            }
            Done::Refreshed(refreshed) => self.refreshed(refreshed, now),
            Done::Written(written) => {
                if self.report.written(written, &self.pod, now) {
                    self.gone = true;
                }
            }
            Done::Deleted => {
                self.gone = true;
                self.deleting = false;
            }
            Done::CleanedUp => {
                self.shared.registry.remove(&self.uid);
                self.shared.room.release(&self.uid);
                self.ended = true;
            }
        }
    }

    fn apply(&mut self, outcome: Outcome, now: Timestamp) {
        if let Outcome::NotResized { error, .. } = &outcome {
            self.resize_failed(error);
        }
        let started = match &outcome {
            Outcome::Started { instance, .. } => Some(instance.id.clone()),
            _ => None,
        };
        self.state.apply(&self.pod, outcome, now);
        if let Some(id) = started
            && self.unknown.remove(&id)
        {
            self.work.push(self.look_at(vec![id]));
        }
        if self.state.starting.is_none() {
            self.unknown.clear();
        }
    }

    fn hear(&mut self, news: News) {
        self.changed = true;
        if let Some(pod) = news.pod {
            self.report.heard(&pod);
            self.recorder = self.shared.recorder.of(pod.clone());
            let (old, new) = (&self.pod.metadata, &pod.metadata);
            let renamed = old.labels != new.labels || old.annotations != new.annotations;
            if renamed && shows_metadata(&pod) {
                self.volumes.changed();
            }
            self.pod = pod;
        }
        if news.content_changed {
            self.volumes.changed();
            // What a volume waited for may be there now.
            self.state.sandbox_retry.reset();
        }
        if news.gone && !self.gone {
            self.gone = true;
            self.deleting = false;
        }
        let mut look = Vec::new();
        for id in news.touched {
            if self.state.container_of(&id).is_some() {
                look.push(id);
            } else if self.state.starting.is_some() {
                self.unknown.insert(id);
            }
        }
        if news.look_at_all {
            look.extend(self.running_ids());
        }
        if !look.is_empty() {
            self.work.push(self.look_at(look));
        }
    }

    fn running_ids(&self) -> Vec<String> {
        let instances = self
            .state
            .containers
            .values()
            .filter_map(|track| track.running());
        instances
            .filter(|instance| matches!(instance.run, Run::Running { .. }))
            .map(|instance| instance.id.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_due_at_its_moment_and_when_the_clock_was_set_back() {
        let at = |second| Timestamp::from_second(second).unwrap();
        for (now, wake_at, expect) in [
            (100, None, false),
            (109, Some(110), false),
            (110, Some(110), true),
            (99, Some(110), true),
            (99, None, true),
        ] {
            let due = is_due(at(100), wake_at.map(at), at(now));
            assert_eq!(due, expect, "{now} {wake_at:?}");
        }
    }
}
