//! What people are told about objects that are accepted nevertheless: upstream's words, kind by kind.

mod kinds;
mod nodes;
mod pods;
mod volumes;

use serde_json::Value;

use crate::names;
use crate::object::{annotation, generation, get, int, items, name, part, text};
use crate::quantity::Quantity;

/// No answer carries more, and who asks for more of them is not the one to read them.
const MOST: usize = 100;
/// Of what is compared with each other, this much is: a body holds 100,000 ports.
const COMPARED: usize = 100;

const NAMES_PODS: &str = "this is used in Pod names and hostnames";
const ZONES: &str = "use timeZone instead, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details";
const MANY_INDEXES: &str = "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than \
     10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail";

/// What is odd about a new object of the bucket (`pods`), which has its name and its defaults; at most 100 sentences.
pub fn of_new(bucket: &str, value: &Value) -> Vec<String> {
    let mut told = Told(Vec::new());
    match bucket {
        "pods" => {
            told.name(value, "this is used in the Pod's hostname");
            pods::look(&mut told, "", value);
        }
        "deployments" | "replicasets" | "replicationcontrollers" => {
            told.name(value, NAMES_PODS);
            pods::look(&mut told, "spec.template.", part(value, "spec.template"));
        }
        "daemonsets" => pods::look(&mut told, "spec.template.", part(value, "spec.template")),
        "statefulsets" => {
            pods::look(&mut told, "spec.template.", part(value, "spec.template"));
            stateful_set(&mut told, "", value);
        }
        "podtemplates" => pods::look(&mut told, "template.", part(value, "template")),
        "jobs" => {
            told.name(value, NAMES_PODS);
            job(&mut told, "spec", part(value, "spec"));
        }
        "cronjobs" => {
            told.name(value, NAMES_PODS);
            let path = "spec.jobTemplate.spec";
            job(&mut told, path, part(value, path));
        }
        "ingresses" => {
            let key = "kubernetes.io/ingress.class";
            if annotation(value, key).is_some() && get(value, "spec.ingressClassName").is_none() {
                told.add(format!(
                    "annotation {key:?} is deprecated, please use 'spec.ingressClassName' instead"
                ));
            }
        }
        _ => {
            kinds::look_at_news(&mut told, bucket, value, None);
            kinds::look(&mut told, bucket, value);
        }
    }
    told.0
}

/// What is odd about the new version of an object. Of templates that is told when something about the object is new; and
/// never of pods, which programs update often and people seldom.
pub fn of_update(bucket: &str, new: &Value, old: &Value) -> Vec<String> {
    let mut told = Told(Vec::new());
    let changed = generation(new) != generation(old);
    let template = |told: &mut Told, path: &str| {
        if changed {
            pods::look(told, &format!("{path}."), part(new, path));
        }
    };
    match bucket {
        "deployments" | "replicasets" | "replicationcontrollers" | "daemonsets" => {
            template(&mut told, "spec.template");
        }
        "podtemplates" => template(&mut told, "template"),
        "statefulsets" => {
            template(&mut told, "spec.template");
            // Upstream's path, which differs from that of a new one.
            stateful_set(&mut told, ".Spec", new);
        }
        "jobs" if changed => job(&mut told, "spec", part(new, "spec")),
        "cronjobs" => {
            let path = "spec.jobTemplate.spec";
            if changed {
                job(&mut told, path, part(new, path));
            }
            if text(new, "spec.schedule").contains("TZ") {
                // Upstream's path for it.
                told.add(format!(
                    "cannot use TZ or CRON_TZ in spec.spec.schedule, {ZONES}"
                ));
            }
        }
        _ => {
            kinds::look_at_news(&mut told, bucket, new, Some(old));
            kinds::look(&mut told, bucket, new);
        }
    }
    told.0
}

struct Told(Vec<String>);

impl Told {
    /// Whether what comes is not told any more, and need not be made.
    fn is_full(&self) -> bool {
        self.0.len() >= MOST
    }

    fn add(&mut self, warning: String) {
        if !self.is_full() {
            self.0.push(warning);
        }
    }

    fn name(&mut self, value: &Value, used: &str) {
        // One that is made of a prefix is there by now.
        if name(value).is_empty() {
            return;
        }
        let why = names::dns1123_label(name(value));
        if !why.is_empty() {
            self.add(format!(
                "metadata.name: {used}, which can result in surprising behavior; a DNS label is recommended: [{}]",
                why.join(" ")
            ));
        }
    }

    /// Bytes of which there are no parts.
    fn whole(&mut self, amounts: &Value, path: &str, resource: &str) {
        if let Some(amount) = get(amounts, resource)
            && let Ok(amount) = Quantity::from_value(amount)
            && !amount.is_whole()
        {
            self.add(format!(
                "{path}[{resource}]: fractional byte value \"{amount}\" is invalid, must be an integer"
            ));
        }
    }
}

/// What beside its template is odd. `below` is what the path of a claim ends in.
fn stateful_set(told: &mut Told, below: &str, set: &Value) {
    for (index, template) in items(set, "spec.volumeClaimTemplates").iter().enumerate() {
        let path = format!("spec.volumeClaimTemplates[{index}]{below}");
        claim(told, &path, part(template, "spec"));
    }
    if int(set, "spec.revisionHistoryLimit").is_some_and(|limit| limit < 0) {
        told.add(
            "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended"
                .to_owned(),
        );
    }
}

