//! WASI p1: a guest that sleeps. `poll_oneoff` with one clock, which is how every `sleep` of a libc arrives here, waits for
//! a timer and nothing else; wasmtime-wasi makes resources and streams for it, a kilobyte for as long as the guest sleeps.
//! Any other call is left to it.

use crate::files::p1::{MODULE, SUCCESS, enter, memory};
use crate::state::P1State;
use std::ops::Range;
use std::time::Duration;
use wasmtime::{Caller, Linker};
use wasmtime_wasi::p1::wasi_snapshot_preview1 as p1;

/// Bytes of a subscription, and of the event that answers it.
const SUBSCRIPTION: usize = 48;
const EVENT: usize = 32;

/// What both must be aligned to.
const ALIGNMENT: usize = 8;

/// The tag of a clock in a subscription, which is the type of its event as well.
const CLOCK: u8 = 0;

/// The clocks a time from now means the same of: realtime and monotonic.
const CLOCKS: Range<u32> = 0..2;

type Params = (i32, i32, i32, i32);

/// Puts it in front of the original. The linker must allow shadowing.
pub(crate) fn guard(linker: &mut Linker<P1State>) -> wasmtime::Result<()> {
    linker.func_wrap_async(MODULE, "poll_oneoff", |caller, params| {
        Box::new(poll_oneoff(caller, params))
    })?;
    Ok(())
}

async fn poll_oneoff(mut caller: Caller<'_, P1State>, params: Params) -> wasmtime::Result<i32> {
    let memory = memory(&mut caller)?;
    if let Some(nap) = Nap::read(memory.data(&caller), params) {
        tokio::time::sleep(nap.time).await;
        nap.tell(memory.data_mut(&mut caller));
        return Ok(SUCCESS);
    }
    // Boxed, so that who sleeps has no room for it.
    let original = Box::pin(async move {
        let (mut memory, state) = enter(&memory, &mut caller);
        let (subscriptions, events, count, told) = params;
        let wasi = &mut *state.wasi;
        p1::poll_oneoff(wasi, &mut memory, subscriptions, events, count, told).await
    });
    original.await
}

/// A time to sleep, and where it is told that it is over.
#[derive(Debug, PartialEq)]
struct Nap {
    time: Duration,
    userdata: [u8; 8],
    event: Range<usize>,
    count: Range<usize>,
}

impl Nap {
    /// None of what is anything else, or wrong.
    fn read(memory: &[u8], (subscriptions, events, count, told): Params) -> Option<Nap> {
        let within = |pointer: i32, length: usize, alignment: usize| {
            let start = pointer as u32 as usize;
            let range = start..start.checked_add(length)?;
            (start.is_multiple_of(alignment) && range.end <= memory.len()).then_some(range)
        };
        if count != 1 {
            return None;
        }
        let subscription = memory.get(within(subscriptions, SUBSCRIPTION, ALIGNMENT)?)?;
        let (event, count) = (
            within(events, EVENT, ALIGNMENT)?,
            within(told, size_of::<u32>(), align_of::<u32>())?,
        );
        let number = |at: usize| {
            let bytes = subscription.get(at..at + 8)?.try_into().ok()?;
            Some(u64::from_le_bytes(bytes))
        };
        let clock = u32::try_from(number(16)? & u64::from(u32::MAX)).ok()?;
        let flags = number(40)? & u64::from(u16::MAX);
        let nanos = number(24)?;
        // Of no time at all the original gives others their turn.
        let plain = subscription[8] == CLOCK && CLOCKS.contains(&clock) && flags == 0 && nanos > 0;
        plain.then_some(Nap {
            time: Duration::from_nanos(nanos),
            userdata: number(0)?.to_le_bytes(),
            event,
            count,
        })
    }

    /// One event: the clock's, without an error.
    fn tell(self, memory: &mut [u8]) {
        let event = &mut memory[self.event];
        event.fill(0);
        event[..8].copy_from_slice(&self.userdata);
        event[10] = CLOCK;
        memory[self.count].copy_from_slice(&1_u32.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A subscription at 0; events go to 64, their count to 128.
    fn asked(change: impl Fn(&mut Vec<u8>, &mut Params)) -> (Vec<u8>, Option<Nap>) {
        let mut memory = vec![0xaa; 256];
        memory[..SUBSCRIPTION].fill(0);
        memory[0] = 7;
        memory[16] = 1;
        memory[24..32].copy_from_slice(&1_500_000_u64.to_le_bytes());
        let mut params = (0, 64, 1, 128);
        change(&mut memory, &mut params);
        let nap = Nap::read(&memory, params);
        (memory, nap)
    }

    #[test]
    fn one_clock_is_a_nap() {
        let (mut memory, nap) = asked(|_, _| {});
        let nap = nap.expect("it is one");
        assert_eq!(nap.time, Duration::from_micros(1_500));
        nap.tell(&mut memory);
        let mut expected = [0; EVENT];
        expected[0] = 7;
        assert_eq!(memory[64..96], expected);
        assert_eq!(memory[128..132], [1, 0, 0, 0]);
        assert_eq!(memory[132], 0xaa);
        assert!(asked(|memory, _| memory[16] = 0).1.is_some(), "realtime");
    }

    #[test]
    fn anything_else_is_left_to_the_original() {
        type Change = fn(&mut Vec<u8>, &mut Params);
        let others: [(&str, Change); 11] = [
            ("two", |_, params| params.2 = 2),
            ("none", |_, params| params.2 = 0),
            ("a descriptor", |memory, _| memory[8] = 1),
            ("another clock", |memory, _| memory[16] = 2),
            ("a clock far off", |memory, _| memory[19] = 1),
            ("a point in time", |memory, _| memory[40] = 1),
            ("no time", |memory, _| memory[24..32].fill(0)),
            ("not aligned", |_, params| params.1 = 65),
            ("outside", |_, params| params.1 = 232),
            ("far outside", |_, params| params.0 = -8),
            ("count outside", |_, params| params.3 = 256),
        ];
        for (name, change) in others {
            assert_eq!(asked(change).1, None, "{name}");
        }
    }
}
