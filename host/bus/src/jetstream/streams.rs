//! The two streams: made, and kept as the settings say.

use super::connection::Link;
use async_nats::jetstream::{
    ErrorCode,
    context::{CreateStreamError, CreateStreamErrorKind, GetStreamErrorKind},
    stream::{Config, DiscardPolicy, RetentionPolicy, StorageType},
};
use std::collections::HashMap;

/// In a stream's metadata: whose it is.
const INSTALLATION: &str = "installation";
/// Consumers with several filters are of this version.
const OLDEST_SERVER: (i64, i64, i64) = (2, 10, 0);

/// Why the streams cannot be used.
pub(super) enum EnsureError {
    /// It may go away by itself.
    Failed(String),
    /// It will not.
    Refused(String),
}

/// Makes the streams, or changes what the settings want otherwise.
pub(super) async fn ensure(link: &Link) -> Result<(), EnsureError> {
    let (major, minor, patch) = OLDEST_SERVER;
    let version = link.client.server_info().version;
    if version.is_empty() {
        // The connection is there a moment before the client knows to what.
        return Err(EnsureError::Failed("the server has not said yet what it is".to_owned()));
    }
    if !link.client.is_server_compatible(major, minor, patch) {
        return Err(EnsureError::Refused(format!("its version {version} is too old: {major}.{minor} is needed")));
    }
    for wanted in [events(link), dead_letters(link)] {
        ensure_one(link, wanted).await?;
    }
    Ok(())
}

fn events(link: &Link) -> Config {
    Config {
        name: link.names.events(),
        description: Some("Events between components".to_owned()),
        subjects: link.names.of_events(),
        max_age: link.retention,
        max_bytes: link.settings.max_bytes.unwrap_or(-1),
        duplicate_window: link.settings.deduplication.min(link.retention),
        max_messages_per_subject: -1,
        ..common(link)
    }
}

/// One message for each letter, which a later one with the same id replaces.
fn dead_letters(link: &Link) -> Config {
    Config {
        name: link.names.dead_letters(),
        description: Some("Events and timers that could not be handled".to_owned()),
        subjects: link.names.of_dead_letters(),
        max_bytes: -1,
        max_messages_per_subject: 1,
        ..common(link)
    }
}

fn common(link: &Link) -> Config {
    Config {
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        // A full stream refuses what is new, which then waits where it comes
        // from; it forgets nothing that somebody may be waiting for.
        discard: DiscardPolicy::New,
        num_replicas: link.settings.stream_replicas,
        allow_direct: true,
        metadata: HashMap::from([(INSTALLATION.to_owned(), link.installation.clone())]),
        ..Config::default()
    }
}

async fn ensure_one(link: &Link, wanted: Config) -> Result<(), EnsureError> {
    let name = wanted.name.clone();
    let failed = |error: &dyn std::fmt::Display| EnsureError::Failed(format!("the stream {name}: {error}"));
    let known = match link.context.get_stream(&wanted.name).await {
        Ok(stream) => stream.cached_info().config.clone(),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(cause) if cause.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                link.context.create_stream(&wanted).await.map_err(|error| creation(&name, &error))?;
                return Ok(());
            }
            _ => return Err(failed(&error)),
        },
    };
    let owner = known.metadata.get(INSTALLATION);
    if owner != Some(&link.installation) {
        let prefix = &link.settings.subject_prefix;
        return Err(EnsureError::Refused(format!(
            "the stream {name} belongs to another installation: set messaging.nats.subject_prefix to something else \
             than {prefix}"
        )));
    }
    // Hosts of another version may write what this one does not know of.
    let mut subjects = known.subjects.clone();
    subjects.extend(wanted.subjects.into_iter().filter(|subject| !known.subjects.contains(subject)));
    let mut metadata = known.metadata.clone();
    metadata.extend(wanted.metadata);
    let changed = Config {
        description: wanted.description,
        subjects,
        max_age: wanted.max_age,
        max_bytes: wanted.max_bytes,
        duplicate_window: if wanted.duplicate_window.is_zero() {
            known.duplicate_window
        } else {
            wanted.duplicate_window
        },
        max_messages_per_subject: wanted.max_messages_per_subject,
        discard: wanted.discard,
        num_replicas: wanted.num_replicas,
        allow_direct: wanted.allow_direct,
        metadata,
        ..known.clone()
    };
    if changed != known {
        link.context.update_stream(&changed).await.map_err(|error| failed(&error))?;
        tracing::info!(stream = name, "the stream was changed to what the settings say");
    }
    Ok(())
}

fn creation(name: &str, error: &CreateStreamError) -> EnsureError {
    match error.kind() {
        CreateStreamErrorKind::JetStreamUnavailable => {
            EnsureError::Failed("JetStream is not switched on, or has no leader".to_owned())
        }
        _ => EnsureError::Failed(format!("the stream {name} cannot be made: {error}")),
    }
}
