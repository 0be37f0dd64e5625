//! Creates the two streams, and updates them when the settings change.

use super::connection::Connection;
use async_nats::jetstream::{
    ErrorCode,
    context::{CreateStreamError, CreateStreamErrorKind, GetStreamErrorKind},
    stream::{Config, DiscardPolicy, RetentionPolicy, StorageType},
};
use std::collections::{BTreeSet, HashMap};

/// The key in a stream's metadata with the installation that owns the stream.
const INSTALLATION: &str = "installation";
/// The first version in which a consumer can have several filters.
const MIN_SERVER_VERSION: (i64, i64, i64) = (2, 10, 0);

/// The reason why the host cannot use the streams.
pub(super) enum EnsureError {
    /// A later attempt may succeed.
    Temporary(String),
    /// An operator has to change the settings or the server.
    Permanent(String),
}

/// Creates the streams, or updates them to the settings.
pub(super) async fn ensure(connection: &Connection) -> Result<(), EnsureError> {
    let (major, minor, patch) = MIN_SERVER_VERSION;
    let version = connection.client.server_info().version;
    if version.is_empty() {
        // The client is connected a moment before it knows the server.
        return Err(EnsureError::Temporary("the server has not sent its version yet".to_owned()));
    }
    if !connection.client.is_server_compatible(major, minor, patch) {
        return Err(EnsureError::Permanent(format!("its version {version} is too old: {major}.{minor} is needed")));
    }
    compare(connection).await
}

/// Compares the streams with the settings. It restores what another program has
/// changed, or notes the problem.
pub(super) async fn compare(connection: &Connection) -> Result<(), EnsureError> {
    for wanted in [events(connection), dead_letters(connection)] {
        ensure_stream(connection, wanted).await?;
    }
    Ok(())
}

fn events(connection: &Connection) -> Config {
    Config {
        name: connection.names.event_stream(),
        description: Some("Events between components".to_owned()),
        subjects: connection.names.event_stream_subjects(),
        max_age: connection.retention,
        max_bytes: connection.settings.max_bytes.unwrap_or(-1),
        duplicate_window: connection.settings.deduplication.min(connection.retention),
        max_messages_per_subject: -1,
        ..common(connection)
    }
}

/// One message for each dead letter. A later one with the same id replaces it.
fn dead_letters(connection: &Connection) -> Config {
    Config {
        name: connection.names.dead_letter_stream(),
        description: Some("Events and timers that could not be handled".to_owned()),
        subjects: connection.names.dead_letter_stream_subjects(),
        max_bytes: -1,
        max_messages_per_subject: 1,
        ..common(connection)
    }
}

fn common(connection: &Connection) -> Config {
    Config {
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        max_messages: -1,
        max_message_size: -1,
        // A full stream refuses new messages, and these wait at their origin. It
        // deletes no message that a consumer may wait for.
        discard: DiscardPolicy::New,
        num_replicas: connection.settings.stream_replicas,
        allow_direct: true,
        metadata: HashMap::from([(INSTALLATION.to_owned(), connection.installation.clone())]),
        ..Config::default()
    }
}

async fn ensure_stream(connection: &Connection, wanted: Config) -> Result<(), EnsureError> {
    let name = wanted.name.clone();
    let failed = |error: &dyn std::fmt::Display| EnsureError::Temporary(format!("the stream {name}: {error}"));
    let known = match connection.context.get_stream(&wanted.name).await {
        Ok(stream) => stream.cached_info().config.clone(),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(cause) if cause.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                connection.context.create_stream(&wanted).await.map_err(|error| create_error(&name, &error))?;
                if connection.was_available() {
                    tracing::warn!(stream = name, "the stream was deleted; the host has created it again");
                }
                return Ok(());
            }
            _ => return Err(failed(&error)),
        },
    };
    let owner = known.metadata.get(INSTALLATION);
    if owner != Some(&connection.installation) {
        let prefix = &connection.settings.subject_prefix;
        return Err(EnsureError::Permanent(format!(
            "the stream {name} belongs to another installation: set messaging.nats.subject_prefix to something else \
             than {prefix}"
        )));
    }
    restore(connection, &known, update(&known, wanted)).await;
    Ok(())
}

