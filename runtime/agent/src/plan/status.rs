//! The status of a pod, from its tracks.

use std::borrow::Cow;
use std::collections::HashMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated,
    ContainerStateWaiting, ContainerStatus, HostIP, Pod, PodIP, PodStatus, ResourceRequirements,
    VolumeMount, VolumeMountStatus,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::backoff::go_duration;
use super::track::{Exit, Instance, Run, Track};
use super::{
    Input, Intent, Wake, after, conditions, ephemeral_containers, init_containers, is_sidecar,
    main_containers, should_restart,
};
use super::{phase, start};
use crate::cri::wanted_limits;
use crate::limits::PULL_ERROR_SHOWN;

type Requests = std::collections::BTreeMap<String, Quantity>;

/// The scheme of container ids in a status, as the runtime's name is in the Node.
const SCHEME: &str = "sampan";
/// Reasons of a failed pull: shown for a moment, then ImagePullBackOff.
const PULL_REASONS: [&str; 3] = [
    "ErrImagePull",
    "RegistryUnavailable",
    "SignatureValidationFailed",
];

/// The status to report.
pub(super) fn pod_status(input: &Input<'_>, wake: &mut Wake) -> PodStatus {
    if let Some(ended) = &input.state.ended {
        return (**ended).clone();
    }
    phase::wake_at_deadline(input, wake);
    let phase = phase::phase(input);
    let over = matches!(phase, "Succeeded" | "Failed");
    let whole = Whole {
        told: told(input.known),
        given: input.state.resize.as_given(input.pod),
        over,
        ending: over || phase::is_ending(input) || input.intent != Intent::Run,
    };
    let mut of = |containers: &[Container], part: Part| -> Vec<ContainerStatus> {
        containers
            .iter()
            .map(|c| container_status(input, &whole, c, part, wake))
            .collect()
    };
    let init = of(init_containers(input.pod), Part::Init);
    let main = of(main_containers(input.pod), Part::Main);
    let ephemeral: Vec<Container> = ephemeral_containers(input.pod).collect();
    let ephemeral = of(&ephemeral, Part::Ephemeral);
    let conditions = conditions::conditions(input, phase, &init, &main);
    let deadline = phase::deadline_exceeded(input);
    let ips = &input.state.ips;
    let (resources, allocated_resources) = resources_of_whole(input, &whole);
    PodStatus {
        resources,
        allocated_resources,
        observed_generation: input.pod.metadata.generation,
        phase: Some(phase.to_owned()),
        conditions: Some(conditions),
        reason: deadline.then(|| phase::DEADLINE_REASON.to_owned()),
        message: deadline.then(|| phase::DEADLINE_MESSAGE.to_owned()),
        host_ip: Some(input.host_ip.to_owned()),
        host_ips: Some(vec![HostIP {
            ip: input.host_ip.to_owned(),
        }]),
        pod_ip: ips.first().cloned(),
        pod_ips: (!ips.is_empty()).then(|| ips.iter().map(|ip| PodIP { ip: ip.clone() }).collect()),
        start_time: input.state.start_time.map(Time),
        init_container_statuses: (!init.is_empty()).then_some(init),
        container_statuses: Some(main),
        ephemeral_container_statuses: (!ephemeral.is_empty()).then_some(ephemeral),
        qos_class: input.known.qos_class.clone(),
        nominated_node_name: input.known.nominated_node_name.clone(),
        resource_claim_statuses: input.known.resource_claim_statuses.clone(),
        ..PodStatus::default()
    }
}

/// The list of a pod that a container stands in.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Init,
    Main,
    Ephemeral,
}

/// What is the same for all containers of a pod, looked at once.
struct Whole<'a> {
    told: Told<'a>,
    /// The pod with what it was given.
    given: Cow<'a, Pod>,
    over: bool,
    /// No container runs again.
    ending: bool,
}

/// What was reported of init and other containers, by name: a pod may have ten thousand.
pub(super) type Told<'a> = HashMap<&'a str, &'a ContainerStatus>;

pub(super) fn told(known: &PodStatus) -> Told<'_> {
    let main = known.container_statuses.iter().flatten();
    let all = main.chain(known.init_container_statuses.iter().flatten());
    all.map(|known| (known.name.as_str(), known)).collect()
}

