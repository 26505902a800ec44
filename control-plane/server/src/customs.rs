//! Which custom resources are served: one table, replaced whenever a definition changes, read by every request.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use sampan_api::custom::{Catalog, CatalogFull, Definition, Served};
use sampan_api::resource::Resource;
use tokio_util::sync::CancellationToken;

use crate::discovery::Documents;

/// The served resources, and who is told when one is no more.
#[derive(Default)]
pub(crate) struct Customs {
    served: ArcSwap<Served>,
    catalog: Mutex<Catalog>,
    /// Watches of a row end with it. A row is known by its address: there is one of each for ever.
    ends: Mutex<HashMap<usize, CancellationToken>>,
    /// What OpenAPI says of them.
    pub(crate) documents: Documents,
}

impl Customs {
    /// Everything that is served now.
    pub(crate) fn served(&self) -> Arc<Served> {
        self.served.load_full()
    }

    /// Serves definitions, each in place of what was served under its name; all of them, or those there is room for.
    pub(crate) fn publish(
        &self,
        definitions: &[Arc<Definition>],
        terminating: bool,
    ) -> Result<(), CatalogFull> {
        let mut catalog = self.catalog.lock();
        let mut outcome = Ok(());
        for definition in definitions {
            outcome = outcome.and(catalog.publish(definition, terminating));
        }
        self.replace(catalog.served());
        outcome
    }

    /// Serves a definition no longer.
    pub(crate) fn withdraw(&self, name: &str) {
        let mut catalog = self.catalog.lock();
        catalog.withdraw(name);
        self.replace(catalog.served());
    }

    /// The row under which all objects of a definition can be reached.
    pub(crate) fn storage(&self, name: &str) -> Option<&'static Resource> {
        self.catalog.lock().storage(name)
    }

    /// Ends when the resource is served no longer, or with `parent`.
    pub(crate) fn end_of(
        &self,
        resource: &'static Resource,
        parent: &CancellationToken,
    ) -> CancellationToken {
        if !resource.is_custom() {
            return parent.clone();
        }
        let mut ends = self.ends.lock();
        let served = self.served.load();
        let token = ends
            .entry(address(resource))
            .or_insert_with(|| parent.child_token())
            .clone();
        // It went between the request's beginning and now.
        if !served
            .custom()
            .iter()
            .any(|row| std::ptr::eq(*row, resource))
        {
            token.cancel();
            ends.remove(&address(resource));
        }
        token
    }

    fn replace(&self, served: Served) {
        let mut ends = self.ends.lock();
        let rows: HashSet<usize> = served.custom().iter().map(|row| address(row)).collect();
        self.served.store(Arc::new(served));
        ends.retain(|row, token| {
            let stays = rows.contains(row);
            if !stays {
                token.cancel();
            }
            stays
        });
    }
}

fn address(resource: &'static Resource) -> usize {
    std::ptr::from_ref(resource) as usize
}
