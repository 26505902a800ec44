//! DELETE of a collection: each object under its own rules.

use std::sync::atomic::{AtomicBool, Ordering};

use futures::{StreamExt, stream};

use super::delete::{DeleteOptions, Deleted, delete_one};
use crate::api::{Answer, Call, Result};
use crate::content::{Offer, delete_options, negotiate_for};
use crate::object::Stored;
use crate::read::{ListOptions, Selection, collect};
use crate::request::ResourceTarget;
use crate::respond::{self, Items};

/// Deletions on the way at once: enough to share a commit.
const PARALLEL: usize = 64;

/// DELETE of a collection; answers with what was deleted.
pub(crate) async fn delete_collection(mut call: Call, target: ResourceTarget) -> Answer {
    let output = negotiate_for(&call, Offer::List, Some(target.resource))?;
    let list = ListOptions::of_list(&call.query)?;
    let selection = Selection::parse(&call.query, &target)?;
    let body = delete_options(&mut call).await?;
    let options = DeleteOptions::parse(&call.query, body.as_ref())?;
    let (meta, items) = collect(&call.api, &target, &list, &selection).await?;
    let (api, user) = (&call.api, &call.user);
    let (options, resource) = (&options, target.resource);
    let failed = &AtomicBool::new(false);
    let outcomes: Vec<Result<Option<Stored>>> = stream::iter(items)
        .map(|item: Stored| async move {
            if failed.load(Ordering::Relaxed) {
                return Ok(None);
            }
            match delete_one(api, user, resource, item.clone(), options).await {
                Ok(Deleted::Gone(entry) | Deleted::Pending(entry)) => Ok(Some(entry)),
                Ok(Deleted::Dry(..)) => Ok(Some(item)),
                // Somebody else was faster.
                Err(status) if status.code == 404 => Ok(None),
                Err(status) => {
                    failed.store(true, Ordering::Relaxed);
                    Err(status)
                }
            }
        })
        .buffered(PARALLEL)
        .collect()
        .await;
    // After an error nothing more begins, but what is on its way ends: what follows from a deletion is part of it.
    let deleted = outcomes.into_iter().filter_map(Result::transpose);
    let deleted: Items = deleted.collect::<Result<_>>()?;
    let answer = respond::list(resource, &meta, deleted, &output).await;
    respond::warned(answer, &options.warnings(resource), &output)
}
