//! The instructions of the host for one piece of work. valgrind counts them, so the
//! count does not depend on what else the machine does, as a time does. It has no
//! instructions of the kernel.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use crate::client::{Connection, request};
use crate::market;
use crate::report::Row;
use crate::server::{Server, Setup};

/// The counts of the last commit that changed one, for the build that the benchmarks use.
const HELLO: f64 = 48_500.0;
const TICKET: f64 = 1_715_000.0;

/// valgrind cannot reserve the addresses of a full pool of instances.
const SMALL_POOL: &str = "[engine]\nmax_instances = 12\nmax_memory_mib = 16\n";
const WARM_UP: usize = 300;
const REQUESTS: usize = 1_000;
const TICKETS: usize = 100;

/// Fails where valgrind is not installed.
pub(crate) async fn check_tools() -> Result<()> {
    let mut command = Command::new("valgrind");
    let status = command.arg("--version").stdout(Stdio::null()).status().await;
    let status = status.context("valgrind is not installed: `apt install valgrind`, or name other benchmarks")?;
    ensure!(status.success(), "valgrind does not run");
    Ok(())
}

pub(crate) async fn measure() -> Result<Vec<Row>> {
    Ok(vec![
        Row::count("instructions of a hello request", hello().await?, HELLO),
        Row::count("instructions of a new ticket, with its event and the handler of it", ticket().await?, TICKET),
    ])
}

async fn hello() -> Result<f64> {
    let counted = Counted::start(Setup::of_guest("hello", &[])?).await?;
    let mut connection = Connection::open(counted.host.address).await?;
    let hello = request("GET", "/hello", None, None);
    for _ in 0..WARM_UP {
        connection.send(&hello).await?.expect(200)?;
    }
    counted.zero().await?;
    for _ in 0..REQUESTS {
        connection.send(&hello).await?.expect(200)?;
    }
    counted.each_of(REQUESTS).await
}

async fn ticket() -> Result<f64> {
    let counted = Counted::start(Setup::new("")?).await?;
    let mut connection = Connection::open(counted.host.address).await?;
    let seller = market::sign_up(&mut connection, "seller@example.com").await?;
    let buyer = market::sign_up(&mut connection, "buyer@example.com").await?;
    offer(&mut connection, &seller, &buyer).await?;
    counted.zero().await?;
    offer(&mut connection, &seller, &buyer).await?;
    counted.each_of(TICKETS).await
}

/// Offers the tickets one after another, and waits until all their events have been
/// handled: the last ticket can be ordered.
async fn offer(connection: &mut Connection, seller: &str, buyer: &str) -> Result<()> {
    let mut last = String::new();
    for seat in 0..TICKETS {
        last = market::offer(connection, seller, seat).await?;
    }
    market::reserve(connection, buyer, &last).await?;
    Ok(())
}

/// A host under valgrind.
struct Counted {
    host: Server,
    setup: Setup,
}

impl Counted {
    async fn start(setup: Setup) -> Result<Self> {
        let setup = setup.and(SMALL_POOL)?;
        // Under valgrind the host cannot start its compiler. The first start keeps the compiled code.
        setup.start().await?.stop().await?;
        let counts = setup.folder().join("counts");
        let valgrind = ["valgrind".to_owned(), "--tool=callgrind".to_owned()];
        let setup = setup.under(valgrind.into_iter().chain([format!("--callgrind-out-file={}", counts.display())]));
        Ok(Self { host: setup.start().await?, setup })
    }

    /// Counts from now on.
    async fn zero(&self) -> Result<()> {
        self.control("--zero").await
    }

    /// The instructions since the zero for each piece of this work. The host ends.
    async fn each_of(self, pieces: usize) -> Result<f64> {
        self.control("--dump").await?;
        let total = total(self.setup.folder().join("counts.1"))?;
        self.host.stop().await?;
        Ok(total / pieces as f64)
    }

    async fn control(&self, command: &str) -> Result<()> {
        let id = self.host.id()?.to_string();
        let output = Command::new("callgrind_control").args([command, &id]).output().await?;
        ensure!(output.status.success(), "callgrind_control {command}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}

/// The line `totals: COUNT` of a dump.
fn total(dump: PathBuf) -> Result<f64> {
    let text = fs::read_to_string(&dump).with_context(|| format!("{} cannot be read", dump.display()))?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: ")).context("a dump without a total")?;
    Ok(total.trim().parse()?)
}