/// Gives the stream its settings. If the broker refuses them, the host goes on
/// with the stream and names the problem.
async fn restore(connection: &Connection, known: &Config, wanted: Config) {
    let name = &wanted.name;
    let thing = format!("stream {name}");
    let fields = different_fields(known, &wanted);
    if fields.is_empty() {
        return connection.problems.clear(&thing);
    }
    match connection.context.update_stream(&wanted).await {
        Ok(_) if connection.was_available() => {
            metrics::counter!("bus_repairs_total").increment(1);
            tracing::warn!(stream = name, fields, "another program changed the stream; the host has restored it");
            connection.problems.clear(&thing);
        }
        Ok(_) => {
            tracing::info!(stream = name, fields, "the host updated the stream to the settings");
            connection.problems.clear(&thing);
        }
        Err(error) => {
            let error = connection.rights.explain(&error.to_string());
            connection.problems.set(&thing, format!("the stream {name} needs other settings ({fields}): {error}"));
            restore_the_rest(connection, known, wanted).await;
        }
    }
}

/// Restores the settings beside those that the broker never changes back.
async fn restore_the_rest(connection: &Connection, known: &Config, wanted: Config) {
    let possible = Config {
        retention: known.retention,
        storage: known.storage,
        sealed: known.sealed,
        deny_delete: known.deny_delete,
        deny_purge: known.deny_purge,
        mirror: known.mirror.clone(),
        ..wanted
    };
    let fields = different_fields(known, &possible);
    if !fields.is_empty() && connection.context.update_stream(&possible).await.is_ok() {
        metrics::counter!("bus_repairs_total").increment(1);
        tracing::warn!(stream = possible.name, fields, "the host has restored a part of the stream's settings");
    }
}

/// The names of the settings in which two configurations differ.
fn different_fields(one: &Config, other: &Config) -> String {
    let fields = |config| serde_json::to_value(config).unwrap_or_default();
    let (one, other) = (fields(one), fields(other));
    let names: BTreeSet<&String> =
        [&one, &other].iter().filter_map(|value| value.as_object()).flat_map(|fields| fields.keys()).collect();
    let differs = |name: &&String| one.get(name.as_str()) != other.get(name.as_str());
    names.into_iter().filter(differs).map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// The configuration of an existing stream with all that this host relies on. It
/// keeps what hosts of another version use, and what an operator may choose, such
/// as the compression and the placement.
fn update(known: &Config, wanted: Config) -> Config {
    let mut subjects = known.subjects.clone();
    subjects.extend(wanted.subjects.into_iter().filter(|subject| !known.subjects.contains(subject)));
    let mut metadata = known.metadata.clone();
    metadata.extend(wanted.metadata);
    Config {
        description: wanted.description,
        subjects,
        retention: wanted.retention,
        max_age: wanted.max_age,
        max_bytes: wanted.max_bytes,
        max_messages: wanted.max_messages,
        max_message_size: wanted.max_message_size,
        duplicate_window: if wanted.duplicate_window.is_zero() {
            known.duplicate_window
        } else {
            wanted.duplicate_window
        },
        max_messages_per_subject: wanted.max_messages_per_subject,
        storage: wanted.storage,
        discard: wanted.discard,
        discard_new_per_subject: false,
        num_replicas: wanted.num_replicas,
        no_ack: false,
        sealed: false,
        deny_delete: false,
        deny_purge: false,
        allow_rollup: false,
        mirror: None,
        subject_transform: None,
        consumer_limits: None,
        pause_until: None,
        allow_direct: wanted.allow_direct,
        metadata,
        ..known.clone()
    }
}

fn create_error(name: &str, error: &CreateStreamError) -> EnsureError {
    match error.kind() {
        CreateStreamErrorKind::JetStreamUnavailable => {
            EnsureError::Temporary("JetStream is not enabled, or has no leader".to_owned())
        }
        _ => EnsureError::Temporary(format!("the stream {name} cannot be created: {error}")),
    }
}
