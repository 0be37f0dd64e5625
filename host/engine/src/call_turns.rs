//! The turns that a call holds while it runs: one of its component and one of the
//! host.
//!
//! A call that waits for a signal or for another host gives both back, and takes
//! a place among the calls that wait. So the handler of the event that it waits
//! for runs at any concurrency. The places are limited, because each such call
//! keeps an instance.

use super::{Admission, Failure, Patience, admission::WaitingPlace};
use async_trait::async_trait;
use host_capabilities::requests::TurnsAside;
use host_store::{Error, HeldTurns};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// The turns of one call. Dropping it gives back what it holds.
pub struct CallTurns {
    component: Arc<Admission>,
    host: Arc<Admission>,
    held: Mutex<Held>,
    /// A component of `wasi:http` can wait for several responses at once. The first
    /// one that is there takes the turns again.
    taking: tokio::sync::Mutex<()>,
}

/// The parts are only there to be dropped.
enum Held {
    Turns { _component: OwnedSemaphorePermit, _host: OwnedSemaphorePermit },
    Places { _component: WaitingPlace, _host: WaitingPlace },
}

impl CallTurns {
    /// Waits for the turns. A call takes the component's turn before the host's,
    /// so a component with a full queue holds no turn of the host.
    ///
    /// # Errors
    /// [`Failure::Busy`], see [`Admission::enter`].
    pub async fn enter(component: &Arc<Admission>, host: &Arc<Admission>, patience: Patience) -> Result<Self, Failure> {
        let held = take(component, host, patience).await?;
        let (component, host) = (component.clone(), host.clone());
        Ok(Self { component, host, held: Mutex::new(held), taking: tokio::sync::Mutex::default() })
    }
}

async fn take(component: &Arc<Admission>, host: &Arc<Admission>, patience: Patience) -> Result<Held, Failure> {
    let of_component = component.enter(patience).await?;
    let of_host = host.enter(patience).await?;
    Ok(Held::Turns { _component: of_component, _host: of_host })
}

impl CallTurns {
    fn has_turns(&self) -> bool {
        matches!(*self.held.lock(), Held::Turns { .. })
    }

    fn set_aside(&self) -> bool {
        if !self.has_turns() {
            return true;
        }
        let (Some(component), Some(host)) = (self.component.wait_aside(), self.host.wait_aside()) else { return false };
        *self.held.lock() = Held::Places { _component: component, _host: host };
        true
    }

    /// The call waits without a limit of its own, because it is half done. Its
    /// deadline ends it.
    async fn take_up(&self) -> Result<(), Failure> {
        let _taking = self.taking.lock().await;
        if self.has_turns() {
            return Ok(());
        }
        // It keeps its places meanwhile, because it keeps its instance. Nobody
        // waits for a place.
        let turns = take(&self.component, &self.host, Patience::Worker).await?;
        *self.held.lock() = turns;
        Ok(())
    }
}

/// A call that waits for a signal.
#[async_trait]
impl HeldTurns for CallTurns {
    fn give_back(&self) -> bool {
        self.set_aside()
    }

    async fn take_again(&self) -> Result<(), Error> {
        self.take_up().await.map_err(|failure| Error::Unavailable(failure.to_string()))
    }
}

/// A call that waits for another host.
#[async_trait]
impl TurnsAside for CallTurns {
    fn give_back(&self) -> bool {
        self.set_aside()
    }

    async fn take_again(&self) -> Result<(), String> {
        self.take_up().await.map_err(|failure| failure.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    fn admission(limit: usize) -> Arc<Admission> {
        Arc::new(Admission::new("x", limit, 1, Duration::from_secs(5)))
    }

    async fn enter(component: &Arc<Admission>, host: &Arc<Admission>) -> CallTurns {
        let entered = timeout(Duration::from_secs(5), CallTurns::enter(component, host, Patience::Worker));
        entered.await.expect("there is a turn").ok().unwrap()
    }

    #[tokio::test]
    async fn another_call_runs_while_one_waits_at_a_concurrency_of_one() {
        let (component, host) = (admission(1), admission(1));
        let waiting = enter(&component, &host).await;
        assert!(waiting.set_aside());
        assert_eq!((component.in_flight(), host.in_flight()), (0, 0));
        let other = enter(&component, &host).await;
        assert!(timeout(Duration::from_millis(50), waiting.take_up()).await.is_err(), "the turn is taken");
        drop(other);
        waiting.take_up().await.ok().unwrap();
        assert_eq!((component.in_flight(), host.in_flight()), (1, 1));
        drop(waiting);
        assert_eq!((component.in_flight(), host.in_flight()), (0, 0));
    }

    #[tokio::test]
    async fn a_call_that_waits_for_two_responses_takes_its_turn_once() {
        let (component, host) = (admission(1), admission(1));
        let waiting = enter(&component, &host).await;
        assert!(waiting.set_aside() && waiting.set_aside());
        let both = async { tokio::join!(waiting.take_up(), waiting.take_up()) };
        let (one, two) = timeout(Duration::from_secs(5), both).await.expect("it waits for no turn of its own");
        assert!(one.is_ok() && two.is_ok());
        assert_eq!((component.in_flight(), host.in_flight()), (1, 1));
    }

    #[tokio::test]
    async fn a_call_over_the_limit_of_waiting_calls_keeps_its_turn() {
        let (component, host) = (Arc::new(Admission::new("x", 1, 1, Duration::ZERO).waiting_aside(2)), admission(8));
        let mut waiting = Vec::new();
        for _ in 0..2 {
            let turns = enter(&component, &host).await;
            assert!(turns.set_aside());
            waiting.push(turns);
        }
        let third = enter(&component, &host).await;
        assert!(!third.set_aside());
        assert_eq!((component.in_flight(), host.in_flight()), (1, 1), "it still has its turns");
        waiting.pop();
        assert!(third.set_aside(), "a call that ends while it waits leaves its place");
    }
}
