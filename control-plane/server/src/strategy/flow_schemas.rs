//! FlowSchemas: whether the priority level they name is there.

use jiff::Timestamp;
use sampan_api::{object, time};
use serde_json::{Value, json};

/// Says that it is. For schemas the server makes after the level.
pub(super) fn found(schema: &mut Value) {
    let level = object::text(schema, "spec.priorityLevelConfiguration.name");
    let condition = json!({
        "type": "Dangling", "status": "False", "lastTransitionTime": time::seconds(Timestamp::now()), "reason": "Found",
        "message": format!(
            "This FlowSchema references the PriorityLevelConfiguration object named {level:?} and it exists"
        ),
    });
    object::set(schema, "status.conditions", json!([condition]));
}
