//! The published events as a subscription of core NATS. The stream knows nothing of
//! it, and the client drops messages that a slow reader does not take.

use super::{connection::Connection, message};
use crate::{
    BusError,
    tail::{EventTail, TailedEvent, TailedItem},
};
use async_nats::Subscriber;
use async_trait::async_trait;
use futures::StreamExt;
use host_base::clock::now_ms;

pub(super) async fn open(connection: &Connection) -> Result<Box<dyn EventTail>, BusError> {
    connection.require_available()?;
    let prefix = connection.names.event_subject("");
    let subscribed = connection.client.subscribe(format!("{prefix}>")).await;
    let messages = subscribed.map_err(|error| BusError(error.to_string()))?;
    // Then the broker knows of the subscription.
    connection.client.flush().await.map_err(|error| BusError(error.to_string()))?;
    Ok(Box::new(Reader { prefix, messages }))
}

struct Reader {
    prefix: String,
    messages: Subscriber,
}

#[async_trait]
impl EventTail for Reader {
    async fn next(&mut self) -> Option<TailedItem> {
        loop {
            let message = self.messages.next().await?;
            let subject = message.subject.strip_prefix(&self.prefix).unwrap_or(&message.subject);
            // A message that is no event reaches no component either.
            if let Ok(event) = message::live(subject, &message, now_ms()) {
                return Some(TailedItem::Event(TailedEvent::of(&event)));
            }
        }
    }
}
