//! Upstream's own programs judge the server: its conformance suite, its controllers and scheduler, its kubelet; and the clients
//! people use. `build.sh` makes the programs; README.md says which test needs which.

mod conformance;
mod control_plane;
mod helm;
mod hollow;
mod kubelet;
mod programs;
mod python;
#[path = "../e2e/support.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "each test target uses a part of it"
)]
mod support;
