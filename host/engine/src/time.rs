//! `wasi:clocks`: components have the host's time of day, see
//! [`host_base::clock`].

use host_base::clock;
use std::time::Duration;
use wasmtime::component::HasData;
use wasmtime_wasi::{
    clocks::HostWallClock,
    p2::bindings::clocks::wall_clock::{Datetime, Host},
};

const RESOLUTION: Duration = Duration::from_millis(1);

/// The host's time of day, as a component sees it.
pub(super) struct HostTime;

/// Ties [`HostTime`] to the linker.
pub(super) struct HasHostTime;

impl HasData for HasHostTime {
    type Data<'a> = HostTime;
}

impl Host for HostTime {
    fn now(&mut self) -> wasmtime::Result<Datetime> {
        Ok(datetime(clock::now()))
    }

    fn resolution(&mut self) -> wasmtime::Result<Datetime> {
        Ok(datetime(RESOLUTION))
    }
}

/// The same for `wasi:http` components.
impl HostWallClock for HostTime {
    fn now(&self) -> Duration {
        clock::now()
    }

    fn resolution(&self) -> Duration {
        RESOLUTION
    }
}

fn datetime(duration: Duration) -> Datetime {
    Datetime { seconds: duration.as_secs(), nanoseconds: duration.subsec_nanos() }
}
