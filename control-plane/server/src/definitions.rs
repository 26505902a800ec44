//! What follows from CustomResourceDefinitions: names are given, versions are served, and before a definition goes its
//! objects go.
//!
//! One task looks at definitions one after the other, in the order they change, so no two of them get the same name.
//! It knows nothing it could not read again: after a restart, or when it fell behind, it starts from a list.

mod cleanup;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use sampan_api::custom::{self, Definition, Names, UsedNames, conditions};
use sampan_api::resource::{Resource, find as find_resource};
use sampan_api::status::Status;
use sampan_api::{object, time};
use sampan_store::{Prefix, RangeRequest, Revision, WatchError};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::api::{Api, Result};
use crate::read::{find, range_failed_now};
use crate::{respond, write};

/// Where definitions are stored.
const BUCKET: &str = "customresourcedefinitions";
/// What failed is tried again after this.
const RETRY: Duration = Duration::from_secs(5);
/// A write that keeps losing against others is left to the event the last of them causes.
const ATTEMPTS: usize = 8;

/// The row of definitions.
pub(crate) fn row() -> Result<&'static Resource> {
    find_resource("apiextensions.k8s.io", "v1", BUCKET).ok_or_else(Status::path_not_found)
}

/// What is known of the definitions there are.
pub(crate) struct Definitions {
    api: Arc<Api>,
    known: HashMap<String, Known>,
    /// Definitions whose objects are being deleted.
    cleaning: HashSet<String>,
    cleanups: JoinSet<(String, Result<()>)>,
}

struct Known {
    group: String,
    /// The names it was given.
    names: Names,
}

impl Definitions {
    pub(crate) fn new(api: Arc<Api>) -> Definitions {
        Definitions {
            api,
            known: HashMap::new(),
            cleaning: HashSet::new(),
            cleanups: JoinSet::new(),
        }
    }

    /// Serves what the store has. Before this is done no request may be answered.
    pub(crate) async fn load(&mut self) -> Result<Revision> {
        let all = RangeRequest::all(Prefix::bucket(BUCKET));
        let page = self.api.store.range(all).await.map_err(range_failed_now)?;
        let there: HashSet<&str> = page.entries.iter().map(|it| &*it.object.name).collect();
        let gone: Vec<String> = self
            .known
            .keys()
            .filter(|name| !there.contains(name.as_str()))
            .cloned()
            .collect();
        for name in gone {
            self.forget(&name).await?;
        }
        for entry in &page.entries {
            self.sync(&entry.object.name).await?;
        }
        Ok(page.revision)
    }

