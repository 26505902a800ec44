//! Defaults of what is registered: webhooks, policies and their bindings, servers of groups.

use serde_json::{Map, Value};

use crate::object::set_default;

use super::{each, within};

/// Seconds the server waits for a webhook.
const TIMEOUT: i64 = 10;
/// Where a service listens that is asked for a decision or for objects.
const PORT: i64 = 443;

pub(super) fn mutating_webhooks(value: &mut Value) {
    webhooks(value);
    each(value, "webhooks", |webhook| {
        set_default(webhook, "reinvocationPolicy", "Never");
    });
}

pub(super) fn webhooks(value: &mut Value) {
    each(value, "webhooks", |webhook| {
        set_default(webhook, "failurePolicy", "Fail");
        matching(webhook);
        set_default(webhook, "timeoutSeconds", TIMEOUT);
        each(webhook, "rules", scope);
        within(webhook, "clientConfig.service", |service| {
            set_default(service, "port", PORT);
        });
    });
}

pub(super) fn policy(value: &mut Value) {
    set_default(value, "spec.failurePolicy", "Fail");
    within(value, "spec.matchConstraints", resources);
}

pub(super) fn binding(value: &mut Value) {
    within(value, "spec.matchResources", resources);
}

pub(super) fn api_service(value: &mut Value) {
    within(value, "spec.service", |service| {
        set_default(service, "port", PORT);
    });
}

fn resources(value: &mut Value) {
    matching(value);
    for rules in ["resourceRules", "excludeResourceRules"] {
        each(value, rules, scope);
    }
}

/// What a request is matched by, beside the rules.
fn matching(value: &mut Value) {
    set_default(value, "matchPolicy", "Equivalent");
    set_default(value, "namespaceSelector", Map::new());
    set_default(value, "objectSelector", Map::new());
}

fn scope(rule: &mut Value) {
    set_default(rule, "scope", "*");
}
