//! Limits that several containers share, beside those each has.

use crate::limits::Meter;
use crate::{CpuLimits, CpuQuota};
use std::sync::Arc;

/// Memory and processor time of several containers together. Clones mean the same group.
#[derive(Clone, Debug)]
pub struct Group {
    meter: Arc<Meter>,
    memory_limit: Option<u64>,
}

impl Group {
    /// A group without containers: those whose specification names it belong to it. `None` means no such limit.
    pub fn new(memory_limit: Option<u64>, quota: Option<CpuQuota>) -> Self {
        let cpu = CpuLimits {
            quota,
            ..CpuLimits::default()
        };
        Group {
            meter: Arc::new(Meter::new(memory_limit.unwrap_or(u64::MAX), cpu)),
            memory_limit,
        }
    }

    pub(crate) fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    pub(crate) fn memory_limit(&self) -> Option<u64> {
        self.memory_limit
    }
}
