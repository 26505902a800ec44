//! What one container uses and may use: memory shared by all its instances, and processor time.

use crate::CpuLimits;
use crate::cpu::Cpu;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use wasmtime::ResourceLimiter;

/// Bytes of one element of a table: a pointer.
const TABLE_ELEMENT: u64 = 8;

/// A memory limit that is none.
pub(crate) const NO_LIMIT: u64 = u64::MAX;

/// Frees memory of a container that it can do without. Whether there was any.
pub(crate) type Relief = Box<dyn Fn() -> bool + Send + Sync>;

/// The counters of one container.
pub(crate) struct Meter {
    pub(crate) cpu: Cpu,
    memory: AtomicU64,
    /// What was asked for, or [`NO_LIMIT`].
    memory_limit: AtomicU64,
    /// What holds where neither the container nor its group has a limit.
    default_limit: u64,
    relief: OnceLock<Relief>,
    /// What the container shares further limits with: what it takes is taken there, too.
    group: Option<Arc<Meter>>,
    /// Instances that wait for a request.
    waiting: AtomicUsize,
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meter")
            .field("memory", &self.memory())
            .field("memory_limit", &self.memory_limit)
            .finish_non_exhaustive()
    }
}

impl Meter {
    pub(crate) fn new(memory_limit: u64, cpu: CpuLimits) -> Self {
        Meter::in_group(Some(memory_limit), memory_limit, cpu, None)
    }

    pub(crate) fn in_group(
        memory_limit: Option<u64>,
        default_limit: u64,
        cpu: CpuLimits,
        group: Option<Arc<Meter>>,
    ) -> Self {
        Meter {
            cpu: Cpu::new(cpu),
            memory: AtomicU64::new(0),
            memory_limit: AtomicU64::new(memory_limit.unwrap_or(NO_LIMIT)),
            default_limit,
            relief: OnceLock::new(),
            group,
            waiting: AtomicUsize::new(0),
        }
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(crate) fn set_waiting(&self, instances: usize) {
        self.waiting.store(instances, Ordering::Relaxed);
    }

    /// Sets what is called before memory is refused. Once; a second call is without effect.
    pub(crate) fn on_pressure(&self, relief: Relief) {
        let _set_before = self.relief.set(relief);
    }

    /// Another limit for what is asked for from now on; what is held stays.
    pub(crate) fn set_memory_limit(&self, bytes: u64) {
        self.memory_limit.store(bytes, Ordering::Relaxed);
    }

    /// The container's own limit. One that has none follows its group's, whatever that is by now.
    fn own_limit(&self) -> u64 {
        let asked = |meter: &Meter| meter.memory_limit.load(Ordering::Relaxed);
        let of_group = || self.group.as_deref().map_or(NO_LIMIT, asked);
        match asked(self) {
            NO_LIMIT if of_group() == NO_LIMIT => self.default_limit,
            own => own,
        }
    }

    pub(crate) fn memory(&self) -> u64 {
        self.memory.load(Ordering::Relaxed)
    }

    /// Notes processor time that an instance used.
    pub(crate) fn cpu_used(&self, nanos: u64) {
        self.cpu.charge(nanos);
        if let Some(group) = &self.group {
            group.cpu_used(nanos);
        }
    }

    /// How long quotas keep the container off the processors, if they do.
    pub(crate) fn cpu_wait(&self) -> Option<Duration> {
        let shared = self.group.as_ref().and_then(|group| group.cpu_wait());
        self.cpu.wait().max(shared)
    }

    /// Takes memory out of the container's budget, or nothing at all.
    fn take(&self, bytes: u64) -> bool {
        loop {
            if self.try_take(bytes) {
                return true;
            }
            if !self.relief.get().is_some_and(|relief| relief()) {
                return false;
            }
        }
    }

    /// Takes memory for something the host holds.
    pub(crate) fn charge(self: &Arc<Self>, bytes: u64) -> Option<Charge> {
        // Made only once it was taken: dropped, it gives back.
        self.take(bytes).then(|| Charge {
            meter: self.clone(),
            bytes,
        })
    }

    fn try_take(&self, bytes: u64) -> bool {
        let limit = self.own_limit();
        let own = self
            .memory
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|sum| *sum <= limit)
            })
            .is_ok();
        let shared = || {
            self.group
                .as_ref()
                .is_none_or(|group| group.try_take(bytes))
        };
        if own && !shared() {
            self.memory.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        own
    }

    fn give_back(&self, bytes: u64) {
        self.memory.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(group) = &self.group {
            group.give_back(bytes);
        }
    }
}

