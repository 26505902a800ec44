//! Prints a line every `TICK_MS` milliseconds (default 1000) for ever: a pod that keeps running.

use std::time::Duration;

fn main() {
    let period = std::env::var("TICK_MS")
        .ok()
        .and_then(|text| text.parse().ok())
        .map_or(Duration::from_secs(1), Duration::from_millis);
    for tick in 1u64.. {
        println!("tick {tick}");
        std::thread::sleep(period);
    }
}
