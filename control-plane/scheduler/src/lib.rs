//! Assigns pods to nodes: watches both, filters, scores, binds; makes room for important ones.
//!
//! Filter, score and the queue are plain data and functions ([`filter`], [`score`], [`Queue`]); one loop ([`Scheduler`]) does the
//! IO. The crate reaches the server only through a `kube::Client`. It keeps no typed pod longer than it is pending: what a
//! bound pod weighs on its node is a few numbers and the labels and rules it shares with its like.

mod affinity;
mod bind;
mod budgets;
mod census;
mod decide;
mod events;
mod evict;
mod filter;
mod metrics;
mod namespaces;
mod nominated;
mod owners;
mod pod;
mod ports;
mod preempt;
mod queue;
mod resources;
mod scheduler;
mod score;
mod selector;
mod snapshot;
mod spread;
mod table;
mod tally;
#[cfg(test)]
mod testing;
mod trial;
mod volumes;
mod watches;

pub use metrics::SchedulerMetrics;
pub use scheduler::{Scheduler, SchedulerConfig};
