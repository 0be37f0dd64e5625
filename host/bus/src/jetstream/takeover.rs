//! What hosts hand over to the one that carries a component's events: a request
//! of NATS itself, answered by whoever has taken it over. The broker says at
//! once if that is nobody.

use super::{
    super::{BusError, Nothing, Takeover},
    connection::Link,
};
use async_nats::Subscriber;
use async_trait::async_trait;
use futures::StreamExt;
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// The database is asked to tell that host then.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

pub(super) async fn hand_over(link: &Link, component: &str, what: Vec<u8>) -> Result<(), BusError> {
    link.require()?;
    let taken = link.client.request(link.names.takeover(component), what.into());
    timeout(LONGEST_WAIT, taken).await.map_err(failed)?.map(drop).map_err(failed)
}

pub(super) async fn takeover(link: &Arc<Link>, component: &str) -> Box<dyn Takeover> {
    match link.client.subscribe(link.names.takeover(component)).await {
        Ok(messages) => Box::new(Handed { link: link.clone(), messages }),
        Err(error) => {
            tracing::debug!(component, %error, "other hosts tell the database");
            Box::new(Nothing)
        }
    }
}

struct Handed {
    link: Arc<Link>,
    messages: Subscriber,
}

#[async_trait]
impl Takeover for Handed {
    async fn next(&mut self) -> Vec<u8> {
        let Some(message) = self.messages.next().await else { return std::future::pending().await };
        if let Some(reply) = message.reply
            && let Err(error) = self.link.client.publish(reply, Vec::new().into()).await
        {
            tracing::debug!(%error, "the other host tells the database as well");
        }
        message.payload.into()
    }
}

fn failed(error: impl std::fmt::Display) -> BusError {
    BusError(error.to_string())
}
