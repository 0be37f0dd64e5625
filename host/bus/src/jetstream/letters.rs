//! The dead letters: a message each in a stream of their own, under a subject
//! that its id makes, so that another one with the same id replaces it. The
//! body is the payload as it was, a header has the rest.

use super::{
    super::{BusError, DeadLetter},
    connection::{CALL_TIMEOUT, Link},
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

const LETTER: &str = "dead-letter";

pub(super) async fn keep(link: &Link, letter: &DeadLetter) -> Result<(), BusError> {
    link.require()?;
    let (rest, body) = (DeadLetter { payload: Vec::new(), ..letter.clone() }, letter.payload.clone());
    // JSON of one line, as a header has to be.
    let rest: HeaderValue = serde_json::to_string(&rest).map_err(failed)?.parse().map_err(failed)?;
    let message = PublishMessage::build().payload(body.into()).header(LETTER, rest);
    let taken = link.context.send_publish(link.names.dead_letter(&letter.id), message).await.map_err(failed)?;
    taken.await.map(drop).map_err(failed)
}

/// The newest ones. They are read from the end of the stream, in portions,
/// because nobody knows how many of its numbers are still there.
pub(super) async fn list(link: &Link, limit: usize) -> Result<Vec<DeadLetter>, BusError> {
    let stream = stream(link).await?;
    let state = &stream.cached_info().state;
    let (mut letters, mut end, mut portion) = (Vec::new(), state.last_sequence, limit as u64);
    while end >= state.first_sequence.max(1) && letters.len() < limit {
        let start = end.saturating_sub(portion.saturating_sub(1)).max(state.first_sequence).max(1);
        letters.extend(between(&stream, start, end).await?);
        end = start - 1;
        portion = portion.saturating_mul(2);
    }
    letters.sort_by(|one, other| {
        let age = |letter: &DeadLetter| (letter.set_aside_ms, letter.id.clone());
        Reverse(age(one)).cmp(&Reverse(age(other)))
    });
    letters.truncate(limit);
    Ok(letters)
}

async fn between(stream: &Stream, start: u64, end: u64) -> Result<Vec<DeadLetter>, BusError> {
    let deliver_policy = DeliverPolicy::ByStartSequence { start_sequence: start };
    let config = OrderedConfig { deliver_policy, ..OrderedConfig::default() };
    let reader = stream.create_consumer(config).await.map_err(failed)?;
    let mut left = reader.cached_info().num_pending;
    let mut messages = reader.messages().await.map_err(failed)?;
    let mut letters = Vec::new();
    while left > 0 {
        let next = timeout(CALL_TIMEOUT, messages.next()).await.map_err(failed)?;
        let message = next.ok_or_else(|| BusError("the stream ended".to_owned()))?.map_err(failed)?;
        let info = message.info().map_err(failed)?;
        if info.stream_sequence > end {
            break;
        }
        left = info.pending;
        letters.extend(read(message.headers.as_ref(), &message.payload));
    }
    Ok(letters)
}

/// None for what is no dead letter; only the host should have written here.
fn read(headers: Option<&HeaderMap>, body: &[u8]) -> Option<DeadLetter> {
    let letter: DeadLetter = serde_json::from_str(headers?.get(LETTER)?.as_str())
        .inspect_err(|error| tracing::warn!(%error, "a dead letter cannot be read"))
        .ok()?;
    Some(DeadLetter { payload: body.to_vec(), ..letter })
}

pub(super) async fn find(link: &Link, id: &str) -> Result<Option<DeadLetter>, BusError> {
    let message = stored(link, &stream(link).await?, id).await?;
    Ok(message.and_then(|message| read(Some(&message.headers), &message.payload)))
}

pub(super) async fn delete(link: &Link, id: &str) -> Result<bool, BusError> {
    let stream = stream(link).await?;
    let Some(StreamMessage { sequence, .. }) = stored(link, &stream, id).await? else { return Ok(false) };
    match stream.delete_message(sequence).await {
        Ok(deleted) => Ok(deleted),
        // Somebody else was faster.
        Err(error) => match error.kind() {
            DeleteMessageErrorKind::JetStream(cause)
                if [ErrorCode::SEQUENCE_NOT_FOUND, ErrorCode::NO_MESSAGE_FOUND].contains(&cause.error_code()) =>
            {
                Ok(false)
            }
            _ => Err(failed(error)),
        },
    }
}

pub(super) async fn count(link: &Link) -> Result<u64, BusError> {
    Ok(stream(link).await?.cached_info().state.messages)
}

async fn stored(link: &Link, stream: &Stream, id: &str) -> Result<Option<StreamMessage>, BusError> {
    if id.is_empty() {
        return Ok(None);
    }
    match stream.get_last_raw_message_by_subject(&link.names.dead_letter(id)).await {
        Ok(message) => Ok(Some(message)),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

async fn stream(link: &Link) -> Result<Stream, BusError> {
    link.require()?;
    link.context.get_stream(link.names.dead_letters()).await.map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> BusError {
    BusError(error.to_string())
}
