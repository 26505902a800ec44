//! The labels of namespaces, which affinity may select by.

use k8s_openapi::api::core::v1::Namespace;
use kube::runtime::watcher::Event;

use crate::census::Labels;
use crate::table::Table;

/// Labels by namespace.
#[derive(Debug, Default)]
pub(crate) struct Namespaces(Table<Labels>);

impl Namespaces {
    /// Takes what the watch told; true if pods that fitted nowhere may fit now.
    pub(crate) fn event(&mut self, event: Event<Namespace>) -> bool {
        self.0
            .apply(event, |one| one.metadata.labels.unwrap_or_default())
    }

    /// A namespace that is not known has no labels.
    pub(crate) fn labels(&self, namespace: &str) -> &Labels {
        static NONE: Labels = Labels::new();
        self.0.get("", namespace).unwrap_or(&NONE)
    }
}
