//! The time until the host is ready with a warm compile cache, and its memory
//! then.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::load::{Effort, quantile};
use crate::server::Setup;

/// The host is idle after this time.
const SETTLE: Duration = Duration::from_secs(2);

pub(crate) struct Start {
    pub(crate) seconds: f64,
    pub(crate) resident_mib: f64,
}

pub(crate) async fn measure(effort: Effort) -> Result<Start> {
    let setup = Setup::new("")?;
    // The first start fills the compile cache and makes the tables.
    setup.start().await?.stop().await?;
    let (mut seconds, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..effort.starts {
        let begun = Instant::now();
        let host = setup.start().await?;
        seconds.push(begun.elapsed().as_secs_f64());
        tokio::time::sleep(SETTLE).await;
        memory.push(host.resident_mib()?);
        host.stop().await?;
    }
    Ok(Start { seconds: quantile(&mut seconds, 0.5)?, resident_mib: quantile(&mut memory, 1.0)? })
}