/// Memory of a container that the host holds for it; given back when dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    meter: Arc<Meter>,
    bytes: u64,
}

impl Charge {
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.meter.give_back(self.bytes);
    }
}

/// Decides every growth of one instance's memories and tables.
#[derive(Debug)]
pub(crate) struct GuestLimits {
    meter: Arc<Meter>,
    denied: bool,
    held: u64,
    /// What of `held` is the host's, behind handles of the guest.
    host: u64,
    /// The last growth of a memory allowed, to be undone when wasmtime could not do it after all.
    last: u64,
    max_table_elements: usize,
    max_core_instances: usize,
}

impl GuestLimits {
    pub(crate) fn new(meter: Arc<Meter>, config: &crate::EngineConfig) -> Self {
        GuestLimits {
            meter,
            denied: false,
            held: 0,
            host: 0,
            last: 0,
            max_table_elements: config.max_table_elements,
            max_core_instances: config.max_core_instances,
        }
    }

    /// Whether the instance was ever refused memory.
    pub(crate) fn denied(&self) -> bool {
        self.denied
    }

    /// What the host holds for the instance now, beside its memories and tables. False if that is too much.
    pub(crate) fn host_holds(&mut self, bytes: u64) -> bool {
        let before = self.host;
        if bytes > before && !self.take(bytes - before) {
            return false;
        }
        let less = before.saturating_sub(bytes);
        self.held -= less;
        self.meter.give_back(less);
        self.host = bytes;
        true
    }

    fn take(&mut self, bytes: u64) -> bool {
        if self.meter.take(bytes) {
            self.held += bytes;
            return true;
        }
        self.denied = true;
        false
    }
}

impl Drop for GuestLimits {
    fn drop(&mut self) {
        self.meter.give_back(self.held);
    }
}

