//! Pods: the spec as a whole. Containers, volumes, scheduling terms and updates have files of
//! their own.

mod affinity;
mod annotations;
mod claims;
mod container;
pub(super) mod diff;
mod dns;
mod env;
mod ephemeral;
mod mounts;
mod network;
mod os;
mod parts;
mod probe;
mod projected;
mod resources;
mod restart;
mod scheduling;
mod security;
mod status;
mod update;
mod volume;

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;

use crate::names;
use crate::object::{flag, get, int, is_empty, items, part, text};
use crate::status::{Errors, FieldError};

use super::path::{Path, amounts, in_range, invalid, labels, optional_text, required_choice};

pub(super) use affinity::node_selector;
pub(super) use annotations::{check as annotations, seccomp_fields};
pub(super) use parts::{ephemeral, resize};
pub(super) use scheduling::tolerations;
pub(super) use status::status_update;
pub(super) use update::update;

const RESTART_POLICIES: [&str; 3] = ["Always", "OnFailure", "Never"];
const DNS_POLICIES: [&str; 4] = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
/// User and group ids are signed 32 bit numbers to the kernel's ABI as upstream sees it.
const IDS: (i64, i64) = (0, i32::MAX as i64);

/// Where a spec stands: some rules hold for pods and not yet for what they are made from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Home<'a> {
    /// In a pod of this name, which is empty as long as it is to be generated.
    Pod(&'a str),
    Template,
}

/// What the rules of containers need to know of the pod around them.
struct Context<'a> {
    spec: &'a Value,
    volumes: volume::Volumes<'a>,
    /// The names of the claims of devices.
    claims: BTreeSet<&'a str>,
}

impl Context<'_> {
    /// The name of the operating system, empty when it is not said.
    fn os(&self) -> &str {
        text(self.spec, "os.name")
    }

    /// Whether users of the containers are users of the host.
    fn host_users(&self) -> bool {
        get(self.spec, "hostUsers").and_then(Value::as_bool) != Some(false)
    }

    fn grace(&self) -> i64 {
        int(self.spec, "terminationGracePeriodSeconds").unwrap_or(0)
    }
}

pub(super) fn create(pod: &Value, out: &mut Errors) {
    whole(pod, out);
    if !is_empty(pod, "spec.ephemeralContainers") {
        out.push(|| FieldError::forbidden("spec.ephemeralContainers", "cannot be set on create"));
    }
    if !is_empty(pod, "spec.schedulingGates") && !is_empty(pod, "spec.nodeName") {
        let why = "cannot be set until all schedulingGates have been cleared";
        out.push(|| FieldError::forbidden("spec.nodeName", why));
    }
    let path = Path::new("spec");
    annotations::seccomp_fields(part(pod, "metadata"), part(pod, "spec"), &path, out);
    annotations::app_armor_fields(part(pod, "metadata"), part(pod, "spec"), &path, out);
}

/// What holds for every pod, new or old.
fn whole(pod: &Value, out: &mut Errors) {
    let (metadata, spec_of) = (part(pod, "metadata"), part(pod, "spec"));
    let path = Path::new("spec");
    let at = Path::new("metadata").child("annotations");
    annotations::check(metadata, spec_of, &at, out);
    spec(spec_of, &path, Home::Pod(text(metadata, "name")), out);
    claims::of_mirrors(metadata, spec_of, out);
    if is_empty(spec_of, "serviceAccountName") {
        projected::no_tokens(spec_of, &path, out);
    }
    for list in ["containers", "initContainers"] {
        for (at, one) in items(spec_of, list).iter().enumerate() {
            container::image_spaces(one, &path.child(list).index(at), out);
        }
    }
}

/// The spec of a pod, or of the pods a template makes.
pub(super) fn spec(spec: &Value, path: &Path, home: Home<'_>, out: &mut Errors) {
    let volumes = volume::all(spec, home, &path.child("volumes"), out);
    let context = Context {
        spec,
        volumes,
        claims: claims::names_of(spec),
    };
    claims::all(spec, &path.child("resourceClaims"), out);
    container::all(&context, path, out);
    ephemeral::all(&context, &path.child("ephemeralContainers"), out);
    resources::pod(spec, path, out);
    if flag(spec, "hostNetwork") {
        network::host_ports(spec, path, home, out);
    }
    required_choice(out, spec, path, "restartPolicy", &RESTART_POLICIES);
    required_choice(out, spec, path, "dnsPolicy", &DNS_POLICIES);
    labels(out, spec, path, "nodeSelector");
    security::of_pod(spec, &path.child("securityContext"), out);
    affinity::all(spec, &path.child("affinity"), out);
    dns::config(spec, path, out);
    gates(spec, path, out);
    scheduling::spread(spec, &path.child("topologySpreadConstraints"), out);
    security::own_users(&context, path, out);
    network::hostname_override(spec, path, out);
    for field in ["serviceAccountName", "nodeName"] {
        optional_text(out, spec, path, field, names::dns1123_subdomain);
    }
    let deadline = (1, i64::from(i32::MAX));
    in_range(out, spec, path, "activeDeadlineSeconds", deadline);
    for field in ["hostname", "subdomain"] {
        optional_text(out, spec, path, field, names::dns1123_label);
    }
    scheduling::tolerations(spec, &path.child("tolerations"), out);
    network::host_aliases(spec, path, out);
    optional_text(
        out,
        spec,
        path,
        "priorityClassName",
        names::dns1123_subdomain,
    );
    if let Some(class) = get(spec, "runtimeClassName").and_then(Value::as_str) {
        let at = path.child("runtimeClassName");
        invalid(out, &at, class, names::dns1123_subdomain(class));
    }
    if get(spec, "preemptionPolicy").is_some() {
        let policies = ["PreemptLowerPriority", "Never"];
        required_choice(out, spec, path, "preemptionPolicy", &policies);
    }
    amounts(out, spec, path, "overhead");
    os::check(spec, path, out);
    env::files(&context, path, out);
}

/// The containers of every sort, each with its path.
fn containers<'a>(spec: &'a Value, path: &Path) -> impl Iterator<Item = (&'a Value, Path)> {
    let lists = ["initContainers", "containers", "ephemeralContainers"];
    let path = path.clone();
    lists.into_iter().flat_map(move |list| {
        let here = path.child(list);
        let all = items(spec, list).iter().enumerate();
        all.map(move |(at, one)| (one, here.index(at)))
    })
}

fn gates(spec: &Value, path: &Path, out: &mut Errors) {
    for (at, gate) in items(spec, "readinessGates").iter().enumerate() {
        let here = path.child("readinessGates").index(at);
        let condition = text(gate, "conditionType");
        let wrong = names::qualified_name(condition);
        invalid(out, &here.child("conditionType"), condition, wrong);
    }
    let mut seen = HashSet::new();
    for (at, gate) in items(spec, "schedulingGates").iter().enumerate() {
        let here = path.child("schedulingGates").index(at);
        let name = text(gate, "name");
        invalid(out, &here, name, names::qualified_name(name));
        if !seen.insert(name) {
            out.push(|| FieldError::duplicate(&here, name));
        }
    }
}
