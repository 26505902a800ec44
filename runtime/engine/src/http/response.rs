//! Responses: the guest's, which must not look complete when the guest failed halfway, and our own short ones.

use super::rest::Rest;
use crate::limits::Charge;
use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::oneshot;
use wasmtime_wasi_http::WasiBody;

/// What became of the instance behind a response.
#[derive(Default)]
pub(super) struct Outcome(Mutex<Option<StatusCode>>);

impl Outcome {
    /// The instance failed; `status` is for a client that has no response yet. The first failure counts.
    pub(super) fn fail(&self, status: StatusCode) {
        self.0.lock().get_or_insert(status);
    }

    fn failed(&self) -> bool {
        self.0.lock().is_some()
    }

    /// The status for a client that got no response.
    pub(super) fn status(&self) -> StatusCode {
        (*self.0.lock()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// Dropped with a body: tells whoever carries the body that nobody reads it any more.
pub(super) struct Ending(
    #[expect(dead_code, reason = "its end is what counts")] oneshot::Sender<()>,
);

/// The other side of an [`Ending`].
pub(super) struct Ended(oneshot::Receiver<()>);

impl Ending {
    pub(super) fn new() -> (Self, Ended) {
        let (ending, ended) = oneshot::channel();
        (Ending(ending), Ended(ended))
    }
}

impl Ended {
    pub(super) async fn reached(self) {
        // Nothing is ever sent.
        let _dropped = self.0.await;
    }
}

/// The body of a response.
pub(super) enum Body {
    /// Written by an instance.
    Guest {
        body: WasiBody,
        outcome: Arc<Outcome>,
        /// What writes it, while that needs nobody else.
        rest: Option<Rest>,
        /// The memory of what waits here and in the connection; of HTTP/1 that is bounded by connections.
        charge: Option<Arc<Charge>>,
        _ending: Option<Ending>,
    },
    /// A few words of our own.
    Plain(Option<Bytes>),
}

/// The response's body ended because its instance failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the handler failed before its response was complete")]
    Incomplete,
    #[error(transparent)]
    Guest(#[from] wasmtime_wasi_http::Error),
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Body::Plain(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Body::Guest {
                body,
                outcome,
                rest,
                charge,
                ..
            } => {
                let mut frame = Pin::new(&mut *body).poll_frame(cx);
                if let (Poll::Pending, Some(rest)) = (&frame, rest) {
                    rest.go_on(cx);
                    frame = Pin::new(body).poll_frame(cx);
                }
                let frame = ready!(frame);
                Poll::Ready(match frame {
                    Some(Ok(frame)) => Some(Ok(match charge {
                        Some(charge) => frame.map_data(|data| Charged::until_sent(data, charge)),
                        None => frame,
                    })),
                    Some(Err(error)) => Some(Err(BodyError::Guest(error))),
                    // To the guest's host a dropped body is a finished one; the client must not believe that.
                    None if outcome.failed() => Some(Err(BodyError::Incomplete)),
                    None => None,
                })
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Body::Plain(text) => text.is_none(),
            Body::Guest { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Plain(text) => SizeHint::with_exact(text.as_ref().map_or(0, Bytes::len) as u64),
            Body::Guest { body, .. } => body.size_hint(),
        }
    }
}

/// Data that is memory of its container until the connection has sent it.
struct Charged {
    data: Bytes,
    _charge: Arc<Charge>,
}

impl Charged {
    fn until_sent(data: Bytes, charge: &Arc<Charge>) -> Bytes {
        Bytes::from_owner(Charged {
            data,
            _charge: charge.clone(),
        })
    }
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

/// A response of a few words.
pub(super) fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::Plain(Some(Bytes::from_static(text.as_bytes()))));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("text/plain"),
    );
    response
}
