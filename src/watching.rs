//! Watches of a command that waits for something: they try again after errors, but not for ever.

use std::pin::Pin;

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Config, Event, watcher};

/// Errors in a row after which a command gives up. The pauses between them grow to half a minute: it is some minutes.
const MAX_ERRORS: u32 = 10;

pub(crate) type Events = Pin<Box<dyn Stream<Item = watcher::Result<Event<Pod>>> + Send>>;

/// Events of pods, with a pause after each error.
pub(crate) fn pods(api: Api<Pod>, config: Config) -> Events {
    watcher(api, config).default_backoff().boxed()
}

/// Counts the errors in a row.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    errors: u32,
}

impl Patience {
    /// What an event says; nothing after an error that is waited out, and the error once there were too many.
    pub(crate) fn with<T>(
        &mut self,
        event: watcher::Result<Event<T>>,
    ) -> Result<Option<Event<T>>, watcher::Error> {
        match event {
            Ok(event) => {
                // Every attempt begins with this, also one that fails.
                if !matches!(event, Event::Init) {
                    self.errors = 0;
                }
                Ok(Some(event))
            }
            Err(error) if self.errors + 1 < MAX_ERRORS => {
                self.errors += 1;
                tracing::debug!(%error, "the watch failed; trying again");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_in_a_row_are_bounded() {
        let mut patience = Patience::default();
        let fail = |patience: &mut Patience| {
            let failed: watcher::Result<Event<Pod>> = Err(watcher::Error::NoResourceVersion);
            patience.with(failed).is_ok()
        };
        for _ in 0..2 {
            for _ in 1..MAX_ERRORS {
                assert!(fail(&mut patience));
                patience.with::<Pod>(Ok(Event::Init)).expect("no error");
            }
            patience.with::<Pod>(Ok(Event::InitDone)).expect("no error");
        }
        for _ in 1..MAX_ERRORS {
            assert!(fail(&mut patience));
        }
        assert!(!fail(&mut patience), "the last of too many");
    }
}
