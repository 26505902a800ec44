//! Counts repeats and folds floods of events. Pure: time is passed in.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use super::{Happening, Severity};
use crate::limits::{EVENT_CACHE, EVENT_SIMILAR_MAX, EVENT_SIMILAR_WINDOW, EVENT_SPAM};

/// A token bucket.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    size: f64,
    per_second: f64,
    tokens: f64,
    filled: Timestamp,
}

impl Bucket {
    pub(super) fn new(size: f64, per_second: f64, now: Timestamp) -> Bucket {
        Bucket {
            size,
            per_second,
            tokens: size,
            filled: now,
        }
    }

    /// Takes one token, if there is one.
    pub(super) fn take(&mut self, now: Timestamp) -> bool {
        let elapsed = now.duration_since(self.filled).as_secs_f64().max(0.0);
        self.tokens = (self.tokens + elapsed * self.per_second).min(self.size);
        self.filled = now;
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

/// What to write: a new event, or a higher count of the one called `name`.
#[derive(Debug)]
pub(super) struct Decision {
    pub(super) happening: Happening,
    pub(super) name: Option<String>,
    pub(super) count: i32,
    pub(super) first: Timestamp,
}

/// Object, container, severity and reason: events that differ only in their message.
type Kind = (String, String, Severity, String);

#[derive(Default)]
pub(super) struct Correlator {
    repeats: HashMap<(Kind, String), Repeat>,
    similar: HashMap<Kind, Similar>,
    spam: HashMap<String, Bucket>,
}

struct Repeat {
    name: Option<String>,
    count: i32,
    first: Timestamp,
    last: Timestamp,
}

struct Similar {
    messages: HashSet<String>,
    last: Timestamp,
}

impl Correlator {
    /// What to do about an event; nothing when its object has used up its share.
    pub(super) fn observe(&mut self, mut happening: Happening, now: Timestamp) -> Option<Decision> {
        self.forget(now);
        let kind = kind(&happening);
        let similar = self.similar.entry(kind.clone()).or_insert_with(|| Similar {
            messages: HashSet::new(),
            last: now,
        });
        if since(similar.last, now) > EVENT_SIMILAR_WINDOW {
            similar.messages.clear();
        }
        similar.last = now;
        if similar.messages.len() < EVENT_SIMILAR_MAX {
            similar.messages.insert(happening.message.clone());
        }
        let mut key = happening.message.clone();
        if similar.messages.len() >= EVENT_SIMILAR_MAX && !similar.messages.contains(&key) {
            // One event stands for all further ones of this kind.
            happening.message = format!("(combined from similar events): {}", happening.message);
            key = String::new();
        }
        let bucket = self
            .spam
            .entry(kind.0.clone())
            .or_insert_with(|| Bucket::new(EVENT_SPAM.0, 1.0 / EVENT_SPAM.1, now));
        if !bucket.take(now) {
            return None;
        }
        let repeat = self.repeats.entry((kind, key)).or_insert_with(|| Repeat {
            name: None,
            count: 0,
            first: happening.at,
            last: now,
        });
        repeat.count = repeat.count.saturating_add(1);
        repeat.last = now;
        Some(Decision {
            name: repeat.name.clone(),
            count: repeat.count,
            first: repeat.first,
            happening,
        })
    }

    /// Notes the name an event was written under.
    pub(super) fn sent(&mut self, happening: &Happening, name: String) {
        let kind = kind(happening);
        let key = if happening
            .message
            .starts_with("(combined from similar events): ")
        {
            String::new()
        } else {
            happening.message.clone()
        };
        if let Some(repeat) = self.repeats.get_mut(&(kind, key)) {
            repeat.name = Some(name);
        }
    }

    /// Keeps the memory bounded: what was quiet longest goes first.
    fn forget(&mut self, now: Timestamp) {
        if self.repeats.len() >= EVENT_CACHE {
            let mut ages: Vec<Timestamp> =
                self.repeats.values().map(|repeat| repeat.last).collect();
            ages.sort_unstable();
            let middle = ages[ages.len() / 2];
            self.repeats.retain(|_, repeat| repeat.last > middle);
            self.similar.retain(|_, similar| similar.last > middle);
            self.spam.retain(|_, bucket| bucket.filled > middle);
        }
        if self.similar.len() >= EVENT_CACHE {
            self.similar
                .retain(|_, similar| since(similar.last, now) <= EVENT_SIMILAR_WINDOW);
        }
        // More busy objects than this at once: their counts start over.
        for too_many in [
            self.similar.len() >= 2 * EVENT_CACHE,
            self.spam.len() >= 2 * EVENT_CACHE,
        ] {
            if too_many {
                self.similar.clear();
                self.spam.clear();
            }
        }
    }
}

fn kind(happening: &Happening) -> Kind {
    let object = &happening.object;
    (
        object
            .uid
            .clone()
            .or_else(|| object.name.clone())
            .unwrap_or_default(),
        object.field_path.clone().unwrap_or_default(),
        happening.severity,
        happening.reason.clone(),
    )
}

fn since(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::after;
    use k8s_openapi::api::core::v1::ObjectReference;

    fn happening(uid: &str, message: &str) -> Happening {
        Happening {
            object: ObjectReference {
                uid: Some(uid.into()),
                ..Default::default()
            },
            severity: Severity::Normal,
            reason: "Pulled".into(),
            message: message.into(),
            at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn repeats_are_counted() {
        let mut correlator = Correlator::default();
        let now = Timestamp::UNIX_EPOCH;
        let first = correlator.observe(happening("u", "m"), now).unwrap();
        assert_eq!((first.count, first.name), (1, None));
        correlator.sent(&first.happening, "u.1".into());
        let second = correlator.observe(happening("u", "m"), now).unwrap();
        assert_eq!((second.count, second.name.as_deref()), (2, Some("u.1")));
        let other = correlator.observe(happening("v", "m"), now).unwrap();
        assert_eq!((other.count, other.name), (1, None));
    }

    #[test]
    fn floods_are_folded_and_stopped() {
        let mut correlator = Correlator::default();
        let now = Timestamp::UNIX_EPOCH;
        let mut written = Vec::new();
        for index in 0..40 {
            let message = format!("m{index}");
            if let Some(decision) = correlator.observe(happening("u", &message), now) {
                correlator.sent(&decision.happening, format!("e{index}"));
                written.push((decision.name, decision.happening.message));
            }
        }
        assert_eq!(written.len(), 25, "the object's tokens are used up");
        assert!(written[..10].iter().all(|(name, _)| name.is_none()));
        assert_eq!(
            written[10],
            (None, "(combined from similar events): m10".into())
        );
        assert_eq!(written[11].0.as_deref(), Some("e10"));
        let later = after(now, Duration::from_secs(300));
        assert!(
            correlator.observe(happening("u", "x"), later).is_some(),
            "a token came back"
        );
        assert!(
            correlator.observe(happening("w", "x"), now).is_some(),
            "others are not held up"
        );
    }

    #[test]
    fn memory_is_bounded() {
        let mut correlator = Correlator::default();
        for index in 0..3 * EVENT_CACHE {
            let now = after(Timestamp::UNIX_EPOCH, Duration::from_millis(index as u64));
            correlator.observe(happening(&index.to_string(), "m"), now);
        }
        assert!(correlator.repeats.len() <= EVENT_CACHE);
        assert!(correlator.spam.len() <= 2 * EVENT_CACHE);
    }
}
