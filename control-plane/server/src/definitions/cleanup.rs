//! The end of a definition: all its objects are deleted, those that take their time are waited for, then it may go.

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use sampan_api::custom::conditions::{self, Condition};
use sampan_api::resource::Resource;
use sampan_api::status::Status;
use sampan_api::{object, time};
use sampan_store::{Prefix, RangeRequest, Revision, WatchError};
use serde_json::Value;

use super::{ATTEMPTS, row};
use crate::api::{Api, Result};
use crate::read::{find, range_failed_now};
use crate::user::UserInfo;
use crate::{respond, write};

/// Deletions on the way at once: enough to share a commit.
const PARALLEL: usize = 64;
/// Objects listed at once.
const PAGE: usize = 1000;

/// Deletes the objects of a definition and takes its finalizer away.
pub(super) async fn run(api: &Api, name: &str) -> Result<()> {
    let Some(definition) = change(api, name, begin).await? else {
        return Ok(());
    };
    let outcome = match api.customs.storage(name) {
        Some(resource) if conditions::holds(&definition, "Established") => {
            delete_all(api, resource).await?;
            conditions::DELETION_COMPLETED
        }
        _ => conditions::NEVER_ESTABLISHED,
    };
    change(api, name, |definition| end(definition, outcome)).await?;
    Ok(())
}

fn begin(definition: &mut Value) {
    let now = time::seconds(Timestamp::now());
    conditions::set(definition, conditions::DELETION_IN_PROGRESS, &now);
}

fn end(definition: &mut Value, outcome: Condition<'_>) {
    let now = time::seconds(Timestamp::now());
    conditions::set(definition, outcome, &now);
    let left: Vec<String> = object::finalizers(definition)
        .filter(|one| *one != conditions::CLEANUP_FINALIZER)
        .map(str::to_owned)
        .collect();
    object::set(definition, "metadata.finalizers", left);
}

/// Changes a definition; `None` when it is gone. Without finalizers it goes by that.
async fn change(api: &Api, name: &str, change: impl Fn(&mut Value)) -> Result<Option<Value>> {
    for _ in 0..ATTEMPTS {
        let Some(entry) = find(api, row()?, "", name).await? else {
            return Ok(None);
        };
        let old = respond::parse(&entry.object.raw)?;
        let mut new = old.clone();
        change(&mut new);
        if new == old {
            return Ok(Some(new));
        }
        let stored = if object::is_empty(&new, "metadata.finalizers") {
            write::remove(api, &entry).await?
        } else {
            write::replace(api, row()?, &entry, new.clone()).await?
        };
        if stored.is_some() {
            return Ok(Some(new));
        }
    }
    Err(Status::conflict_modified(row()?, name))
}

/// Deletes everything in a bucket and waits until it is gone.
async fn delete_all(api: &Api, resource: &'static Resource) -> Result<()> {
    let mut from = ask(api, resource).await?;
    while let Some(left) = first(api, resource).await? {
        from = from.max(left);
        wait(api, resource, from).await?;
    }
    Ok(())
}

/// Asks for every object to be deleted; returns the revision of the list.
async fn ask(api: &Api, resource: &'static Resource) -> Result<Revision> {
    let mut request = RangeRequest {
        limit: Some(PAGE),
        ..RangeRequest::all(Prefix::bucket(resource.bucket))
    };
    loop {
        let page = api
            .store
            .range(request.clone())
            .await
            .map_err(range_failed_now)?;
        let last = page.entries.last().map(|entry| entry.key.clone());
        stream::iter(page.entries)
            .map(|entry| async move {
                let (user, options) = (UserInfo::server(), write::DeleteOptions::default());
                match write::delete_one(api, &user, resource, entry, &options).await {
                    // Somebody else was faster.
                    Err(status) if status.code == 404 => Ok(()),
                    outcome => outcome.map(drop),
                }
            })
            .buffer_unordered(PARALLEL)
            .try_collect::<()>()
            .await?;
        if !page.more || last.is_none() {
            return Ok(page.revision);
        }
        request.start_after = last;
    }
}

/// Whether there is an object left: the revision at which there was one.
async fn first(api: &Api, resource: &Resource) -> Result<Option<Revision>> {
    let request = RangeRequest {
        limit: Some(1),
        ..RangeRequest::all(Prefix::bucket(resource.bucket))
    };
    let page = api.store.range(request).await.map_err(range_failed_now)?;
    Ok((!page.entries.is_empty()).then_some(page.revision))
}

/// Until something changes among the objects after a revision.
async fn wait(api: &Api, resource: &Resource, from: Revision) -> Result<()> {
    let closed = || Status::service_unavailable("the store is closed");
    let bucket = Prefix::bucket(resource.bucket);
    let mut watch = match api.store.watch(bucket, from).await {
        Ok(watch) => watch,
        Err(WatchError::Closed) => return Err(closed()),
        // Much has changed since: look again.
        Err(_) => return Ok(()),
    };
    match watch.next().await {
        Err(WatchError::Closed) => Err(closed()),
        _ => Ok(()),
    }
}