fn job(told: &mut Told, path: &str, spec: &Value) {
    let count = |field: &str| int(spec, field).unwrap_or(0);
    let indexed = text(spec, "completionMode") == "Indexed";
    if indexed && count("completions") > 100_000 && count("parallelism") > 10_000 {
        told.add(format!("{path}: {MANY_INDEXES}"));
    }
    pods::look(told, &format!("{path}.template."), part(spec, "template"));
}

fn claim(told: &mut Told, path: &str, spec: &Value) {
    for list in ["requests", "limits"] {
        let amounts = part(spec, &format!("resources.{list}"));
        told.whole(amounts, &format!("{path}.resources.{list}"), "storage");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_that_pods_are_called_by() {
        let why = "which can result in surprising behavior; a DNS label is recommended: [must not contain dots]";
        let value = json!({"metadata": {"name": "a.b"}});
        assert_eq!(
            of_new("pods", &value),
            [format!(
                "metadata.name: this is used in the Pod's hostname, {why}"
            )]
        );
        for bucket in ["deployments", "replicasets", "jobs", "cronjobs"] {
            assert_eq!(
                of_new(bucket, &value),
                [format!("metadata.name: {NAMES_PODS}, {why}")]
            );
        }
        assert!(of_new("statefulsets", &value).is_empty());
        assert!(of_new("pods", &json!({"metadata": {"generateName": "a."}})).is_empty());
    }

    #[test]
    fn what_holds_templates() {
        let template = json!({"spec": {"terminationGracePeriodSeconds": -1}});
        let told = |bucket: &str, value: &Value| of_new(bucket, value).join("|");
        let field = "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1";
        let value = json!({"spec": {"template": template}});
        for bucket in ["deployments", "daemonsets", "statefulsets", "jobs"] {
            assert_eq!(told(bucket, &value), format!("spec.template.{field}"));
        }
        let value = json!({"spec": {"jobTemplate": {"spec": {"template": template}}}});
        let expected = format!("spec.jobTemplate.spec.template.{field}");
        assert_eq!(told("cronjobs", &value), expected);
        let expected = format!("template.{field}");
        assert_eq!(
            told("podtemplates", &json!({"template": template})),
            expected
        );
        assert!(told("nodes", &value).is_empty());
    }

    #[test]
    fn claims_jobs_sets_and_ingresses() {
        let claim = json!({"spec": {"resources": {"requests": {"storage": "500m"}, "limits": {"storage": "1Gi"}}}});
        let why = "fractional byte value \"500m\" is invalid, must be an integer";
        assert_eq!(
            of_new("persistentvolumeclaims", &claim),
            [format!("spec.resources.requests[storage]: {why}")]
        );
        let set = json!({"spec": {"volumeClaimTemplates": [claim], "revisionHistoryLimit": -1}});
        let told = of_new("statefulsets", &set);
        assert_eq!(
            told[0],
            format!("spec.volumeClaimTemplates[0].resources.requests[storage]: {why}")
        );
        assert!(told[1].starts_with("spec.revisionHistoryLimit: a negative value"));
        let told = of_update("statefulsets", &set, &set);
        assert_eq!(
            told[0],
            format!("spec.volumeClaimTemplates[0].Spec.resources.requests[storage]: {why}")
        );
        assert_eq!(of_update("persistentvolumeclaims", &claim, &claim).len(), 1);
        let mut job = json!({"spec": {"completionMode": "Indexed", "completions": 100_001, "parallelism": 10_001}});
        assert!(of_new("jobs", &job)[0].starts_with("spec: In Indexed Jobs"));
        job["spec"]["parallelism"] = json!(10_000);
        assert!(of_new("jobs", &job).is_empty());
        let ingress = json!({"metadata": {"annotations": {"kubernetes.io/ingress.class": "x"}}});
        assert_eq!(
            of_new("ingresses", &ingress),
            [
                "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead"
            ]
        );
    }

    #[test]
    fn much_is_not_told_at_length() {
        let env: Vec<Value> = (0..50_000).map(|_| json!({"name": "A"})).collect();
        let ports: Vec<Value> = (0..50_000).map(|_| json!({"containerPort": 80})).collect();
        let keys: Vec<Value> = (0..50_000)
            .map(|_| json!({"key": "a", "path": "a"}))
            .collect();
        let pod = json!({"spec": {"containers": [{"env": env, "ports": ports}],
            "volumes": [{"configMap": {"items": keys}}]}});
        assert_eq!(of_new("pods", &pod).len(), MOST);
        let long = "\u{7f}".repeat(100_000);
        let keys: Vec<Value> = (0..15).map(|_| json!({"path": long})).collect();
        let volume = json!({"name": long, "configMap": {"name": long, "items": keys}});
        let told = of_new("pods", &json!({"spec": {"volumes": [volume]}}));
        assert_eq!(told.len(), MOST);
        assert!(told.iter().all(|told| told.len() < 10_000));
    }
}
