//! The state a watch begins with: pages of the store as it was at one revision.
//!
//! Between two pages nothing is held here, so a client that does not read on keeps no old state alive for longer than the
//! history goes back. If that no longer reaches the revision when it does, it is told so, as any watcher that is too slow.

use sampan_store::{Prefix, RangeError, RangeRequest, Revision};

use crate::api::Api;
use crate::object::Stored;

/// Objects in a page.
const PAGE: usize = 256;

pub(super) struct Initial {
    page: std::vec::IntoIter<Stored>,
    /// The next page, if there is one.
    rest: Option<RangeRequest>,
}

impl Initial {
    /// A watch that begins with no state.
    pub(super) fn none() -> Initial {
        Initial {
            page: Vec::new().into_iter(),
            rest: None,
        }
    }

    /// The state now, and its revision.
    pub(super) async fn now(api: &Api, prefix: Prefix) -> Result<(Initial, Revision), RangeError> {
        let mut initial = Initial::none();
        let request = RangeRequest {
            limit: Some(PAGE),
            count: false,
            ..RangeRequest::all(prefix)
        };
        let revision = initial.read(api, request).await?;
        Ok((initial, revision))
    }

    /// The next object of the page at hand.
    pub(super) fn next(&mut self) -> Option<Stored> {
        self.page.next()
    }

    /// Takes the next page to hand; false when there is none. Nothing is lost when it is cancelled.
    pub(super) async fn turn(&mut self, api: &Api) -> Result<bool, RangeError> {
        match self.rest.clone() {
            None => Ok(false),
            Some(request) => self.read(api, request).await.map(|_| true),
        }
    }

    async fn read(&mut self, api: &Api, request: RangeRequest) -> Result<Revision, RangeError> {
        let page = api.store.range(request.clone()).await?;
        let last = page.entries.last().map(|entry| entry.key.clone());
        self.rest = last.filter(|_| page.more).map(|last| RangeRequest {
            start_after: Some(last),
            at: Some(page.revision),
            ..request
        });
        self.page = page.entries.into_iter();
        Ok(page.revision)
    }
}
