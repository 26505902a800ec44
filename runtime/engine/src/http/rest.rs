//! What a guest still has to do once its response has begun: write the body, and whatever comes after.
//!
//! It goes on in its connection's task while that writes the response anyway, so that a short response costs no other
//! task and no switch of threads. What is left when the connection has nothing more to do at the moment gets a task of
//! its own: neither a slow client nor its absence holds a guest up, and its deadlines are its own.

use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::sync::Arc;
use std::task::Context;

/// The rest of one connection's request: of HTTP/1, where responses come one after the other.
#[derive(Clone, Default)]
pub(super) struct Rest(Arc<Mutex<Option<BoxFuture<'static, ()>>>>);

impl Rest {
    /// Begins with what is left of a request. Whatever was left of the one before gets a task.
    pub(super) fn begin(&self, rest: BoxFuture<'static, ()>) {
        let before = self.0.lock().replace(rest);
        if let Some(before) = before {
            tokio::spawn(before);
        }
    }

    /// Lets the guest go on, as far as it can now.
    pub(super) fn go_on(&self, cx: &mut Context<'_>) {
        // Polled without the lock: the guest may take its time.
        let Some(mut rest) = self.0.lock().take() else {
            return;
        };
        if rest.as_mut().poll(cx).is_pending() {
            self.0.lock().get_or_insert(rest);
        }
    }

    /// The connection's task has done what it can: what the guest cannot finish now either gets a task.
    pub(super) fn let_go(&self, cx: &mut Context<'_>) {
        self.go_on(cx);
        let left = self.0.lock().take();
        if let Some(left) = left {
            tokio::spawn(left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::{Poll, Waker};
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn what_cannot_be_finished_at_once_gets_a_task() {
        let (rest, polls) = (Rest::default(), Arc::new(AtomicU32::new(0)));
        let mut cx = Context::from_waker(Waker::noop());
        let (tell, told) = oneshot::channel::<()>();
        let count = polls.clone();
        let mut told = Box::pin(told);
        let (done, finished) = oneshot::channel();
        let mut done = Some(done);
        let guest = std::future::poll_fn(move |cx| {
            count.fetch_add(1, Ordering::Relaxed);
            std::task::ready!(told.as_mut().poll(cx)).expect("told");
            if let Some(done) = done.take() {
                done.send(()).expect("waited for");
            }
            Poll::Ready(())
        });
        rest.begin(guest.boxed());
        rest.go_on(&mut cx);
        rest.go_on(&mut cx);
        assert_eq!(polls.load(Ordering::Relaxed), 2);
        rest.let_go(&mut cx);
        rest.go_on(&mut cx);
        assert_eq!(polls.load(Ordering::Relaxed), 3, "it is elsewhere now");
        tell.send(()).expect("waited for");
        finished.await.expect("its task finishes it");
    }

    #[tokio::test]
    async fn the_next_request_does_not_end_the_one_before() {
        let rest = Rest::default();
        let (done, finished) = oneshot::channel();
        rest.begin(async move { done.send(()).expect("waited for") }.boxed());
        rest.begin(std::future::pending().boxed());
        finished.await.expect("it has a task");
    }
}
