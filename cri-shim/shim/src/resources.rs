//! Limits of a container: from the contract's terms, which are the kernel's, to the engine's. Pure.

use std::time::Duration;

use sampan_engine::{CpuLimits, CpuQuota, Group};
use sampan_proto::v1::{LinuxContainerResources as Resources, LinuxPodSandboxConfig};

/// The kernel's period where a request names none.
const DEFAULT_PERIOD: Duration = Duration::from_millis(100);

/// Bytes of memory; zero and below mean none.
pub(crate) fn memory_limit(resources: &Resources) -> Option<u64> {
    u64::try_from(resources.memory_limit_in_bytes)
        .ok()
        .filter(|&limit| limit > 0)
}

/// Weight and quota; zero and below mean none of either.
pub(crate) fn cpu(resources: &Resources) -> CpuLimits {
    let micros = |value: i64| {
        u64::try_from(value)
            .ok()
            .filter(|&micros| micros > 0)
            .map(Duration::from_micros)
    };
    let weight = u32::try_from(resources.cpu_shares).unwrap_or(match resources.cpu_shares {
        ..0 => 0,
        0.. => u32::MAX,
    });
    CpuLimits {
        weight: match weight {
            0 => CpuLimits::default().weight,
            weight => weight,
        },
        quota: micros(resources.cpu_quota).map(|time| CpuQuota {
            time,
            period: micros(resources.cpu_period).unwrap_or(DEFAULT_PERIOD),
        }),
    }
}

/// What the containers of a sandbox may use together. Without limits it is a group as well: they may come.
pub(crate) fn group(linux: Option<&LinuxPodSandboxConfig>) -> Group {
    let resources = linux.and_then(|linux| linux.resources.as_ref());
    let (memory, quota) = resources.map(together).unwrap_or_default();
    Group::new(memory, quota)
}

/// Memory and processor time of all containers of a sandbox.
pub(crate) fn together(resources: &Resources) -> (Option<u64>, Option<CpuQuota>) {
    (memory_limit(resources), cpu(resources).quota)
}

/// Takes over what an update names. A quota below zero lifts the one there is, as the kernel has it.
pub(crate) fn merge(known: &mut Resources, update: Resources) {
    let take = |known: &mut i64, new: i64| {
        if new != 0 {
            *known = new;
        }
    };
    take(&mut known.cpu_shares, update.cpu_shares);
    take(&mut known.cpu_quota, update.cpu_quota);
    take(&mut known.cpu_period, update.cpu_period);
    take(
        &mut known.memory_limit_in_bytes,
        update.memory_limit_in_bytes,
    );
    take(&mut known.oom_score_adj, update.oom_score_adj);
    take(
        &mut known.memory_swap_limit_in_bytes,
        update.memory_swap_limit_in_bytes,
    );
    known.unified.extend(update.unified);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_means_none() {
        let none = Resources::default();
        assert_eq!(memory_limit(&none), None);
        assert_eq!(cpu(&none), CpuLimits::default());
        let half = Resources {
            cpu_shares: 512,
            cpu_quota: 50_000,
            memory_limit_in_bytes: 1 << 20,
            ..Resources::default()
        };
        assert_eq!(memory_limit(&half), Some(1 << 20));
        let CpuLimits { weight, quota } = cpu(&half);
        let expected = CpuQuota {
            time: Duration::from_millis(50),
            period: DEFAULT_PERIOD,
        };
        assert_eq!((weight, quota), (512, Some(expected)));
        assert_eq!(together(&half), (Some(1 << 20), Some(expected)));
        assert_eq!(together(&none), (None, None));
        let odd = Resources {
            cpu_shares: -5,
            cpu_quota: -1,
            memory_limit_in_bytes: -1,
            ..Resources::default()
        };
        assert_eq!(
            (memory_limit(&odd), cpu(&odd)),
            (None, CpuLimits::default())
        );
    }

    #[test]
    fn an_update_changes_what_it_names() {
        let mut known = Resources {
            cpu_shares: 512,
            cpu_quota: 50_000,
            cpu_period: 100_000,
            memory_limit_in_bytes: 1 << 20,
            ..Resources::default()
        };
        let update = Resources {
            cpu_quota: -1,
            memory_limit_in_bytes: 2 << 20,
            ..Resources::default()
        };
        merge(&mut known, update);
        assert_eq!(cpu(&known).quota, None);
        assert_eq!(
            (known.cpu_shares, memory_limit(&known)),
            (512, Some(2 << 20))
        );
    }
}
