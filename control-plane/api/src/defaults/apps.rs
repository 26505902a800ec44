//! Defaults of what keeps pods running: the kinds of `apps`, and replication controllers.

use serde_json::{Map, Value};

use crate::object::{annotation, get, is_empty, set, set_default, set_entry, text};

use super::prepare::TEMPLATE_GENERATION;
use super::{default_text, each, storage, template};

const ROLLING: &str = "RollingUpdate";

pub(super) fn deployment(value: &mut Value) {
    template::required(value, "spec.template");
    set_default(value, "spec.replicas", 1);
    default_text(value, "spec.strategy.type", ROLLING);
    if text(value, "spec.strategy.type") == ROLLING {
        set_default(value, "spec.strategy.rollingUpdate.maxUnavailable", "25%");
        set_default(value, "spec.strategy.rollingUpdate.maxSurge", "25%");
    }
    set_default(value, "spec.revisionHistoryLimit", 10);
    set_default(value, "spec.progressDeadlineSeconds", 600);
}

pub(super) fn replica_set(value: &mut Value) {
    template::required(value, "spec.template");
    set_default(value, "spec.replicas", 1);
}

pub(super) fn daemon_set(value: &mut Value) {
    // A number in the types behind the API, where one that is not there is a zero. Whoever does not send it owns that.
    if annotation(value, TEMPLATE_GENERATION).is_none() {
        set_entry(value, "metadata.annotations", TEMPLATE_GENERATION, "0");
    }
    template::required(value, "spec.template");
    default_text(value, "spec.updateStrategy.type", ROLLING);
    if text(value, "spec.updateStrategy.type") == ROLLING {
        set_default(value, "spec.updateStrategy.rollingUpdate.maxUnavailable", 1);
        set_default(value, "spec.updateStrategy.rollingUpdate.maxSurge", 0);
    }
    set_default(value, "spec.revisionHistoryLimit", 10);
}

pub(super) fn stateful_set(value: &mut Value) {
    template::required(value, "spec.template");
    default_text(value, "spec.podManagementPolicy", "OrderedReady");
    let strategy = "spec.updateStrategy";
    let rolling = "spec.updateStrategy.rollingUpdate";
    if is_empty(value, "spec.updateStrategy.type") {
        set(value, "spec.updateStrategy.type", ROLLING);
        set_default(value, rolling, Map::new());
    }
    let rolls = get(value, strategy).is_some_and(|strategy| text(strategy, "type") == ROLLING);
    if rolls && get(value, rolling).is_some() {
        set_default(value, "spec.updateStrategy.rollingUpdate.partition", 0);
    }
    for moment in ["whenDeleted", "whenScaled"] {
        let path = format!("spec.persistentVolumeClaimRetentionPolicy.{moment}");
        default_text(value, &path, "Retain");
    }
    set_default(value, "spec.replicas", 1);
    set_default(value, "spec.revisionHistoryLimit", 10);
    each(value, "spec.volumeClaimTemplates", |claim| {
        set(claim, "apiVersion", "v1");
        set(claim, "kind", "PersistentVolumeClaim");
        set_default(claim, "metadata", Map::new());
        storage::claim(claim);
    });
}

/// What a controller of old does not say about its selection, its template's labels say.
pub(super) fn replication_controller(value: &mut Value) {
    template::optional(value, "spec.template");
    set_default(value, "spec.replicas", 1);
    let Some(labels) = get(value, "spec.template.metadata.labels").cloned() else {
        return;
    };
    for path in ["spec.selector", "metadata.labels"] {
        if is_empty(value, path) {
            set(value, path, labels.clone());
        }
    }
}