    /// Follows the definitions from a revision on, until the store closes.
    pub(crate) async fn run(mut self, mut from: Revision) {
        let shutdown = self.api.shutdown.clone();
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = async {
                while let Some(next) = self.follow(from).await {
                    from = next;
                }
            } => {}
        }
    }

    /// Until something fails; then where to go on, or `None` at the end.
    async fn follow(&mut self, from: Revision) -> Option<Revision> {
        let mut watch = match self.api.store.watch(Prefix::bucket(BUCKET), from).await {
            Ok(watch) => watch,
            Err(WatchError::Closed) => return None,
            Err(_) => return self.reload(from).await,
        };
        loop {
            let names = tokio::select! {
                events = watch.next() => match events {
                    Ok(events) => events.iter().map(|it| it.entry.object.name.to_string()).collect(),
                    Err(WatchError::Closed) => return None,
                    Err(_) => return self.reload(from).await,
                },
                Some(done) = self.cleanups.join_next() => self.cleaned(done),
            };
            let distinct: HashSet<String> = HashSet::from_iter::<Vec<String>>(names);
            for name in distinct {
                if let Err(error) = self.sync(&name).await {
                    tracing::warn!(%name, %error, "a custom resource definition cannot be followed");
                    return self.reload(from).await;
                }
            }
        }
    }

    /// Starts again from a list.
    async fn reload(&mut self, from: Revision) -> Option<Revision> {
        tokio::time::sleep(RETRY).await;
        match self.load().await {
            Ok(revision) => Some(revision),
            Err(error) => {
                tracing::warn!(%error, "custom resource definitions cannot be listed");
                Some(from)
            }
        }
    }

    /// A definition's objects are gone, or not; either way it is looked at again.
    fn cleaned(
        &mut self,
        done: std::result::Result<(String, Result<()>), tokio::task::JoinError>,
    ) -> Vec<String> {
        match done {
            Ok((name, outcome)) => {
                if let Err(error) = outcome {
                    tracing::warn!(%name, %error, "the objects of a definition cannot be deleted");
                }
                self.cleaning.remove(&name);
                vec![name]
            }
            Err(error) => {
                tracing::error!(%error, "deleting the objects of a definition failed");
                self.cleaning.drain().collect()
            }
        }
    }

    /// Brings what is served, and what the definition says of it, in line with the definition.
    async fn sync(&mut self, name: &str) -> Result<()> {
        for _ in 0..ATTEMPTS {
            let Some(entry) = find(&self.api, row()?, "", name).await? else {
                return self.forget(name).await;
            };
            let value = respond::parse(&entry.object.raw)?;
            if object::deletion_timestamp(&value).is_some() {
                self.publish(&value, &entry.object.raw)?;
                self.clean(name, &value);
                return Ok(());
            }
            let now = time::seconds(Timestamp::now());
            let accepted = custom::accept(&value, &self.used_by_others(name, &value), &now);
            if accepted == value {
                return self.publish(&value, &entry.object.raw);
            }
            // Before it is written: whoever reads that it is established can rely on it.
            self.publish(&accepted, &Bytes::from(accepted.to_string()))?;
            if write::replace(&self.api, row()?, &entry, accepted)
                .await?
                .is_some()
            {
                return Ok(());
            }
        }
        Ok(())
    }

    fn used_by_others(&self, name: &str, value: &Value) -> UsedNames {
        let group = object::text(value, "spec.group");
        let mut used = UsedNames::default();
        for (other, known) in &self.known {
            if other != name && known.group == group {
                used.add(&known.names);
            }
        }
        used
    }

    /// Serves a definition whose names are its own.
    fn publish(&mut self, value: &Value, bytes: &Bytes) -> Result<()> {
        let name = object::name(value);
        let served = ["NamesAccepted", "Established"]
            .iter()
            .any(|kind| conditions::holds(value, kind));
        if served {
            let definition = Definition::parse(bytes)
                .map_err(|error| Status::internal(format!("reading a definition: {error}")))?;
            let terminating = object::deletion_timestamp(value).is_some();
            if let Err(error) = self.api.customs.publish(&Arc::new(definition), terminating) {
                tracing::error!(name, %error, "a custom resource is not served");
            }
        } else {
            self.api.customs.withdraw(name);
        }
        let known = Known {
            group: object::text(value, "spec.group").to_owned(),
            names: custom::names(value, "status.acceptedNames"),
        };
        self.known.insert(name.to_owned(), known);
        Ok(())
    }

    /// A definition is gone: others of its group may want its names.
    async fn forget(&mut self, name: &str) -> Result<()> {
        self.api.customs.withdraw(name);
        let Some(gone) = self.known.remove(name) else {
            return Ok(());
        };
        let waiting: Vec<String> = self
            .known
            .iter()
            .filter(|(_, known)| known.group == gone.group)
            .map(|(name, _)| name.clone())
            .collect();
        for name in waiting {
            Box::pin(self.sync(&name)).await?;
        }
        Ok(())
    }

    /// Deletes the objects of a definition that waits for it.
    fn clean(&mut self, name: &str, value: &Value) {
        let waits = object::finalizers(value).any(|one| one == conditions::CLEANUP_FINALIZER);
        if waits && self.cleaning.insert(name.to_owned()) {
            let (api, name) = (self.api.clone(), name.to_owned());
            self.cleanups.spawn(async move {
                let outcome = cleanup::run(&api, &name).await;
                if outcome.is_err() {
                    tokio::time::sleep(RETRY).await;
                }
                (name, outcome)
            });
        }
    }
}
