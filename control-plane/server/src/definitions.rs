//! What follows from CustomResourceDefinitions: names are given, versions are served, and before a definition goes its
//! objects go. Each group and version has its APIService.
//!
//! One task looks at definitions one after the other, in the order they change, so no two of them get the same name.
//! It knows nothing it could not read again: after a restart, or when it fell behind, it starts from a list.

mod cleanup;
mod services;

use std::collections::{BTreeSet, HashMap, HashSet};
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
    /// The names that are given, by group.
    used: HashMap<String, UsedNames>,
    /// Definitions whose objects are being deleted.
    cleaning: HashSet<String>,
    cleanups: JoinSet<(String, Result<()>)>,
    /// APIServices to look at.
    services: BTreeSet<String>,
}

struct Known {
    group: String,
    /// The versions it wants to be served.
    versions: Vec<String>,
    /// The names it was given.
    names: Names,
    /// Whether it wants others.
    waits: bool,
}

impl Definitions {
    pub(crate) fn new(api: Arc<Api>) -> Definitions {
        Definitions {
            api,
            known: HashMap::new(),
            used: HashMap::new(),
            cleaning: HashSet::new(),
            cleanups: JoinSet::new(),
            services: BTreeSet::new(),
        }
    }

    /// Serves what the store has. Before this is done no request may be answered.
    pub(crate) async fn load(&mut self) -> Result<Revision> {
        let all = RangeRequest::all(Prefix::bucket(BUCKET));
        let page = self.api.store.range(all).await.map_err(range_failed_now)?;
        let there: HashSet<&str> = page.entries.iter().map(|it| it.object.name()).collect();
        let gone: Vec<String> = self
            .known
            .keys()
            .filter(|name| !there.contains(name.as_str()))
            .cloned()
            .collect();
        for name in gone {
            self.forget(&name).await?;
        }
        // Nearly all are as they should be. They are served together: there may be thousands.
        let (mut served, mut open) = (Vec::new(), Vec::new());
        for entry in &page.entries {
            let (name, raw) = (entry.object.name(), &entry.object.raw);
            let value = respond::parse(raw)?;
            let settled = is_served(&value)
                && object::deletion_timestamp(&value).is_none()
                && self.accepted(name, &value) == value;
            self.know(name, Some(&value));
            match settled {
                true => served.push(parsed(raw)?),
                false => open.push(name),
            }
        }
        if let Err(error) = self.api.customs.publish(&served, false) {
            tracing::error!(%error, "not all custom resources are served");
        }
        for name in open {
            self.sync(name).await?;
        }
        self.services.extend(services::managed(&self.api).await?);
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
        let services = Prefix::bucket(services::BUCKET);
        let mut services = match self.api.store.watch(services, from).await {
            Ok(services) => services,
            Err(WatchError::Closed) => return None,
            Err(_) => return self.reload(from).await,
        };
        loop {
            // Without them everything is served all the same: they come last.
            if let Err(error) = self.register().await {
                tracing::warn!(%error, "the APIServices of custom resources cannot be kept");
                return self.reload(from).await;
            }
            let names = tokio::select! {
                events = watch.next() => match events {
                    Ok(events) => events.iter().map(|it| it.entry.object.name().to_string()).collect(),
                    Err(WatchError::Closed) => return None,
                    Err(_) => return self.reload(from).await,
                },
                events = services.next() => match events {
                    Ok(events) => {
                        self.services.extend(events.iter().map(|it| it.entry.object.name().to_string()));
                        continue;
                    }
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
            let accepted = self.accepted(name, &value);
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

    /// The definition with the names it gets beside those that others of its group have.
    fn accepted(&mut self, name: &str, value: &Value) -> Value {
        self.know(name, None);
        let used = self.used.entry(group(value)).or_default();
        custom::accept(value, used, &time::seconds(Timestamp::now()))
    }

    /// Keeps in mind what a definition says, or forgets what it said.
    fn know(&mut self, name: &str, value: Option<&Value>) -> Option<Known> {
        let before = self.known.remove(name);
        if let Some(before) = &before
            && let Some(used) = self.used.get_mut(&before.group)
        {
            used.remove(&before.names);
            self.services.extend(before.services());
        }
        if let Some(value) = value {
            let known = Known {
                group: group(value),
                names: custom::names(value, "status.acceptedNames"),
                versions: versions(value),
                waits: !conditions::holds(value, "NamesAccepted"),
            };
            self.services.extend(known.services());
            let used = self.used.entry(known.group.clone()).or_default();
            used.add(&known.names);
            self.known.insert(name.to_owned(), known);
        }
        before
    }

    /// Serves a definition whose names are its own.
    fn publish(&mut self, value: &Value, bytes: &Bytes) -> Result<()> {
        let name = object::name(value);
        self.know(name, Some(value));
        if !is_served(value) {
            self.api.customs.withdraw(name);
            return Ok(());
        }
        let terminating = object::deletion_timestamp(value).is_some();
        let served = self.api.customs.publish(&[parsed(bytes)?], terminating);
        if let Err(error) = served {
            tracing::error!(name, %error, "a custom resource is not served");
        }
        Ok(())
    }

    /// A definition is gone: others of its group may want its names.
    async fn forget(&mut self, name: &str) -> Result<()> {
        self.api.customs.withdraw(name);
        let Some(gone) = self.know(name, None) else {
            return Ok(());
        };
        let waiting: Vec<String> = self
            .known
            .iter()
            .filter(|(_, known)| known.waits && known.group == gone.group)
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

fn group(definition: &Value) -> String {
    object::text(definition, "spec.group").to_owned()
}

/// The versions a definition wants to be served.
fn versions(definition: &Value) -> Vec<String> {
    let served = object::items(definition, "spec.versions")
        .iter()
        .filter(|version| version["served"] == true);
    served
        .map(|version| object::text(version, "name").to_owned())
        .collect()
}

/// Whether a definition has names to be served under.
fn is_served(definition: &Value) -> bool {
    ["NamesAccepted", "Established"]
        .iter()
        .any(|kind| conditions::holds(definition, kind))
}

fn parsed(bytes: &Bytes) -> Result<Arc<Definition>> {
    Definition::parse(bytes)
        .map(Arc::new)
        .map_err(|error| Status::internal(format!("reading a definition: {error}")))
}
