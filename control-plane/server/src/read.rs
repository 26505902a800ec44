//! Reads: one object, or a list of them, straight from the store's memory.

mod options;
mod selection;
mod token;

use sampan_api::resource::Resource;
use sampan_api::status::Status;
use sampan_store::{Key, Prefix, RangeError, RangeRequest, Revision};

pub(crate) use options::ListOptions;
pub(crate) use selection::Selection;

use crate::api::{Answer, Api, Call, Result};
use crate::content::{Offer, negotiate_for};
use crate::object::Stored;
use crate::part;
use crate::request::ResourceTarget;
use crate::respond::{self, Items, ListMeta};
use token::Token;

/// With a selector, a page is looked for in batches of this many keys.
const SCAN_BATCH: usize = 1000;

/// The key of an object.
pub(crate) fn key(resource: &Resource, namespace: &str, name: &str) -> Key {
    if resource.namespaced {
        Key::new(resource.bucket, &format!("{namespace}/{name}"))
    } else {
        Key::new(resource.bucket, name)
    }
}

/// The keys of a collection.
pub(crate) fn prefix(resource: &Resource, namespace: &str) -> Prefix {
    if resource.namespaced && !namespace.is_empty() {
        Prefix::within(resource.bucket, &format!("{namespace}/"))
    } else {
        Prefix::bucket(resource.bucket)
    }
}

/// The newest version of an object.
pub(crate) async fn find(
    api: &Api,
    resource: &Resource,
    namespace: &str,
    name: &str,
) -> Result<Option<Stored>> {
    api.store
        .get(&key(resource, namespace, name))
        .await
        .map_err(store_failed)
}

/// Every object of a built-in kind, of one namespace or of all.
pub(crate) async fn all(api: &Api, group: &str, plural: &str, namespace: &str) -> Result<Items> {
    let row = sampan_api::resource::find(group, "v1", plural).ok_or_else(Status::path_not_found)?;
    let page = api
        .store
        .range(RangeRequest::all(prefix(row, namespace)))
        .await;
    Ok(page.map_err(range_failed_now)?.entries)
}

/// The newest version of an object, or 404.
pub(crate) async fn existing(api: &Api, target: &ResourceTarget) -> Result<Stored> {
    find(api, target.resource, &target.namespace, &target.name)
        .await?
        .ok_or_else(|| Status::not_found(target.resource, &target.name))
}

/// What a failing store means to a client.
pub(crate) fn store_failed(error: sampan_store::StoreError) -> Status {
    match error {
        sampan_store::StoreError::ValueTooLarge { .. } => Status::too_large(&error.to_string()),
        sampan_store::StoreError::Closed => Status::service_unavailable(error.to_string()),
        _ => {
            tracing::error!(%error, "the store failed");
            Status::internal(error.to_string())
        }
    }
}

/// GET of one object.
pub(crate) async fn get(call: Call, target: ResourceTarget) -> Answer {
    let output = negotiate_for(&call, Offer::Object, Some(target.resource))?;
    if let Some(Revision(wanted)) = options::revision(&call.query)? {
        not_in_the_future(&call.api, wanted)?;
    }
    let entry = existing(&call.api, &target).await?;
    part::respond(&target, &entry.object, &output)
}

fn not_in_the_future(api: &Api, wanted: u64) -> Result<()> {
    let Revision(current) = api.store.current_revision();
    if wanted > current {
        Err(Status::timeout_large_resource_version(wanted, current))
    } else {
        Ok(())
    }
}

/// GET of a collection.
pub(crate) async fn list(call: Call, target: ResourceTarget) -> Answer {
    let output = negotiate_for(&call, Offer::List, Some(target.resource))?;
    let options = ListOptions::of_list(&call.query)?;
    let selection = Selection::parse(&call.query, &target)?;
    let (meta, items) = collect(&call.api, &target, &options, &selection).await?;
    respond::list(target.resource, &meta, items, &output).await
}

