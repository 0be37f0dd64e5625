//! The texts of a log line. Each format has one place that escapes the texts of others
//! than the host, in messages and in fields.

use host_base::printable::{Printable, acts, is_plain};
use std::{
    fmt::{self, Write as _},
    io::{self, Write},
    time::SystemTime,
};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_log::NormalizeEvent;
use tracing_subscriber::{
    field::RecordFields,
    fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, format::Writer},
    registry::{LookupSpan, Scope},
};

/// A line in the text format: the time in UTC, the level, the spans, the target and the
/// fields. It looks like the format `Full` of tracing-subscriber, which takes four times as
/// many instructions for the same.
#[derive(Debug)]
pub(super) struct TextLine;

impl<S, N> FormatEvent<S, N> for TextLine
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'fields> FormatFields<'fields> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let of_log_crate = event.normalized_metadata();
        let metadata = of_log_crate.as_ref().unwrap_or_else(|| event.metadata());
        let style = |code: &'static str| if writer.has_ansi_escapes() { code } else { "" };
        let (bold, dim, plain) = (style("\x1b[1m"), style("\x1b[2m"), style("\x1b[0m"));
        let (level, colour) = level(*metadata.level());
        let mut head = String::with_capacity(HEAD_BYTES);
        head.push_str(dim);
        write!(head, "{}", humantime::format_rfc3339_micros(SystemTime::now()))?;
        push(&mut head, [plain, " ", style(colour), level, plain, " "]);
        let spans = context.event_scope().into_iter().flat_map(Scope::from_root);
        let mut has_spans = false;
        for span in spans {
            push(&mut head, [bold, span.metadata().name(), plain]);
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<N>>().filter(|fields| !fields.is_empty());
            if let Some(fields) = fields {
                push(&mut head, [bold, "{", plain, fields.as_str(), bold, "}", plain]);
            }
            push(&mut head, [dim, ":", plain]);
            has_spans = true;
        }
        let gap = if has_spans { " " } else { "" };
        push(&mut head, [gap, dim, metadata.target(), plain, dim, ":", plain, " "]);
        writer.write_str(&head)?;
        context.format_fields(writer.by_ref(), event)?;
        writer.write_char('\n')
    }
}

/// Most lines have a shorter head.
const HEAD_BYTES: usize = 128;

fn push<const N: usize>(text: &mut String, parts: [&str; N]) {
    parts.iter().for_each(|part| text.push_str(part));
}

/// The name of a level in five characters, and its colour.
fn level(level: Level) -> (&'static str, &'static str) {
    match level {
        Level::TRACE => ("TRACE", "\x1b[35m"),
        Level::DEBUG => ("DEBUG", "\x1b[34m"),
        Level::INFO => (" INFO", "\x1b[32m"),
        Level::WARN => (" WARN", "\x1b[33m"),
        Level::ERROR => ("ERROR", "\x1b[31m"),
    }
}

/// The fields of a line in the text format: the message, then `name=value`.
#[derive(Debug)]
pub(super) struct PrintableFields;

impl<'writer> FormatFields<'writer> for PrintableFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut line = Line {
            text: String::with_capacity(LINE_BYTES),
            has_colours: writer.has_ansi_escapes(),
            is_first: true,
            result: Ok(()),
        };
        fields.record(&mut line);
        // Many small writes through the writer would cost more than one.
        writer.write_str(&line.text)?;
        line.result
    }
}

/// Most lines are shorter.
const LINE_BYTES: usize = 512;

struct Line {
    text: String,
    has_colours: bool,
    is_first: bool,
    result: fmt::Result,
}

impl Line {
    fn write(&mut self, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
        self.begin(field);
        write!(Printable(&mut self.text), "{value:?}")
    }

