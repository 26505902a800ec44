//! Defaults of priorities: of requests to the server, and of pods.

use serde_json::Value;

use crate::object::set_default;

use super::{default_number, within};

pub(super) fn schema(value: &mut Value) {
    default_number(value, "spec.matchingPrecedence", 1000);
}

pub(super) fn level(value: &mut Value) {
    within(value, "spec.exempt", |exempt| {
        set_default(exempt, "nominalConcurrencyShares", 0);
        set_default(exempt, "lendablePercent", 0);
    });
    within(value, "spec.limited", |limited| {
        set_default(limited, "nominalConcurrencyShares", 30);
        set_default(limited, "lendablePercent", 0);
    });
    within(value, "spec.limited.limitResponse.queuing", |queues| {
        default_number(queues, "queues", 64);
        default_number(queues, "handSize", 8);
        default_number(queues, "queueLengthLimit", 50);
    });
}

pub(super) fn pod_class(value: &mut Value) {
    set_default(value, "value", 0);
    set_default(value, "preemptionPolicy", "PreemptLowerPriority");
}
