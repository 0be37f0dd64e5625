//! Gauges that the host reads when a client asks for the metrics. They show how
//! much of each bounded resource is in use.

use host_base::Disk;
use host_bus::Bus;
use host_engine::{Admission, Engine};
use host_plugin::{Registry, registry::Standing};
use metrics::gauge;
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// The sources of the gauges.
pub struct Gauges {
    /// The plugins that are active.
    pub registry: Arc<Registry>,
    /// Calls of all components together.
    pub admission: Arc<Admission>,
    /// The event bus.
    pub bus: Arc<dyn Bus>,
    /// The instances of components.
    pub engine: Arc<Engine>,
    /// Whether the host takes work.
    pub ready: Arc<AtomicBool>,
    /// The disk with the data directory.
    pub disk: Disk,
}

impl Gauges {
    /// Sets every gauge.
    pub fn refresh(&self) {
        gauge!("host_ready").set(f64::from(u8::from(self.ready.load(Ordering::Acquire))));
        gauge!("host_calls_in_flight").set(self.admission.in_flight() as f64);
        gauge!("host_calls_waiting").set(self.admission.waiting() as f64);
        gauge!("host_calls_limit").set(self.admission.limit() as f64);
        gauge!("bus_connected").set(f64::from(u8::from(self.bus.unavailable_reason().is_none())));
        gauge!("bus_full").set(f64::from(u8::from(self.bus.is_full())));
        gauge!("bus_problems").set(self.bus.problems().len() as f64);
        if let Some(space) = self.disk.space() {
            gauge!("host_disk_free_bytes").set(space.free_bytes as f64);
            gauge!("host_disk_reserve_bytes").set(space.reserve_bytes as f64);
        }
        self.plugins();
        for (kind, usage) in self.engine.usages() {
            let gauge = |name: &'static str| gauge!(name, "kind" => kind.name());
            gauge("engine_instances").set(usage.instances as f64);
            gauge("engine_instances_warm").set(usage.warm as f64);
            gauge("engine_instances_limit").set(usage.limit as f64);
            gauge("engine_memories").set(usage.memories as f64);
            gauge("engine_stacks").set(usage.stacks as f64);
        }
        process();
    }

    fn plugins(&self) {
        let snapshot = self.registry.snapshot();
        for starting in snapshot.all_starting() {
            gauge!("plugin_starting", "component" => starting.manifest.name.clone()).set(1.0);
        }
        for plugin in snapshot.plugins() {
            let revision = &plugin.revision;
            let gauge = |name: &'static str| gauge!(name, "component" => revision.name().to_owned());
            let canary = plugin.canary.as_ref().map(|canary| &canary.revision);
            let both = || std::iter::once(revision).chain(canary);
            let sum =
                |of: fn(&host_plugin::Revision) -> usize| both().map(|revision| of(revision)).sum::<usize>() as f64;
            gauge("plugin_calls_in_flight")
                .set(both().map(|revision| revision.call_counts().in_flight()).sum::<u64>() as f64);
            gauge("plugin_calls_waiting").set(sum(|revision| revision.waiting()));
            gauge("plugin_calls_limit").set(revision.manifest.limits.concurrency as f64);
            gauge("plugin_instances_warm").set(sum(|revision| revision.warm()));
            let is = |standing| f64::from(u8::from(plugin.standing == standing));
            gauge("plugin_starting").set(0.0);
            gauge("plugin_paused").set(is(Standing::Paused));
            gauge("plugin_quarantined").set(is(Standing::Quarantined));
        }
    }
}

/// Gauges of the process. Only Linux has them.
fn process() {
    if let Some(bytes) = resident_bytes(&fs::read_to_string("/proc/self/status").unwrap_or_default()) {
        gauge!("process_resident_memory_bytes").set(bytes as f64);
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        gauge!("process_open_fds").set(files.count() as f64);
    }
}

fn resident_bytes(status: &str) -> Option<u64> {
    let kib: u64 =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_as_linux_writes_it() {
        assert_eq!(resident_bytes("VmPeak:\t 9 kB\nVmRSS:\t    2048 kB\nThreads:\t1\n"), Some(2 << 20));
        assert_eq!(resident_bytes("Threads:\t1\n"), None);
        assert!(fs::read_to_string("/proc/self/status").is_ok_and(|status| resident_bytes(&status) > Some(1 << 20)));
    }
}