impl ResourceLimiter for GuestLimits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.last = 0;
        // Beyond its own maximum the growth fails anyway; that is the module's limit, not the container's.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let growth = desired.saturating_sub(current) as u64;
        if !self.take(growth) {
            return Ok(false);
        }
        self.last = growth;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        let growth = std::mem::take(&mut self.last);
        self.held -= growth;
        self.meter.give_back(growth);
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // What is beyond its own maximum fails anyway. Refused here, so that no growth fails that was allowed: wasmtime
        // tells of some failures that it did not ask for before, and nothing may be given back for those.
        if desired > self.max_table_elements || maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        Ok(self.take(desired.saturating_sub(current) as u64 * TABLE_ELEMENT))
    }

    fn instances(&self) -> usize {
        self.max_core_instances
    }

    fn tables(&self) -> usize {
        self.max_core_instances
    }

    fn memories(&self) -> usize {
        self.max_core_instances
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(memory: u64) -> GuestLimits {
        GuestLimits::new(
            Arc::new(Meter::new(memory, CpuLimits::default())),
            &crate::EngineConfig::new("unused"),
        )
    }

    #[test]
    fn memory_is_shared_between_the_instances_of_a_container() {
        let mut first = limits(100);
        let mut second = GuestLimits::new(first.meter.clone(), &crate::EngineConfig::new("unused"));
        assert!(first.memory_growing(0, 60, None).expect("decided"));
        assert!(!second.memory_growing(0, 60, None).expect("decided"));
        assert!(second.denied());
        drop(first);
        assert!(second.memory_growing(0, 60, None).expect("decided"));
        assert_eq!(second.meter.memory(), 60);
    }

    #[test]
    fn containers_of_a_group_share_its_limits() {
        let time = |millis| {
            Some(crate::CpuQuota {
                time: Duration::from_millis(millis),
                period: Duration::from_millis(100),
            })
        };
        let group = crate::Group::new(Some(100), time(1));
        let member = |quota| {
            let cpu = CpuLimits {
                quota,
                ..CpuLimits::default()
            };
            Meter::in_group(Some(80), 80, cpu, Some(group.meter().clone()))
        };
        let (first, second) = (member(None), member(time(100)));
        assert!(first.take(60));
        assert!(!second.take(60), "the group's");
        assert!(!first.take(30), "its own");
        assert_eq!((first.memory(), second.memory()), (60, 0));
        first.give_back(60);
        assert!(second.take(60));
        assert_eq!(group.meter().memory(), 60);
        assert_eq!((first.cpu_wait(), second.cpu_wait()), (None, None));
        first.cpu_used(50_000_000);
        assert!(first.cpu_wait().is_some() && second.cpu_wait().is_some());
        assert_eq!(
            (first.cpu.used_nanos(), second.cpu.used_nanos()),
            (50_000_000, 0)
        );
    }

    #[test]
    fn a_group_takes_other_limits_and_its_containers_follow() {
        let millis = Duration::from_millis;
        let quota = |time| {
            Some(crate::CpuQuota {
                time: millis(time),
                period: millis(100),
            })
        };
        let group = crate::Group::new(None, None);
        let in_group = Some(group.meter().clone());
        let member = Meter::in_group(None, 10, CpuLimits::default(), in_group);
        assert!(member.take(10) && !member.take(1), "the engine's default");
        group.update(Some(100), quota(1));
        assert!(member.take(90) && !member.take(1), "the group's");
        member.cpu_used(50_000_000);
        assert!(member.cpu_wait().is_some());
        group.update(Some(50), quota(200));
        assert_eq!((member.memory(), group.meter().memory()), (100, 100));
        assert!(!member.take(1), "what is held stays, and no more comes");
        member.give_back(60);
        assert!(member.take(10) && !member.take(1));
        assert_eq!(member.cpu_wait(), None);
        group.update(Some(60), None);
        assert!(member.take(10) && !member.take(1));
        group.update(None, None);
        assert!(!member.take(1), "the engine's default again");
        let group = crate::Group::new(Some(10), None);
        let in_group = Some(group.meter().clone());
        let member = Meter::in_group(Some(100), 10, CpuLimits::default(), in_group);
        assert!(!member.take(11));
        group.update(None, None);
        assert!(
            member.take(11),
            "the first limit of a group can be lifted, too"
        );
    }

    #[test]
    fn a_growth_that_failed_is_given_back() {
        let mut limits = limits(100);
        assert!(limits.memory_growing(0, 60, None).expect("decided"));
        limits
            .memory_grow_failed(wasmtime::Error::msg("no"))
            .expect("decided");
        assert_eq!(limits.meter.memory(), 0);
    }

    #[test]
    fn tables_take_of_the_memory() {
        let mut limits = limits(100);
        assert!(limits.memory_growing(0, 60, None).expect("decided"));
        assert!(limits.table_growing(0, 4, None).expect("decided"));
        assert_eq!(limits.meter.memory(), 60 + 32);
        assert!(!limits.table_growing(4, 6, Some(5)).expect("decided"));
        assert!(!limits.denied(), "the table's own maximum");
        assert!(!limits.table_growing(4, 6, None).expect("decided"));
        assert!(limits.denied());
        // A failure nobody asked about before, such as a size that overflows.
        limits
            .table_grow_failed(wasmtime::Error::msg("no"))
            .expect("decided");
        assert_eq!(limits.meter.memory(), 60 + 32);
        let meter = limits.meter.clone();
        drop(limits);
        assert_eq!(meter.memory(), 0);
    }

    #[test]
    fn what_the_host_holds_is_memory() {
        let mut limits = limits(100);
        assert!(limits.host_holds(60));
        assert!(limits.host_holds(20));
        assert_eq!(limits.meter.memory(), 20);
        assert!(!limits.host_holds(101));
        assert!(limits.denied());
        let meter = limits.meter.clone();
        drop(limits);
        assert_eq!(meter.memory(), 0);
    }

    #[test]
    fn a_charge_is_memory_until_it_is_dropped() {
        let mut limits = limits(100);
        let charge = limits.meter.charge(60).expect("room");
        assert!(limits.meter.charge(41).is_none());
        assert!(!limits.memory_growing(0, 60, None).expect("decided"));
        drop(charge);
        assert!(limits.memory_growing(0, 60, None).expect("decided"));
    }

    #[test]
    fn the_modules_own_maximum_is_no_denial() {
        let mut limits = limits(100);
        assert!(!limits.memory_growing(0, 60, Some(50)).expect("decided"));
        assert!(!limits.denied());
    }
}
