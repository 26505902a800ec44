//! The shim through its two traits, with real engine, image store and network, and guests of a few
//! lines of .wat each.

mod capabilities;
mod failures;
mod host;
mod http;
mod images;
mod lifecycle;
mod listing;
mod logs;
mod resources;
mod rootfs;
mod sandboxes;
mod support;
mod workload;
