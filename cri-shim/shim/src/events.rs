//! The event stream: every change of a container, to everyone who subscribed.
//!
//! A subscriber gets every event from its subscription on, in the order of the changes. One that
//! lags behind by more than the bound gets what was queued for it, and then the end of its stream:
//! it knows that it missed something, and lists.

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use parking_lot::Mutex;
use sampan_proto::v1;
use tokio::sync::mpsc::{self, error::TrySendError};

use crate::limits::{EVENTS_PER_SUBSCRIBER, MAX_EVENT_SUBSCRIBERS};

pub(crate) type Event = v1::ContainerEventResponse;

/// As many streams are open as may be.
#[derive(Debug, thiserror::Error)]
#[error("{MAX_EVENT_SUBSCRIBERS} event streams are open, no more are allowed")]
pub(crate) struct TooManySubscribers;

/// The open streams.
#[derive(Default)]
pub(crate) struct Events {
    subscribers: Mutex<Vec<mpsc::Sender<Event>>>,
}

impl Events {
    pub(crate) fn subscribe(&self) -> Result<BoxStream<'static, Event>, TooManySubscribers> {
        let mut subscribers = self.subscribers.lock();
        subscribers.retain(|subscriber| !subscriber.is_closed());
        if subscribers.len() >= MAX_EVENT_SUBSCRIBERS {
            return Err(TooManySubscribers);
        }
        let (sender, mut receiver) = mpsc::channel(EVENTS_PER_SUBSCRIBER);
        subscribers.push(sender);
        Ok(stream::poll_fn(move |context| receiver.poll_recv(context)).boxed())
    }

    /// Tells everyone. The event is only built when someone listens. Never waits: it is called
    /// where the change itself is made, so that order of events is order of changes.
    pub(crate) fn tell(&self, event: impl FnOnce() -> Event) {
        let mut subscribers = self.subscribers.lock();
        if subscribers.is_empty() {
            return;
        }
        let event = event();
        subscribers.retain(|subscriber| match subscriber.try_send(event.clone()) {
            Ok(()) => true,
            Err(TrySendError::Closed(_)) => false,
            Err(TrySendError::Full(_)) => {
                tracing::warn!("an event subscriber lags {EVENTS_PER_SUBSCRIBER} events behind; its stream ends");
                false
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: usize) -> Event {
        Event {
            created_at: number as i64,
            ..Default::default()
        }
    }

    #[tokio::test]
    async fn every_subscriber_gets_every_event_in_order() {
        let events = Events::default();
        events.tell(|| unreachable!("nobody listens"));
        let streams = [
            events.subscribe().expect("room"),
            events.subscribe().expect("room"),
        ];
        (1..=3).for_each(|number| events.tell(|| event(number)));
        drop(events);
        for stream in streams {
            let got: Vec<i64> = stream.map(|event| event.created_at).collect().await;
            assert_eq!(got, [1, 2, 3]);
        }
    }

    #[tokio::test]
    async fn a_subscriber_that_falls_behind_gets_the_end_of_its_stream() {
        let events = Events::default();
        let mut stream = events.subscribe().expect("room");
        (0..=EVENTS_PER_SUBSCRIBER).for_each(|number| events.tell(|| event(number)));
        for number in 0..EVENTS_PER_SUBSCRIBER {
            assert_eq!(stream.next().await, Some(event(number)));
        }
        assert_eq!(stream.next().await, None);
    }

    #[test]
    fn streams_are_bounded_and_closed_ones_make_room() {
        let events = Events::default();
        let mut streams: Vec<_> = (0..MAX_EVENT_SUBSCRIBERS)
            .map(|_| events.subscribe().expect("room"))
            .collect();
        assert!(events.subscribe().is_err());
        streams.pop();
        assert!(events.subscribe().is_ok());
    }
}
