//! Long work that is not for the thread of a connection, where others would wait for it.

use std::panic::resume_unwind;

use sampan_api::status::Status;
use tokio::runtime::Handle;
use tokio::task::JoinError;

use crate::api::Result;

/// Does it in another runtime. It comes to its end even if nobody waits for it any more.
pub(super) async fn elsewhere<T: Send + 'static>(
    runtime: &Handle,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let done = runtime.spawn(work).await;
    match done.map_err(JoinError::try_into_panic) {
        Ok(outcome) => outcome,
        Err(Ok(panic)) => resume_unwind(panic),
        Err(Err(_ended)) => Err(Status::internal("the server is going down")),
    }
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;
    use std::thread;

    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn work_is_done_on_other_threads_and_its_panics_come_back() {
        let other = tokio::runtime::Builder::new_multi_thread().build();
        let other = other.expect("a runtime");
        let where_it_was = elsewhere(other.handle(), async { Ok(thread::current().id()) });
        assert_ne!(where_it_was.await.ok(), Some(thread::current().id()));
        let refused = async { Err::<(), _>(Status::bad_request("no")) };
        let refused = elsewhere(other.handle(), refused).await;
        assert_eq!(refused.err().map(|status| status.code), Some(400));
        let panics = elsewhere::<()>(other.handle(), async { panic!("as expected") });
        let panic = AssertUnwindSafe(panics).catch_unwind().await;
        let panic = panic.expect_err("it panicked");
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"as expected"));
        other.shutdown_background();
    }
}
