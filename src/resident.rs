//! Memory nobody needs is given back when the process has become quiet.
//!
//! Two things stay resident otherwise, and on a small machine they are most of what an idle process holds:
//! - Pages of the program file. Where code is touched, the kernel maps the 64 KiB around it, and a start touches code all
//!   over a program of 75 MB, once. They stay in the page cache, what is needed again is mapped again by a fault that reads
//!   no disk, and the kernel would do the same were it short of memory.
//! - Free memory of the allocator. It gives back what has been free for a second when a thread has asked for much, or ends;
//!   in a process that does nothing neither happens. So a thread is started that does little and ends.
//!
//! Quiet is known by the processor time of the process, looked at twice a minute; while nothing happens nothing is done.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::time::Duration;

use anyhow::Context;
use rustix::time::{ClockId, clock_gettime};

/// Until what follows a start (first lists, leases, certificates) is done.
const SETTLED: Duration = Duration::from_secs(10);
/// Between looks.
const PERIOD: Duration = Duration::from_secs(30);
/// A hundredth of one processor is what a quiet process uses at most.
const QUIET: u32 = 100;
/// How often memory is given back once it is quiet: the store keeps its history for 75 seconds after the last write.
const ROUNDS: u32 = 4;

/// Looks after the memory of this process until it ends.
pub(crate) fn keep_small() {
    tokio::spawn(async {
        let mut watch = Watch::default();
        let mut pause = SETTLED;
        loop {
            tokio::time::sleep(pause).await;
            if watch.is_due(processor_time(), pause) {
                give_back();
            }
            pause = PERIOD;
        }
    });
}

/// Whether something happened lately.
struct Watch {
    /// Processor time at the last look.
    used: Duration,
    /// How often memory is still to be given back.
    rounds: u32,
    /// A start is never quiet, and what it leaves behind is known.
    started: bool,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            used: Duration::ZERO,
            rounds: ROUNDS,
            started: false,
        }
    }
}

impl Watch {
    /// Whether now is the time to give memory back, by the processor time used so far.
    fn is_due(&mut self, used: Duration, passed: Duration) -> bool {
        let busy = used.saturating_sub(self.used) > passed / QUIET;
        self.used = used;
        if busy && self.started {
            self.rounds = ROUNDS;
            return false;
        }
        self.started = true;
        let due = self.rounds > 0;
        self.rounds = self.rounds.saturating_sub(1);
        due
    }
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    // A clock of this kind starts at zero.
    Duration::try_from(time).unwrap_or_default()
}

/// On a thread of its own, whose end makes the allocator give back too. Failing is no reason for anything.
fn give_back() {
    let work = || match give_back_program() {
        Ok(bytes) => tracing::debug!(bytes, "pages of the program file given back"),
        Err(error) => tracing::debug!(%error, "pages of the program file stay mapped"),
    };
    let thread = std::thread::Builder::new().name("give-back".into());
    if let Err(error) = thread.spawn(work) {
        tracing::debug!(%error, "no memory is given back");
    }
}

/// Unmaps what can be read from the program file again. Answers how many bytes that were.
#[allow(
    unsafe_code,
    reason = "madvise is unsafe because some advice changes what memory holds; see the SAFETY comment"
)]
fn give_back_program() -> anyhow::Result<usize> {
    use rustix::mm::{Advice, madvise};
    let mut bytes = 0;
    for mapping in own_unchanged()? {
        let start = std::ptr::with_exposed_provenance_mut(mapping.at.start);
        // SAFETY: the range is where the loader mapped a part of the program: private, not writable, there as long as the
        // process, and without any page that differs from the file's. So what is read there afterwards is what was read
        // there before, and nothing can change that in between: nobody makes code writable.
        unsafe { madvise(start, mapping.at.len(), Advice::LinuxDontNeed) }?;
        bytes += mapping.resident;
    }
    Ok(bytes)
}

fn own_unchanged() -> anyhow::Result<Vec<Mapping>> {
    const MAPPINGS: &str = "/proc/self/smaps";
    let file = File::open(MAPPINGS).context(MAPPINGS)?;
    let code = give_back_program as fn() -> anyhow::Result<usize> as usize;
    unchanged(BufReader::new(file), code).context(MAPPINGS)
}

/// One mapping as the kernel describes it.
#[derive(Debug, Default, PartialEq)]
struct Mapping {
    at: Range<usize>,
    permissions: String,
    /// Device and inode.
    file: (String, String),
    resident: usize,
    /// Bytes that differ from the file: changed pages, in memory or swapped out.
    changed: usize,
}

/// The mappings of the file that `code` lies in that can be read from it again. Relocated data is protected as if it were
/// read-only data; that its pages were changed tells them apart.
fn unchanged(smaps: impl BufRead, code: usize) -> std::io::Result<Vec<Mapping>> {
    let mut all = run_around(smaps, code)?;
    let file = all
        .iter()
        .find(|mapping| mapping.at.contains(&code))
        .map(|mapping| mapping.file.clone());
    all.retain(|mapping| {
        Some(&mapping.file) == file.as_ref()
            && matches!(mapping.permissions.as_str(), "r-xp" | "r--p")
            && mapping.changed == 0
            && mapping.resident > 0
    });
    Ok(all)
}

