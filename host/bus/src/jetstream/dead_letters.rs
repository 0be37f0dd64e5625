//! The dead letters of the bus. Each is one message in a separate stream. Its
//! subject contains its component and its id, so a dead letter with the same id
//! replaces it, and the broker can keep the newest of each component. The body is
//! the original payload, and a header contains all other fields.

use super::{
    super::{BusError, DeadLetter, DeadLetterPage, DeadLetterSummary},
    connection::{CALL_TIMEOUT, Connection},
    message::SIZE_HEADER,
};
use async_nats::{
    HeaderMap, HeaderValue,
    jetstream::{
        ErrorCode,
        consumer::{DeliverPolicy, pull::OrderedConfig},
        message::{PublishMessage, StreamMessage},
        stream::{DeleteMessageErrorKind, LastRawMessageErrorKind, Stream},
    },
};
use futures::StreamExt;
use std::cmp::Reverse;
use tokio::time::timeout;

const DEAD_LETTER_HEADER: &str = "dead-letter";
/// The most sequence numbers that are read at once.
const MAX_PORTION: u64 = 10_000;

pub(super) async fn store(connection: &Connection, letter: &DeadLetter) -> Result<(), BusError> {
    connection.require_available()?;
    let (fields, body) = (DeadLetter { payload: Vec::new(), ..letter.clone() }, letter.payload.clone());
    // A header must be one line, as this JSON is.
    let fields: HeaderValue = serde_json::to_string(&fields).map_err(failed)?.parse().map_err(failed)?;
    let message = PublishMessage::build().payload(body.into()).header(DEAD_LETTER_HEADER, fields);
    let ack = connection
        .context
        .send_publish(connection.names.dead_letter_subject(&letter.component, &letter.id), message)
        .await
        .map_err(failed)?;
    ack.await.map(drop).map_err(failed)
}

/// The newest dead letters of a page. The function reads portions from the end
/// of the stream, because an unknown number of the sequence numbers is deleted.
pub(super) async fn list(connection: &Connection, page: &DeadLetterPage) -> Result<Vec<DeadLetterSummary>, BusError> {
    let stream = stream(connection).await?;
    let state = &stream.cached_info().state;
    let limit = usize::try_from(page.limit_rows).unwrap_or(usize::MAX);
    let (mut letters, mut end, mut portion) = (Vec::new(), state.last_sequence, u64::from(page.limit_rows));
    while end >= state.first_sequence.max(1) && letters.len() < limit {
        let start = end.saturating_sub(portion.saturating_sub(1)).max(state.first_sequence).max(1);
        letters.extend(read_range(&stream, start, end).await?.into_iter().filter(|letter| page.has(letter)));
        end = start - 1;
        portion = portion.saturating_mul(2).min(MAX_PORTION);
    }
    letters.sort_by(|one, other| {
        let order = |letter: &DeadLetterSummary| (letter.set_aside_ms, letter.id.clone());
        Reverse(order(one)).cmp(&Reverse(order(other)))
    });
    letters.truncate(limit);
    Ok(letters)
}

/// Reads the headers alone, because the payloads can be large.
async fn read_range(stream: &Stream, start: u64, end: u64) -> Result<Vec<DeadLetterSummary>, BusError> {
    let deliver_policy = DeliverPolicy::ByStartSequence { start_sequence: start };
    let config = OrderedConfig { deliver_policy, headers_only: true, ..OrderedConfig::default() };
    let reader = stream.create_consumer(config).await.map_err(failed)?;
    let mut remaining = reader.cached_info().num_pending;
    let mut messages = reader.messages().await.map_err(failed)?;
    let mut letters = Vec::new();
    while remaining > 0 {
        let next = timeout(CALL_TIMEOUT, messages.next()).await.map_err(failed)?;
        let message = next.ok_or_else(|| BusError("the stream ended".to_owned()))?.map_err(failed)?;
        let info = message.info().map_err(failed)?;
        if info.stream_sequence > end {
            break;
        }
        remaining = info.pending;
        letters.extend(summary(message.headers.as_ref()));
    }
    Ok(letters)
}

fn summary(headers: Option<&HeaderMap>) -> Option<DeadLetterSummary> {
    let letter = read(headers, &[])?;
    let size = headers?.get(SIZE_HEADER).and_then(|size| size.as_str().parse().ok());
    Some(letter.summary(size.unwrap_or_default()))
}

/// None if the message is no dead letter. Only hosts should write to this
/// stream.
fn read(headers: Option<&HeaderMap>, body: &[u8]) -> Option<DeadLetter> {
    let letter: DeadLetter = serde_json::from_str(headers?.get(DEAD_LETTER_HEADER)?.as_str())
        .inspect_err(|error| tracing::warn!(%error, "the host cannot read a dead letter"))
        .ok()?;
    Some(DeadLetter { payload: body.to_vec(), ..letter })
}

pub(super) async fn find(connection: &Connection, id: &str) -> Result<Option<DeadLetter>, BusError> {
    let message = stored_message(connection, &stream(connection).await?, id).await?;
    Ok(message.and_then(|message| read(Some(&message.headers), &message.payload)))
}

/// Deletes the oldest dead letters of a component above this number. Returns how
/// many.
pub(super) async fn keep_newest(connection: &Connection, component: &str, most: u64) -> Result<u64, BusError> {
    let stream = connection.context.get_stream_no_info(connection.names.dead_letter_stream()).await.map_err(failed)?;
    let purged = stream.purge().filter(connection.names.dead_letters_of(component)).keep(most).await;
    Ok(purged.map_err(failed)?.purged)
}

pub(super) async fn delete(connection: &Connection, id: &str) -> Result<bool, BusError> {
    let stream = stream(connection).await?;
    let mut is_deleted = false;
    while let Some(StreamMessage { sequence, .. }) = stored_message(connection, &stream, id).await? {
        match stream.delete_message(sequence).await {
            Ok(deleted) => is_deleted |= deleted,
            Err(error) => match error.kind() {
                // Another host has deleted it first.
                DeleteMessageErrorKind::JetStream(cause)
                    if [ErrorCode::SEQUENCE_NOT_FOUND, ErrorCode::NO_MESSAGE_FOUND].contains(&cause.error_code()) => {}
                _ => return Err(failed(error)),
            },
        }
    }
    Ok(is_deleted)
}

pub(super) async fn count(connection: &Connection) -> Result<u64, BusError> {
    Ok(stream(connection).await?.cached_info().state.messages)
}

async fn stored_message(connection: &Connection, stream: &Stream, id: &str) -> Result<Option<StreamMessage>, BusError> {
    if id.is_empty() {
        return Ok(None);
    }
    for subject in [connection.names.dead_letter_subject("*", id), connection.names.old_dead_letter_subject(id)] {
        match stream.get_last_raw_message_by_subject(&subject).await {
            Ok(message) => return Ok(Some(message)),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(None)
}

async fn stream(connection: &Connection) -> Result<Stream, BusError> {
    connection.require_available()?;
    connection.context.get_stream(connection.names.dead_letter_stream()).await.map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> BusError {
    BusError(error.to_string())
}
