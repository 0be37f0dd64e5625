//! Forwards payloads to the host that relays a component's events. A forward is
//! a request of core NATS, and the receiving host answers it. If no host
//! receives, the broker says so at once.

use super::{
    super::{BusError, ForwardReceiver, NeverReceives},
    connection::Connection,
};
use async_nats::Subscriber;
use async_trait::async_trait;
use futures::StreamExt;
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// After this time the caller notifies the other host through the database.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) async fn forward(connection: &Connection, component: &str, payload: Vec<u8>) -> Result<(), BusError> {
    connection.require_available()?;
    let answer = connection.client.request(connection.names.forwarding_subject(component), payload.into());
    timeout(ANSWER_TIMEOUT, answer).await.map_err(failed)?.map(drop).map_err(failed)
}

pub(super) async fn receive_forwarded(connection: &Arc<Connection>, component: &str) -> Box<dyn ForwardReceiver> {
    match connection.client.subscribe(connection.names.forwarding_subject(component)).await {
        Ok(messages) => {
            Box::new(Subscription { component: component.to_owned(), connection: connection.clone(), messages })
        }
        Err(error) => {
            tracing::debug!(component, %error, "this host receives no forwarded events; other hosts use the database");
            Box::new(NeverReceives)
        }
    }
}

struct Subscription {
    component: String,
    connection: Arc<Connection>,
    messages: Subscriber,
}

#[async_trait]
impl ForwardReceiver for Subscription {
    async fn next(&mut self) -> Vec<u8> {
        let Some(message) = self.messages.next().await else { return std::future::pending().await };
        if let Some(reply) = message.reply
            && let Err(error) = self.connection.client.publish(reply, Vec::new().into()).await
        {
            tracing::debug!(
                component = self.component,
                %error,
                "the other host got no answer and also uses the database"
            );
        }
        message.payload.into()
    }
}

fn failed(error: impl std::fmt::Display) -> BusError {
    BusError(error.to_string())
}
