//! `wasi:clocks`: components have the host's time of day, see
//! [`host_base::clock`].

use host_base::clock;
use std::time::Duration;
use wasmtime_wasi::clocks::HostWallClock;

const RESOLUTION: Duration = Duration::from_millis(1);

/// The host's time of day, as a component sees it.
pub(super) struct HostTime;

impl HostWallClock for HostTime {
    fn now(&self) -> Duration {
        clock::now()
    }

    fn resolution(&self) -> Duration {
        RESOLUTION
    }
}