/// The mappings without a gap between them among which `code` is. Those after them are not asked for: a node full of
/// pods has tens of thousands, and the kernel looks at every page of each.
fn run_around(smaps: impl BufRead, code: usize) -> std::io::Result<Vec<Mapping>> {
    let mut run: Vec<Mapping> = Vec::new();
    for line in smaps.lines() {
        let line = line?;
        let mut words = line.split_ascii_whitespace();
        let Some(first) = words.next() else { continue };
        if let Some(field) = first.strip_suffix(':') {
            let kib: usize = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
            match (field, run.last_mut()) {
                ("Rss", Some(mapping)) => mapping.resident = kib * 1024,
                ("Anonymous" | "Swap", Some(mapping)) => mapping.changed += kib * 1024,
                _ => {}
            }
        } else if let Some(mapping) = header(first, words) {
            if run
                .last()
                .is_some_and(|last| last.at.end != mapping.at.start)
            {
                if run.iter().any(|mapping| mapping.at.contains(&code)) {
                    break;
                }
                run.clear();
            }
            run.push(mapping);
        }
    }
    Ok(run)
}

/// `START-END PERMISSIONS OFFSET DEVICE INODE PATH`
fn header<'a>(range: &str, mut words: impl Iterator<Item = &'a str>) -> Option<Mapping> {
    let (start, end) = range.split_once('-')?;
    let address = |text| usize::from_str_radix(text, 16).ok();
    let at = address(start)?..address(end)?;
    let permissions = words.next()?.to_owned();
    let _offset = words.next()?;
    Some(Mapping {
        at,
        permissions,
        file: (words.next()?.to_owned(), words.next()?.to_owned()),
        ..Mapping::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_after_a_start_and_after_work() {
        let mut watch = Watch::default();
        let (mut used, mut passed) = (Duration::ZERO, SETTLED);
        let mut look = |milliseconds| {
            used += Duration::from_millis(milliseconds);
            watch.is_due(used, std::mem::replace(&mut passed, PERIOD))
        };
        // The start, then nothing to speak of.
        let idle = [500, 10, 299, 10, 10, 10].map(&mut look);
        assert_eq!(idle, [true, true, true, true, false, false]);
        let work = [30_000, 350, 0, 0, 0, 0, 0].map(look);
        assert_eq!(work, [false, false, true, true, true, true, false]);
    }

    const SMAPS: &str = "\
0200-0300 r--p 00000000 fe:00 77 /bin/sampan
Rss:                   8 kB
Anonymous:             0 kB
1000-3000 r--p 00000000 fe:00 77 /bin/sampan
Rss:                   8 kB
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd mr mw me
3000-6000 r-xp 00002000 fe:00 77 /bin/sampan
Rss:                   4 kB
Anonymous:             0 kB
Swap:                  0 kB
6000-7000 r--p 00005000 fe:00 77 /bin/sampan
Rss:                   4 kB
Anonymous:             4 kB
Swap:                  0 kB
7000-8000 r--p 00006000 fe:00 77 /bin/sampan
Rss:                   4 kB
Anonymous:             0 kB
Swap:                  4 kB
8000-9000 rw-p 00007000 fe:00 77 /bin/sampan
Rss:                   4 kB
Anonymous:             0 kB
9000-a000 rw-p 00000000 00:00 0
Rss:                   4 kB
Anonymous:             4 kB
a000-b000 r-xp 00000000 fe:00 78 /lib/libc.so.6
Rss:                   4 kB
Anonymous:             0 kB
c000-d000 r-xp 00000000 fe:00 77 /bin/sampan
Rss:                   4 kB
Anonymous:             0 kB
";

    #[test]
    fn only_what_the_program_file_still_holds() {
        let ranges = |code| -> Vec<(Range<usize>, usize)> {
            let found = unchanged(SMAPS.as_bytes(), code).expect("in memory");
            let found = found.into_iter();
            found.map(|found| (found.at, found.resident)).collect()
        };
        assert_eq!(
            ranges(0x4000),
            [(0x1000..0x3000, 8192), (0x3000..0x6000, 4096)]
        );
        assert_eq!(ranges(0xb000), []);
    }

    /// A pointer the loader wrote, in data that cannot be changed since.
    static RELOCATED: &[&str] = &["still", "there"];

    #[test]
    fn the_program_goes_on() {
        let code = give_back_program as fn() -> anyhow::Result<usize> as usize;
        let relocated = RELOCATED.as_ptr() as usize;
        let given = own_unchanged().expect("readable");
        let has = |address| given.iter().any(|mapping| mapping.at.contains(&address));
        assert!(has(code), "{given:?}");
        assert!(!has(relocated), "{given:?}");
        assert!(give_back_program().expect("advice is taken") > 0);
        assert_eq!(RELOCATED.concat(), "stillthere");
    }
}
