//! Running the probes that are due, and telling what they found.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Container;

use super::{Done, Worker};
use crate::events::Severity;
use crate::plan::{Intent, KILLED, all_containers, should_restart};
use crate::probe::{Answer, Due, Kind, run};

impl Worker {
    /// Starts the probes that are due. Returns when the next one is.
    pub(super) fn probe(&mut self, now: Timestamp) -> Option<Timestamp> {
        let stopping = Intent::of(&self.pod, self.gone) != Intent::Run;
        let containers = &self.state.containers;
        let ending = |name: &str| {
            let running = containers.get(name).and_then(|track| track.running());
            stopping || running.is_some_and(|instance| instance.kill.is_some())
        };
        let due = self.state.probes.due(now, ending);
        let next = self.state.probes.next(ending);
        for due in due {
            let found = all_containers(&self.pod).find(|(c, _)| c.name == due.container);
            let Some((container, _)) = found else {
                continue;
            };
            let Some(probe) = due.kind.of(container).cloned() else {
                continue;
            };
            let container: Arc<Container> = Arc::new(container.clone());
            let ip = self.state.ips.first().cloned().unwrap_or_default();
            self.work.push(Box::pin(async move {
                let answer = run::run(&probe, &container, &ip).await;
                Done::Probed(due, answer)
            }));
        }
        next
    }

    /// Folds in an answer. Only one that changes something is reason to plan.
    pub(super) fn probed(&mut self, due: &Due, answer: &Answer, now: Timestamp) {
        let word = due.kind.word();
        let told = match answer {
            Answer::Success => None,
            Answer::Failure(problem) => Some(format!("{word} probe failed: {problem}")),
            Answer::Error(problem) => Some(format!("{word} probe errored: {problem}")),
        };
        if let Some(message) = told {
            let severity = Severity::Warning;
            self.recorder
                .container(&due.container, severity, "Unhealthy", &message);
        }
        self.changed |= self.state.probes.answered(due, answer, now);
    }

    /// Why a container that failed a probe is stopped.
    pub(super) fn failed_text(&self, container: &str, kind: Kind) -> String {
        let word = kind.word().to_lowercase();
        let text = format!("Container {container} failed {word} probe");
        let found = all_containers(&self.pod).find(|(c, _)| c.name == container);
        match found.is_some_and(|(found, _)| should_restart(&self.pod, found, KILLED)) {
            true => format!("{text}, will be restarted"),
            false => text,
        }
    }
}
