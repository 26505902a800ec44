//! `wasi:clocks`, `wasi:random`, and `wasi:io/poll` by way of them.

use crate::check::{equal, holds};
use wasip2::clocks::{monotonic_clock, wall_clock};
use wasip2::io::poll::poll;
use wasip2::random::{insecure, insecure_seed, random};

const MILLISECOND: u64 = 1_000_000;
const HOUR: u64 = 3_600_000 * MILLISECOND;

pub fn clocks() {
    let start = monotonic_clock::now();
    let resolution = monotonic_clock::resolution();
    holds(resolution > 0 && resolution <= 1_000 * MILLISECOND);

    let soon = monotonic_clock::subscribe_instant(start + 2 * MILLISECOND);
    soon.block();
    holds(soon.ready());
    holds(monotonic_clock::now() >= start + 2 * MILLISECOND);

    let before = monotonic_clock::now();
    monotonic_clock::subscribe_duration(2 * MILLISECOND).block();
    holds(monotonic_clock::now() >= before + 2 * MILLISECOND);

    let never = monotonic_clock::subscribe_duration(HOUR);
    let past = monotonic_clock::subscribe_instant(0);
    holds(!never.ready());
    past.block();
    let mut ready = poll(&[&never, &past, &soon]);
    ready.sort();
    equal(ready, [1, 2]);

    // 2020 to 2100.
    let now = wall_clock::now();
    holds((1_577_836_800..4_102_444_800).contains(&now.seconds));
    holds(now.nanoseconds < 1_000_000_000);
    let resolution = wall_clock::resolution();
    holds(resolution.seconds == 0 && resolution.nanoseconds > 0);
}

pub fn random() {
    let (one, other) = (random::get_random_bytes(64), random::get_random_bytes(64));
    equal((one.len(), other.len()), (64, 64));
    holds(one != other);
    equal(random::get_random_bytes(0).len(), 0);
    holds(random::get_random_u64() != random::get_random_u64());
    let (one, other) = (insecure::get_insecure_random_bytes(64), insecure::get_insecure_random_bytes(64));
    equal((one.len(), other.len()), (64, 64));
    holds(one != other);
    holds(insecure::get_insecure_random_u64() != insecure::get_insecure_random_u64());
    holds(insecure_seed::insecure_seed() != (0, 0));
}