/// A page of a collection.
pub(crate) async fn collect(
    api: &Api,
    target: &ResourceTarget,
    options: &ListOptions,
    selection: &Selection,
) -> Result<(ListMeta, Items)> {
    let token = options
        .continue_token
        .as_deref()
        .map(Token::decode)
        .transpose()?;
    if let Some(token) = &token
        && token.expired(api.store.current_revision())
    {
        return Err(expired(token));
    }
    let at = match &token {
        Some(token) => token.revision,
        None => options.exact(),
    };
    if token.is_none()
        && let Some(Revision(wanted)) = options.revision
    {
        not_in_the_future(api, wanted)?;
    }
    if at.is_none()
        && token.is_none()
        && let Some(name) = selection.single(target)
    {
        return one(api, target, selection, name).await;
    }
    let mut scan = Scan {
        request: RangeRequest {
            prefix: prefix(target.resource, &target.namespace),
            start_after: token
                .as_ref()
                .map(|token| Key::new(target.resource.bucket, &token.start)),
            limit: None,
            at,
            count: selection.is_everything(),
        },
        limit: options.limit,
        selection,
        items: Items::new(),
    };
    scan.run(api)
        .await
        .map_err(|error| range_failed(error, at, token.as_ref()))
}

async fn one(
    api: &Api,
    target: &ResourceTarget,
    selection: &Selection,
    name: &str,
) -> Result<(ListMeta, Items)> {
    let revision = api.store.current_revision();
    let found = find(api, target.resource, &target.namespace, name).await?;
    let items: Items = found
        .into_iter()
        .filter(|entry| selection.matches(&entry.object))
        .collect();
    // The object may be newer than the revision read before it; a list is never older than what it holds.
    let newest = items
        .iter()
        .map(|entry| entry.revision)
        .max()
        .unwrap_or_default();
    Ok((
        ListMeta {
            resource_version: revision.max(newest).to_string(),
            ..ListMeta::default()
        },
        items,
    ))
}

/// How long objects may be looked through before others get their turn.
pub(crate) struct Turn {
    effort: usize,
    spent: usize,
}

impl Turn {
    /// Conditions: a millisecond's work.
    const LENGTH: usize = 10_000;

    pub(crate) fn new(selection: &Selection) -> Turn {
        let effort = match selection.is_everything() {
            true => 0,
            false => selection.effort(),
        };
        Turn { effort, spent: 0 }
    }

    /// Counts one more object.
    pub(crate) fn is_over(&mut self) -> bool {
        self.spent += self.effort;
        let over = self.spent > Self::LENGTH;
        if over {
            self.spent = 0;
        }
        over
    }
}

struct Scan<'a> {
    request: RangeRequest,
    limit: Option<usize>,
    selection: &'a Selection,
    items: Items,
}

impl Scan<'_> {
    async fn run(&mut self, api: &Api) -> std::result::Result<(ListMeta, Items), RangeError> {
        let everything = self.selection.is_everything();
        let mut turn = Turn::new(self.selection);
        loop {
            self.request.limit = match self.limit {
                Some(limit) if everything => Some(limit),
                Some(limit) => Some(limit.max(SCAN_BATCH)),
                None => None,
            };
            let page = api.store.range(self.request.clone()).await?;
            let mut meta = ListMeta {
                resource_version: page.revision.to_string(),
                ..ListMeta::default()
            };
            let mut last = None;
            let count = page.entries.len();
            for (at, entry) in page.entries.into_iter().enumerate() {
                let full = self
                    .limit
                    .is_some_and(|limit| self.items.len() + 1 >= limit);
                let key = entry.key.clone();
                if turn.is_over() {
                    tokio::task::yield_now().await;
                }
                if self.selection.matches(&entry.object) {
                    self.items.push(entry);
                    if full && (page.more || at + 1 < count) {
                        let token = Token::new(Some(page.revision), key.path().to_owned());
                        meta.continue_token = Some(token.encode());
                        let left = page.remaining + (count - at - 1) as u64;
                        meta.remaining = everything.then_some(left);
                        return Ok((meta, std::mem::take(&mut self.items)));
                    }
                }
                last = Some(key);
            }
            if !page.more || last.is_none() {
                return Ok((meta, std::mem::take(&mut self.items)));
            }
            self.request.start_after = last;
            self.request.at = Some(page.revision);
        }
    }
}

/// What a failing list of the present state means to a client.
pub(crate) fn range_failed_now(error: RangeError) -> Status {
    range_failed(error, None, None)
}

fn range_failed(error: RangeError, at: Option<Revision>, token: Option<&Token>) -> Status {
    let asked = at.unwrap_or_default().0;
    match error {
        RangeError::Compacted { .. } => token.map_or_else(Status::expired_list, expired),
        RangeError::Future { current } => Status::timeout_large_resource_version(asked, current.0),
        RangeError::Store(error) => store_failed(error),
    }
}

/// What is left can still be had, as of now: the client decides whether that is good enough.
fn expired(token: &Token) -> Status {
    Status::expired_continue(Token::new(None, token.start.clone()).encode())
}
