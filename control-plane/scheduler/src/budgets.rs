//! PodDisruptionBudgets, as far as preemption looks at them: it keeps to them where it can.

use std::collections::{BTreeSet, HashMap};

use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::runtime::watcher::Event;
use sampan_api::selector::LabelSelector;

use crate::filter::Neighbour;
use crate::selector::{meets, parsed};
use crate::table::Table;

#[derive(Debug, PartialEq)]
struct Budget {
    selector: LabelSelector,
    allowed: i64,
    /// Pods whose disruption is counted already.
    disrupted: BTreeSet<String>,
}

/// All budgets.
#[derive(Debug, Default)]
pub(crate) struct Budgets(Table<Budget>);

impl Budgets {
    pub(crate) fn event(&mut self, event: Event<PodDisruptionBudget>) {
        self.0.apply(event, |one| {
            let selector = one.spec.and_then(|spec| spec.selector);
            let status = one.status.unwrap_or_default();
            Budget {
                selector: parsed(selector.as_ref()),
                allowed: i64::from(status.disruptions_allowed.unwrap_or(0)),
                disrupted: status
                    .disrupted_pods
                    .unwrap_or_default()
                    .into_keys()
                    .collect(),
            }
        });
    }

    /// For each pod, whether its going would break a budget if those before it went, too.
    pub(crate) fn broken(&self, pods: &[Neighbour<'_>]) -> Vec<bool> {
        // By the budgets' places in their namespace.
        let mut taken: HashMap<(&str, usize), i64> = HashMap::new();
        let mut broken = Vec::with_capacity(pods.len());
        for Neighbour { key, pod } in pods {
            let labels = &pod.class.labels;
            let all = self.0.in_namespace(&key.namespace).enumerate();
            // To upstream's scheduler an empty selector selects nothing.
            let about = all.filter(|(_, budget)| {
                !labels.is_empty()
                    && !budget.selector.is_everything()
                    && meets(&budget.selector, labels)
                    && !budget.disrupted.contains(&key.name)
            });
            let mut breaks = false;
            for (at, budget) in about {
                let taken = taken.entry((key.namespace.as_str(), at)).or_default();
                *taken += 1;
                breaks |= *taken > budget.allowed;
            }
            broken.push(breaks);
        }
        broken
    }
}
