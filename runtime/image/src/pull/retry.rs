//! Trying again: with growing waits, or as long as the place asks for.

use std::future::Future;
use std::time::Duration;

use crate::error::FetchError;
use crate::limits::Limits;

/// Attempts at one thing.
pub(crate) struct Attempts<'a> {
    limits: &'a Limits,
    left: u32,
    wait: Duration,
}

impl Attempts<'_> {
    pub(crate) fn new(limits: &Limits) -> Attempts<'_> {
        Attempts {
            limits,
            left: limits.attempts.max(1),
            wait: limits.backoff,
        }
    }

    /// Counts from the start again: the last attempt was worth it.
    pub(crate) fn renew(&mut self) {
        *self = Attempts::new(self.limits);
    }

    /// Waits before the next attempt. Gives the error back when it is final, there is no attempt left, or the place
    /// wants to be left alone for too long.
    pub(crate) async fn after(&mut self, error: FetchError) -> Result<(), FetchError> {
        self.left -= 1;
        let wait = match &error {
            FetchError::Unavailable(_) => self.wait,
            FetchError::Busy { wait, .. } if *wait <= self.limits.longest_wait => *wait,
            _ => return Err(error),
        };
        if self.left == 0 {
            return Err(error);
        }
        tracing::debug!(%error, ?wait, "trying again");
        tokio::time::sleep(wait).await;
        self.wait *= 2;
        Ok(())
    }
}

/// Asks until it is answered.
pub(crate) async fn retry<T, F, Fut>(limits: &Limits, mut ask: F) -> Result<T, FetchError>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, FetchError>>,
{
    let mut attempts = Attempts::new(limits);
    loop {
        match ask().await {
            Err(error) => attempts.after(error).await?,
            done => return done,
        }
    }
}
