//! Which part of the log table is past its time, and in which slices it goes.
//!
//! The log serves watches after a restart, so it is kept as long as history in memory: by age and by bytes.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::key::Revision;
use crate::memory::HistoryLimits;

/// Most rows one transaction deletes, so that no write waits long for it.
const SLICE: u64 = 1000;

/// Writes closer together than this share a segment, which bounds the number of segments.
const SEGMENT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct LogTrim {
    limits: HistoryLimits,
    segments: VecDeque<Segment>,
    bytes: usize,
    /// Rows up to here shall go.
    target: Revision,
    /// Rows up to here are gone.
    done: Revision,
}

#[derive(Debug)]
struct Segment {
    start: Instant,
    last: Revision,
    bytes: usize,
}

impl LogTrim {
    /// For a log whose first row is after `done` and of which everything up to `target` can go.
    pub(crate) fn new(limits: HistoryLimits, done: Revision, target: Revision) -> LogTrim {
        LogTrim {
            limits,
            segments: VecDeque::new(),
            bytes: 0,
            target: target.max(done),
            done,
        }
    }

    /// Rows up to `revision` were written, `bytes` in all.
    pub(crate) fn wrote(&mut self, revision: Revision, bytes: usize, now: Instant) {
        if bytes > 0 {
            self.bytes += bytes;
            match self.segments.back_mut() {
                Some(segment) if now < segment.start + SEGMENT => {
                    segment.last = revision;
                    segment.bytes += bytes;
                }
                _ => self.segments.push_back(Segment {
                    start: now,
                    last: revision,
                    bytes,
                }),
            }
        }
        self.expire(now);
    }

    /// Moves the target past what is too old or too much.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some(segment) = self.segments.front() {
            let old = segment.start + SEGMENT + self.limits.window <= now;
            if !old && self.bytes <= self.limits.bytes {
                return;
            }
            self.target = self.target.max(segment.last);
            self.bytes -= segment.bytes;
            self.segments.pop_front();
        }
    }

    /// Everything up to `to` can go, whatever its age.
    pub(crate) fn compact(&mut self, to: Revision) {
        self.target = self.target.max(to);
    }

    /// Up to where the next transaction deletes, if there is anything to delete.
    pub(crate) fn slice(&self) -> Option<Revision> {
        (self.done < self.target).then(|| self.target.min(Revision(self.done.0 + SLICE)))
    }

    /// A slice was deleted.
    pub(crate) fn done(&mut self, to: Revision) {
        self.done = to;
    }

    /// When the oldest segment will be too old.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.segments
            .front()
            .map(|segment| segment.start + SEGMENT + self.limits.window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HistoryLimits = HistoryLimits {
        window: Duration::from_secs(75),
        bytes: 10_000,
    };

    #[test]
    fn by_age() {
        let start = Instant::now();
        let mut trim = LogTrim::new(LIMITS, Revision(0), Revision(0));
        trim.wrote(Revision(10), 100, start);
        trim.wrote(Revision(20), 100, start + Duration::from_millis(500));
        trim.wrote(Revision(30), 100, start + Duration::from_secs(10));
        assert_eq!(trim.slice(), None);
        trim.expire(start + Duration::from_secs(76));
        assert_eq!(trim.slice(), Some(Revision(20)));
        trim.done(Revision(20));
        assert_eq!(trim.slice(), None);
        assert_eq!(trim.due(), Some(start + Duration::from_secs(86)));
    }

    #[test]
    fn by_bytes_and_in_slices() {
        let start = Instant::now();
        let mut trim = LogTrim::new(LIMITS, Revision(0), Revision(0));
        trim.wrote(Revision(2500), 9_000, start);
        trim.wrote(Revision(2600), 9_000, start + Duration::from_secs(2));
        let mut slices = Vec::new();
        while let Some(to) = trim.slice() {
            slices.push(to.0);
            trim.done(to);
        }
        assert_eq!(slices, [1000, 2000, 2500]);
    }

    #[test]
    fn on_request() {
        let mut trim = LogTrim::new(LIMITS, Revision(5), Revision(5));
        trim.compact(Revision(3));
        assert_eq!(trim.slice(), None);
        trim.compact(Revision(9));
        assert_eq!(trim.slice(), Some(Revision(9)));
    }
}
