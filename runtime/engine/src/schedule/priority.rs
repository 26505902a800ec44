//! What the kernel is told about our threads.
//!
//! A priority (nice) is a share of the processors to the kernel, not an order: whoever wakes has to wait while the
//! thread that runs still has some of its time slice, and the kernel looks at that only at its own ticks, 4 ms apart. So
//! a slice goes beside it: a thread with a shorter slice than the one that runs goes at once, as long as it takes no
//! more than its share (since Linux 6.12; before, slices are ignored). Nothing of ours is idle to the kernel
//! (`SCHED_IDLE`): beside guests that are busy for ever, a module would not be compiled in an hour.

use rustix::process::{getpriority_process, setpriority_process};
use std::io;
use std::time::Duration;

/// The ticker's slice, the shortest there is: while it waits for a processor, no guest pauses.
const TICKER: Duration = Duration::from_micros(100);

/// Where guests start and requests come in.
const PROMPT: Duration = Duration::from_micros(300);

/// Where files are read. A slice ends at a tick of the kernel's at the earliest: beside another of the same length nobody goes
/// at once.
const BLOCKING: Duration = Duration::from_millis(1);

/// How a thread stands to the others.
#[derive(Clone, Copy, Debug)]
pub enum Priority {
    /// It runs for microseconds, and others depend on it.
    Ticker,
    /// It has short work, at this nice value.
    Prompt(Option<i32>),
    /// It waits for disks, and may have work for milliseconds, at this nice value.
    Blocking(Option<i32>),
    /// It may have work for ever, at this nice value.
    Long(Option<i32>),
    /// It takes the smallest share there is: compilers.
    Last,
}

impl Priority {
    /// Gives it to the calling thread; to Linux priorities are threads', not processes'. A refusal costs latency, not
    /// correctness.
    pub fn take(self) {
        let taken = match self {
            Priority::Ticker => set_slice(TICKER),
            Priority::Prompt(nice) => be_nice(nice).and(set_slice(PROMPT)),
            Priority::Blocking(nice) => be_nice(nice).and(set_slice(BLOCKING)),
            Priority::Long(nice) => be_nice(nice),
            // A thread begins with the priority of who started it: those who came to wait behind it until now would wait
            // for the kernel's next tick, which is 4 ms away.
            Priority::Last => be_nice(Some(LOWEST)).map(|()| std::thread::yield_now()),
        };
        if let Err(error) = taken {
            tracing::debug!(%error, wanted = ?self, "a thread keeps its priority");
        }
    }
}

/// The lowest priority there is.
const LOWEST: i32 = 19;

fn be_nice(nice: Option<i32>) -> io::Result<()> {
    match nice {
        Some(nice) => Ok(setpriority_process(None, nice)?),
        None => Ok(()),
    }
}

fn set_slice(slice: Duration) -> io::Result<()> {
    let nice = getpriority_process(None)?;
    set(nice, slice.as_nanos() as u64)
}

#[allow(
    unsafe_code,
    reason = "the C library has no function for this system call; see the SAFETY comment"
)]
fn set(nice: i32, slice: u64) -> io::Result<()> {
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: libc::SCHED_OTHER as u32,
        sched_flags: 0,
        sched_nice: nice,
        sched_priority: 0,
        sched_runtime: slice,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: the kernel reads as many bytes as the structure says it has, and keeps no pointer to them.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel says of a thread that took a priority: its policy, its nice value, its slice (where told).
    fn taken(priority: Priority) -> (String, String, Option<String>) {
        let thread = std::thread::spawn(move || {
            priority.take();
            std::fs::read_to_string("/proc/thread-self/sched").expect("the kernel tells")
        });
        let text = thread.join().expect("no panic");
        let field = |name: &str| {
            let line = text
                .lines()
                .find(|line| line.split(':').next().is_some_and(|key| key.trim() == name));
            line.and_then(|line| line.rsplit(':').next())
                .map(|value| value.trim().to_owned())
        };
        (
            field("policy").expect("a policy"),
            field("prio").expect("a priority"),
            field("se.slice"),
        )
    }

    #[test]
    fn compilers_come_last_and_prompt_threads_have_short_slices() {
        if !std::path::Path::new("/proc/thread-self/sched").exists() {
            return;
        }
        let nice = getpriority_process(None).expect("it has one");
        let (policy, prio, _) = taken(Priority::Last);
        assert_eq!((policy.as_str(), prio.as_str()), ("0", "139"));
        let (policy, prio, slice) = taken(Priority::Prompt(Some(nice + 1)));
        assert_eq!((policy, prio), ("0".to_owned(), (121 + nice).to_string()));
        assert!(slice.is_none_or(|slice| slice == "300000"));
        let (policy, prio, slice) = taken(Priority::Blocking(Some(nice + 1)));
        assert_eq!((policy, prio), ("0".to_owned(), (121 + nice).to_string()));
        assert!(slice.is_none_or(|slice| slice == "1000000"));
        let (policy, prio, slice) = taken(Priority::Ticker);
        assert_eq!((policy, prio), ("0".to_owned(), (120 + nice).to_string()));
        assert!(slice.is_none_or(|slice| slice == "100000"));
    }
}
