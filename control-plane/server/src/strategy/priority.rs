//! Priority admission: a pod's priority comes from its class, and only one class is the default.

use sampan_api::object;
use sampan_api::resource::{Resource, find as find_resource};
use sampan_api::status::Status;
use serde_json::Value;

use crate::api::{Api, Result};
use crate::read::{all, find};
use crate::respond::parse;

const GROUP: &str = "scheduling.k8s.io";
/// Of what the cluster itself runs.
pub(super) const SYSTEM: [&str; 2] = ["system-node-critical", "system-cluster-critical"];

/// Gives a new pod the priority and the preemption policy of its class.
pub(super) async fn admit(api: &Api, resource: &Resource, pod: &mut Value) -> Result<()> {
    let name = object::text(pod, "spec.priorityClassName");
    let class = if name.is_empty() {
        default_class(api).await?
    } else {
        let classes =
            find_resource(GROUP, "v1", "priorityclasses").ok_or_else(Status::path_not_found)?;
        let Some(found) = find(api, classes, "", name).await? else {
            let why = format!("no PriorityClass with name {name} was found");
            return Err(Status::forbidden(resource, object::name(pod), &why));
        };
        Some(parse(&found.object.raw)?)
    };
    let (name, priority, policy) = match &class {
        Some(class) => (
            object::name(class),
            object::int(class, "value").unwrap_or(0),
            object::text(class, "preemptionPolicy"),
        ),
        None => ("", 0, "PreemptLowerPriority"),
    };
    let refuse = |why: String| Err(Status::forbidden(resource, object::name(pod), &why));
    if let Some(asked) = object::int(pod, "spec.priority").filter(|asked| *asked != priority) {
        return refuse(format!(
            "the integer value of priority ({asked}) must not be provided in pod spec; \
             priority admission controller computed {priority} from the given PriorityClass name"
        ));
    }
    let asked = object::text(pod, "spec.preemptionPolicy");
    if !asked.is_empty() && !policy.is_empty() && asked != policy {
        return refuse(format!(
            "the string value of PreemptionPolicy ({asked}) must not be provided in pod spec; \
             priority admission controller computed {policy} from the given PriorityClass name"
        ));
    }
    if !name.is_empty() {
        object::set(pod, "spec.priorityClassName", name);
    }
    object::set(pod, "spec.priority", priority);
    if !policy.is_empty() {
        object::set(pod, "spec.preemptionPolicy", policy);
    }
    Ok(())
}

/// The class of pods that name none. Should there be several, the least of them.
async fn default_class(api: &Api) -> Result<Option<Value>> {
    let mut default: Option<Value> = None;
    for entry in all(api, GROUP, "priorityclasses", "").await? {
        // Most are none: not worth parsing.
        if !String::from_utf8_lossy(&entry.object.raw).contains(r#""globalDefault":true"#) {
            continue;
        }
        let class = parse(&entry.object.raw)?;
        let value = |class: &Value| object::int(class, "value").unwrap_or(0);
        let lesser = default
            .as_ref()
            .is_none_or(|known| value(&class) < value(known));
        if object::flag(&class, "globalDefault") && lesser {
            default = Some(class);
        }
    }
    Ok(default)
}

/// Refuses a second default.
pub(super) async fn only_default(api: &Api, resource: &Resource, class: &Value) -> Result<()> {
    if !object::flag(class, "globalDefault") {
        return Ok(());
    }
    let Some(known) = default_class(api).await? else {
        return Ok(());
    };
    let (name, known) = (object::name(class), object::name(&known));
    if name == known {
        return Ok(());
    }
    let why =
        format!("PriorityClass {known} is already marked as default. Only one default can exist");
    Err(Status::forbidden(resource, name, &why))
}