fn container_status(
    input: &Input<'_>,
    whole: &Whole<'_>,
    container: &Container,
    part: Part,
    wake: &mut Wake,
) -> ContainerStatus {
    let none = Track::default();
    let track = input.state.containers.get(&container.name).unwrap_or(&none);
    let instance = track.instance.as_ref();
    let running = track.running().is_some();
    let started = running && input.state.probes.started(&container.name);
    let (state, last_state) = states(input, whole, container, track, part, wake);
    let (state, last_state) = match kept_end(input, &whole.told, container, &state) {
        Some(known) => match track.exit() {
            Some(exit) => (terminated(exit), track.last.as_ref().map(terminated)),
            None => (
                known.state.clone().unwrap_or_default(),
                known.last_state.clone(),
            ),
        },
        None => (state, last_state),
    };
    let (resources, allocated_resources) = resources(input, whole, container, instance);
    ContainerStatus {
        resources,
        allocated_resources,
        name: container.name.clone(),
        image: instance
            .map(|instance| instance.image.clone())
            .filter(|image| !image.is_empty())
            .unwrap_or_else(|| container.image.clone().unwrap_or_default()),
        image_id: instance
            .map(|instance| instance.image_id.clone())
            .unwrap_or_default(),
        container_id: instance.and_then(|instance| container_id(&instance.id)),
        restart_count: instance.map_or(0, |instance| {
            i32::try_from(instance.attempt).unwrap_or(i32::MAX)
        }),
        ready: match part {
            Part::Init if !is_sidecar(container) => track.exit().is_some_and(|exit| exit.code == 0),
            Part::Init | Part::Main => {
                running && !whole.over && input.state.probes.ready(&container.name)
            }
            // Nobody waits for one.
            Part::Ephemeral => false,
        },
        started: (part != Part::Ephemeral).then_some(started),
        stop_signal: instance.and(
            container
                .lifecycle
                .as_ref()
                .and_then(|hooks| hooks.stop_signal.clone()),
        ),
        volume_mounts: volume_mounts(container),
        state: Some(state),
        // Never left out: the API server would fill it in, and this would look like a change.
        last_state: Some(last_state.unwrap_or_default()),
        ..ContainerStatus::default()
    }
}

/// What a container's mounts came to. Nothing is mounted below a volume, so one that is read-only is so all the way down.
fn volume_mounts(container: &Container) -> Option<Vec<VolumeMountStatus>> {
    let status = |mount: &VolumeMount| {
        let read_only = mount.read_only == Some(true);
        let recursive = match mount.recursive_read_only.as_deref() {
            Some("Enabled" | "IfPossible") => "Enabled",
            _ => "Disabled",
        };
        VolumeMountStatus {
            name: mount.name.clone(),
            mount_path: mount.mount_path.clone(),
            read_only: read_only.then_some(true),
            recursive_read_only: read_only.then(|| recursive.to_owned()),
            volume_status: None,
        }
    };
    let mounts = container.volume_mounts.as_ref()?;
    (!mounts.is_empty()).then(|| mounts.iter().map(status).collect())
}

/// The status a container was reported ended with, if the API lets it leave that end no more though it runs again: an
/// init container does in a new sandbox, also one that ended well. One refused state would freeze the whole status.
fn kept_end<'a>(
    input: &Input<'_>,
    told: &Told<'a>,
    container: &Container,
    state: &ContainerState,
) -> Option<&'a ContainerStatus> {
    let known = *told.get(container.name.as_str())?;
    let ended = known.state.as_ref()?.terminated.as_ref()?;
    let leaves = state.terminated.is_none();
    (leaves && !should_restart(input.pod, container, ended.exit_code)).then_some(known)
}

/// What a container has of its resources: what it was given once the runtime holds it to that, else as reported before.
/// Nothing is said of containers that cannot be resized.
fn resources(
    input: &Input<'_>,
    whole: &Whole<'_>,
    container: &Container,
    instance: Option<&Instance>,
) -> (Option<ResourceRequirements>, Option<Requests>) {
    let given = input.state.resize.given(&container.name);
    let (Some(instance), Some(given)) = (instance, given) else {
        return (None, None);
    };
    let requests = given.requests.clone();
    let known = whole.told.get(container.name.as_str());
    let wanted = wanted_limits(&whole.given, &container.name, Some(given));
    match (&instance.run, instance.limits, known) {
        (Run::Running { .. }, Some(limits), Some(known)) if limits != wanted => {
            (known.resources.clone(), requests)
        }
        _ => (Some(given.clone()), requests),
    }
}

/// The same of the pod as a whole. Nothing is said of one that says nothing of that itself.
fn resources_of_whole(
    input: &Input<'_>,
    whole: &Whole<'_>,
) -> (Option<ResourceRequirements>, Option<Requests>) {
    let Some(given) = input.state.resize.whole() else {
        return (None, None);
    };
    let lags = input.state.pod_differs(&whole.given).is_some();
    let known = input.known.resources.as_ref().filter(|_| lags);
    let actual = known.unwrap_or(given);
    (Some(actual.clone()), given.requests.clone())
}

