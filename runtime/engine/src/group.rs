//! Limits that several containers share, beside those each has.

use crate::limits::{Meter, NO_LIMIT};
use crate::{CpuLimits, CpuQuota};
use std::sync::Arc;

/// Memory and processor time of several containers together. Clones mean the same group.
#[derive(Clone, Debug)]
pub struct Group {
    meter: Arc<Meter>,
}

impl Group {
    /// A group without containers: those whose specification names it belong to it. `None` means no such limit.
    pub fn new(memory_limit: Option<u64>, quota: Option<CpuQuota>) -> Self {
        let meter = Meter::new(NO_LIMIT, cpu(quota));
        meter.set_memory_limit(memory_limit.unwrap_or(NO_LIMIT));
        Group {
            meter: Arc::new(meter),
        }
    }

    /// Other limits from now on, for containers that run as well. A memory limit below what they hold takes nothing away:
    /// they grow no more.
    pub fn update(&self, memory_limit: Option<u64>, quota: Option<CpuQuota>) {
        self.meter.cpu.set(cpu(quota));
        self.meter
            .set_memory_limit(memory_limit.unwrap_or(NO_LIMIT));
    }

    pub(crate) fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }
}

/// A group has no weight: its containers compete each for itself.
fn cpu(quota: Option<CpuQuota>) -> CpuLimits {
    CpuLimits {
        quota,
        ..CpuLimits::default()
    }
}