    /// Writes a text as `Debug` does. Most texts need no escape, and are written in one piece.
    fn write_text(&mut self, field: &Field, text: &str) -> fmt::Result {
        if !text.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')) {
            return self.write(field, &text);
        }
        self.begin(field);
        push(&mut self.text, ["\"", text, "\""]);
        Ok(())
    }

    fn begin(&mut self, field: &Field) {
        if !std::mem::replace(&mut self.is_first, false) {
            self.text.push(' ');
        }
        let name = field.name();
        let parts = match (name, self.has_colours) {
            ("message", _) => return,
            (_, true) => ["\x1b[3m", name, "\x1b[0m\x1b[2m=\x1b[0m"],
            (_, false) => ["", name, "="],
        };
        push(&mut self.text, parts);
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.record_debug(field, &format_args!("{value}")),
            _ if self.result.is_ok() => self.result = self.write_text(field, value),
            _ => {}
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.begin(field);
        self.text.push_str(itoa::Buffer::new().format(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.result.is_ok() {
            self.result = self.write(field, value);
        }
    }
}

/// A writer of the JSON format. JSON itself escapes only the control characters
/// of ASCII; the others stand in strings alone, so they can be escaped there.
pub(super) struct PrintableJson<W>(pub(super) W);

impl<W: Write> Write for PrintableJson<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match std::str::from_utf8(bytes) {
            Ok(line) if !is_plain(line.trim_end_matches('\n')) => self.0.write_all(printable_json(line).as_bytes())?,
            _ => self.0.write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A JSON text with an escape in place of each character that acts on the text
/// around it. The line break at its end stays.
pub(super) fn printable_json(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if character == '\n' || !acts(character) {
            escaped.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a string does not fail.
            let _ = write!(escaped, "\\u{unit:04x}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use serde_json::{Value, json};
    use std::{fmt::Display, sync::Arc};

    /// Texts that would begin a line of their own, or change the look of one.
    const FORGERIES: [&str; 7] = [
        "x\n2030-01-01T00:00:00.000000Z  INFO request: id=\"forged\" status=200",
        "x\r2030-01-01T00:00:00.000000Z ERROR ticketing: forged",
        "\x1b[1A\x1b[2K forged",
        "\u{9b}2K\u{85}forged\x7f\x08\x0c\x0b",
        "forged\u{202e}\u{2066}\u{200f}",
        "forged\u{2028}\u{2029}\u{feff}",
        "forged\u{e0041}\0\t",
    ];

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Buffer {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().clone()).unwrap()
        }
    }

    /// A value that is shown as it is, as the log shows errors.
    struct Raw(&'static str);

    impl Display for Raw {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str(self.0)
        }
    }

    fn write_lines() {
        for text in FORGERIES {
            tracing::info_span!("event", outer = %Raw(text)).in_scope(|| {
                let context = text;
                tracing::warn!(target: "plugin", context, reason = %Raw(text), "{text}");
                tracing::warn!(component = text, "{}", Raw(text));
            });
        }
    }

    #[test]
    fn no_text_of_others_begins_a_line_or_acts_on_one() {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let log = tracing_subscriber::fmt().fmt_fields(PrintableFields).with_ansi(false).event_format(TextLine);
        tracing::subscriber::with_default(log.with_writer(move || writer.clone()).finish(), write_lines);
        let text = buffer.text();
        assert_eq!(text.lines().count(), 2 * FORGERIES.len(), "{text}");
        assert!(text.split('\n').all(is_plain), "{text}");
        assert!(text.lines().all(|line| line.contains(" WARN event{outer=")), "{text}");
        assert!(text.contains("reason=x\\n2030-01-01"), "{text}");
    }

    #[test]
    fn a_line_has_its_time_its_level_and_its_fields() {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let log = tracing_subscriber::fmt().fmt_fields(PrintableFields).with_ansi(false).event_format(TextLine);
        let before = SystemTime::now();
        tracing::subscriber::with_default(log.with_writer(move || writer.clone()).finish(), || {
            tracing::info!(target: "request", status = 200_u16, most = u64::MAX, least = i64::MIN, text = "a \"b\"", "said");
        });
        let text = buffer.text();
        let (time, rest) = text.split_once(' ').unwrap();
        let fields = "status=200 most=18446744073709551615 least=-9223372036854775808 text=\"a \\\"b\\\"\"";
        assert_eq!(rest, format!(" INFO request: said {fields}\n"));
        assert_eq!(time.len(), "2030-01-01T00:00:00.000000Z".len(), "{time}");
        let time = humantime::parse_rfc3339(time).unwrap();
        let near = std::time::Duration::from_secs(60);
        assert!(time + near > before && time < SystemTime::now() + near, "{time:?}");
    }

    #[test]
    fn colours_are_the_only_control_characters_of_a_terminal() {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let log = tracing_subscriber::fmt().fmt_fields(PrintableFields).with_ansi(true).event_format(TextLine);
        tracing::subscriber::with_default(log.with_writer(move || writer.clone()).finish(), write_lines);
        let text = buffer.text();
        let codes = ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[3m", "\x1b[33m", "\x1b[32m"];
        let plain = codes.iter().fold(text, |text, code| text.replace(code, ""));
        assert!(plain.split('\n').all(is_plain), "{plain:?}");
    }

    #[test]
    fn json_stays_json_and_becomes_plain() {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let log = tracing_subscriber::fmt().json().flatten_event(true);
        let log = log.with_writer(move || PrintableJson(writer.clone())).finish();
        tracing::subscriber::with_default(log, write_lines);
        let text = buffer.text();
        assert!(text.split('\n').all(is_plain), "{text}");
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2 * FORGERIES.len());
        for (line, forged) in lines.chunks(2).zip(FORGERIES) {
            assert_eq!(line[0]["message"], json!(forged));
            assert_eq!(line[0]["context"], json!(forged));
        }
    }
}