/// The present and the last state of a container.
fn states(
    input: &Input<'_>,
    whole: &Whole<'_>,
    container: &Container,
    track: &Track,
    part: Part,
    wake: &mut Wake,
) -> (ContainerState, Option<ContainerState>) {
    let last = track.last.as_ref().map(terminated);
    let run = track.instance.as_ref().map(|instance| &instance.run);
    if let Some(Run::Running { started_at }) = run {
        let state = ContainerState {
            running: Some(ContainerStateRunning {
                started_at: Some(Time(*started_at)),
            }),
            ..ContainerState::default()
        };
        return (state, last);
    }
    let Whole { over, ending, .. } = *whole;
    if let Some(Run::Exited(exit)) = run {
        let restarts = !ending && will_restart(input, container, track, part);
        let waiting = restarts
            .then(|| waiting_after_exit(input, container, track, wake))
            .flatten();
        return match waiting {
            Some(waiting) => (waiting, Some(terminated(exit))),
            None => (terminated(exit), last),
        };
    }
    if ending && over && (input.state.initialized || input.state.lost) && part == Part::Main {
        return (never_located(), last);
    }
    let state = match &track.failure {
        Some(_) => failure_state(input, container, track, wake),
        None if init_containers(input.pod).is_empty() => waiting("ContainerCreating", None),
        None => waiting("PodInitializing", None),
    };
    (state, last)
}

fn will_restart(input: &Input<'_>, container: &Container, track: &Track, part: Part) -> bool {
    match part {
        Part::Main => return start::wants_restart(input.pod, container, track),
        Part::Ephemeral => return false,
        Part::Init => {}
    }
    if is_sidecar(container) {
        return true;
    }
    let failed = track.exit().is_some_and(|exit| exit.code != 0);
    failed && !start::init_failed(input.pod, input.state)
}

/// The waiting state of a container between two instances; none when it restarts at once. One that is replaced waits in
/// any case: the API does not let a container leave its end that its restart policy would not start again.
fn waiting_after_exit(
    input: &Input<'_>,
    container: &Container,
    track: &Track,
    wake: &mut Wake,
) -> Option<ContainerState> {
    if track.failure.is_some() {
        return Some(failure_state(input, container, track, wake));
    }
    if track.is_replaced() {
        return Some(waiting("ContainerCreating", None));
    }
    let until = start::crash_wait(track)?;
    if until <= input.now {
        return None;
    }
    let message = format!(
        "back-off {} restarting failed container={} pod={}",
        go_duration(track.crash.delay()),
        container.name,
        pod_text(input),
    );
    Some(waiting("CrashLoopBackOff", Some(message)))
}

fn failure_state(
    input: &Input<'_>,
    container: &Container,
    track: &Track,
    wake: &mut Wake,
) -> ContainerState {
    let Some(failure) = &track.failure else {
        return waiting("ContainerCreating", None);
    };
    if !PULL_REASONS.contains(&failure.reason.as_str()) {
        return waiting(&failure.reason, Some(failure.message.clone()));
    }
    let turns = after(failure.since, PULL_ERROR_SHOWN);
    if input.now < turns {
        wake.at(turns);
        return waiting(&failure.reason, Some(failure.message.clone()));
    }
    let image = failure.image.as_deref().or(container.image.as_deref());
    let image = image.unwrap_or_default();
    let message = format!(
        "Back-off pulling image \"{image}\": {}: {}",
        failure.reason, failure.message
    );
    waiting("ImagePullBackOff", Some(message))
}

fn waiting(reason: &str, message: Option<String>) -> ContainerState {
    ContainerState {
        waiting: Some(ContainerStateWaiting {
            reason: Some(reason.to_owned()),
            message: message.filter(|message| !message.is_empty()),
        }),
        ..ContainerState::default()
    }
}

pub(crate) fn terminated(exit: &Exit) -> ContainerState {
    let time = |at: Option<Timestamp>| at.map(Time);
    ContainerState {
        terminated: Some(ContainerStateTerminated {
            container_id: container_id(&exit.id),
            exit_code: exit.code,
            reason: (!exit.reason.is_empty()).then(|| exit.reason.clone()),
            message: (!exit.message.is_empty()).then(|| exit.message.clone()),
            signal: None,
            started_at: time(exit.started_at),
            finished_at: time(exit.finished_at),
        }),
        ..ContainerState::default()
    }
}

/// A container of an ended pod that never started.
fn never_located() -> ContainerState {
    ContainerState {
        terminated: Some(ContainerStateTerminated {
            exit_code: 137,
            reason: Some("ContainerStatusUnknown".into()),
            message: Some("The container could not be located when the pod was terminated".into()),
            ..ContainerStateTerminated::default()
        }),
        ..ContainerState::default()
    }
}

fn container_id(id: &str) -> Option<String> {
    (!id.is_empty()).then(|| format!("{SCHEME}://{id}"))
}

/// `NAME_NAMESPACE(UID)`, as upstream names pods in messages.
fn pod_text(input: &Input<'_>) -> String {
    super::transition::pod_text(input.pod)
}
