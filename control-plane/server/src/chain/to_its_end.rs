//! Writes go on when nobody waits for them any more.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

/// A future that runs to its end even if it is dropped before: its client hung up, or its time is over. What follows
/// from a commit (addresses given back, objects that go along) must not depend on a client's patience.
pub(super) struct ToItsEnd<T: Send + 'static>(Option<Running<T>>);

type Running<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<T: Send + 'static> ToItsEnd<T> {
    pub(super) fn new(running: impl Future<Output = T> + Send + 'static) -> Self {
        ToItsEnd(Some(Box::pin(running)))
    }
}

impl<T: Send + 'static> Future for ToItsEnd<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        // Taken out meanwhile: what panicked is not polled again.
        let mut running = self.0.take().expect("polled after its end");
        let outcome = running.as_mut().poll(cx);
        if outcome.is_pending() {
            self.0 = Some(running);
        }
        outcome
    }
}

impl<T: Send + 'static> Drop for ToItsEnd<T> {
    fn drop(&mut self) {
        if let (Some(running), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(running);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn what_is_given_up_goes_on() {
        let (go, gone) = oneshot::channel();
        let (done, end) = oneshot::channel();
        let mut work = ToItsEnd::new(async move {
            gone.await.expect("told to go on");
            done.send(()).expect("somebody listens");
        });
        assert!(futures::poll!(&mut work).is_pending());
        drop(work);
        go.send(()).expect("it still waits");
        end.await.expect("it came to its end");
    }

    #[tokio::test]
    async fn what_ends_is_answered() {
        assert_eq!(ToItsEnd::new(async { 7 }).await, 7);
    }
}
