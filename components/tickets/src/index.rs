//! The index of the words of titles.
//!
//! `word_parts` leads from a part of a word to the words, and `title_words`
//! from a word to its tickets. A title that was edited by an older version
//! leaves its old words in the index. So every ticket that the index finds is
//! compared with the search again.

use ticketing_sdk::messaging::Handled;
use ticketing_sdk::store::{FromRow, Query, Row, Snapshot, Timer, Tx, Value, placeholders, transact};
use ticketing_sdk::{Result, id, log, now_ms, params};

use crate::terms;

/// The condition of the index `tickets_to_index`.
const IS_OLD: &str = "(title_key < ' ' OR title_key >= '!')";
/// The key of the timer that continues the work on tickets of older versions.
const TIMER: &str = "index-titles";
/// The tickets of one timer.
const TICKETS_AT_ONCE: i64 = 100;
/// The pause between two timers. It leaves the database to other work.
const PAUSE_MS: i64 = 50;
/// The work has stopped if it did not go on for this time.
const STOPPED_MS: i64 = 60_000;
/// The rows of one statement that inserts or finds rows.
const ROWS_AT_ONCE: [usize; 3] = [8, 64, 256];
/// A term with more words or tickets than these is too common for the index.
const WORDS: usize = 400;
const TICKETS: usize = 1_000;

/// Adds a ticket with this folded title.
pub(crate) fn add(tx: &Tx<'_>, ticket_id: &str, title: &str) -> Result<()> {
    add_words(tx, terms::words(title).into_iter().map(|word| (word, id::to_bytes(ticket_id))).collect())
}

/// Replaces the words of a ticket.
pub(crate) fn replace(tx: &Tx<'_>, ticket_id: &str, old_title: &str, title: &str) -> Result<()> {
    remove(tx, ticket_id, old_title)?;
    add(tx, ticket_id, title)
}

/// Removes a ticket with this folded title.
pub(crate) fn remove(tx: &Tx<'_>, ticket_id: &str, title: &str) -> Result<()> {
    for words in in_groups(&terms::words(title)) {
        let mut parameters = vec![Value::Blob(id::to_bytes(ticket_id))];
        parameters.extend(words.into_iter().map(Value::from));
        let list = placeholders(2, parameters.len());
        tx.execute(&format!("DELETE FROM title_words WHERE ticket = $1 AND word IN ({list})"), &parameters)?;
    }
    Ok(())
}

fn add_words(tx: &Tx<'_>, rows: Vec<(String, Vec<u8>)>) -> Result<()> {
    let mut words: Vec<String> = rows.iter().map(|(word, _)| word.clone()).collect();
    words.sort();
    words.dedup();
    let parts = words.iter().flat_map(|word| terms::parts(word).into_iter().map(|part| (part, word.clone())));
    insert(tx, "word_parts (part, word)", &parts.collect::<Vec<(String, String)>>())?;
    insert(tx, "title_words (word, ticket)", &rows)
}

/// Inserts rows that may exist. The statements have few lengths, because the
/// host and the database prepare each text once.
fn insert<A, B>(tx: &Tx<'_>, table: &str, rows: &[(A, B)]) -> Result<()>
where
    A: Clone,
    B: Clone,
    Value: From<A> + From<B>,
{
    for group in in_groups(rows) {
        let places: Vec<String> = (0..group.len()).map(|row| format!("(${}, ${})", 2 * row + 1, 2 * row + 2)).collect();
        let values: Vec<Value> =
            group.into_iter().flat_map(|(one, other)| [Value::from(one), Value::from(other)]).collect();
        let statement = format!("INSERT INTO {table} VALUES {} ON CONFLICT DO NOTHING", places.join(", "));
        tx.execute(&statement, &values)?;
    }
    Ok(())
}

/// The items in groups of few different sizes. The last item fills a group up.
fn in_groups<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    let [.., most] = ROWS_AT_ONCE;
    items
        .chunks(most)
        .map(|chunk| {
            let size = ROWS_AT_ONCE.into_iter().find(|size| *size >= chunk.len()).unwrap_or(most);
            let mut group = chunk.to_vec();
            group.extend(chunk.last().cloned().into_iter().cycle().take(size - chunk.len()));
            group
        })
        .collect()
}

/// The ids of all tickets whose titles may contain the terms, newest first.
/// `None` if every term is too common, or if not all tickets are indexed yet.
pub(crate) fn candidates(terms: &[String]) -> Result<Option<Vec<String>>> {
    /// The terms that are looked up.
    const LOOKUPS: usize = 3;

    let mut best: Option<Vec<Vec<u8>>> = None;
    for term in terms.iter().take(LOOKUPS) {
        let found = tickets_of(term)?;
        let is_better = |tickets: &Vec<Vec<u8>>| best.as_ref().is_none_or(|best| tickets.len() < best.len());
        if let Some(tickets) = found.filter(is_better) {
            best = Some(tickets);
        }
        if best.as_ref().is_some_and(|best| best.len() <= ROWS_AT_ONCE[1]) {
            break;
        }
    }
    let Some(mut tickets) = best else { return Ok(None) };
    tickets.sort_unstable_by(|one, other| other.cmp(one));
    tickets.dedup();
    Ok(Some(tickets.iter().filter_map(|bytes| id::from_bytes(bytes)).collect()))
}

/// The tickets with a word that contains the term, without an order and
/// possibly several times.
fn tickets_of(term: &str) -> Result<Option<Vec<Vec<u8>>>> {
    let (begin, end) = terms::range(term);
    let mut words: Vec<String> = Snapshot.all(
        "SELECT word FROM word_parts WHERE part >= $1 AND part < $2 LIMIT $3",
        params![begin, end, limit(WORDS)],
    )?;
    if words.len() > WORDS {
        return Ok(None);
    }
    words.sort();
    words.dedup();
    let mut tickets = Vec::new();
    for group in in_groups(&words) {
        let mut parameters: Vec<Value> = group.into_iter().map(Value::from).collect();
        let list = placeholders(1, parameters.len());
        parameters.push(limit(TICKETS).into());
        let statement = format!("SELECT ticket FROM title_words WHERE word IN ({list}) LIMIT ${}", parameters.len());
        tickets.extend(Snapshot.all::<TicketBytes>(&statement, &parameters)?.into_iter().map(|ticket| ticket.0));
        if tickets.len() > TICKETS {
            return Ok(None);
        }
    }
    Ok(Some(tickets))
}

fn limit(most: usize) -> i64 {
    i64::try_from(most).map_or(i64::MAX, |most| most + 1)
}

struct TicketBytes(Vec<u8>);

impl FromRow for TicketBytes {
    fn from_row(row: &mut Row<'_>) -> Result<Self> {
        Ok(Self(row.blob("ticket")?))
    }
}

/// Whether all tickets are indexed. If not, this starts the work on the others,
/// unless it is under way.
pub(crate) fn is_complete() -> Result<bool> {
    let old: Option<String> =
        Snapshot.one(&format!("SELECT id FROM tickets WHERE {IS_OLD} ORDER BY id DESC LIMIT 1"), params![])?;
    if old.is_none() {
        return Ok(true);
    }
    let working = "SELECT id FROM title_indexing WHERE worked_ms > $1";
    let working: Vec<Work> = Snapshot.all(working, params![now_ms() - STOPPED_MS])?;
    // The search finds the tickets without the index too, only slower. So it
    // goes on if the database takes no changes at the moment.
    if working.is_empty()
        && let Err(error) = transact(|tx| schedule(tx, 0))
    {
        log::warn("search", format_args!("the work on the index of titles did not start: {}", error.detail()));
    }
    Ok(false)
}

struct Work;

impl FromRow for Work {
    fn from_row(_: &mut Row<'_>) -> Result<Self> {
        Ok(Self)
    }
}

fn schedule(tx: &Tx<'_>, pause_ms: i64) -> Result<()> {
    let now = now_ms();
    tx.execute("UPDATE title_indexing SET worked_ms = $1", params![now])?;
    tx.schedule(TIMER, u64::try_from(now + pause_ms).unwrap_or_default(), &())
}

/// Indexes some tickets of older versions, and sets the timer for the next ones.
pub(crate) fn on_timer(_: Timer, _attempt: u32, tx: &Tx<'_>) -> Handled {
    let statement = format!("SELECT id, title FROM tickets WHERE {IS_OLD} ORDER BY id DESC LIMIT $1");
    let old: Vec<OldTicket> = tx.all(&statement, params![TICKETS_AT_ONCE])?;
    if old.is_empty() {
        return Ok(());
    }
    let mut rows = Vec::new();
    for OldTicket { ticket_id, title } in old {
        let key = terms::key(&title);
        let words = terms::words(&key).into_iter();
        rows.extend(words.map(|word| (word, id::to_bytes(&ticket_id))));
        tx.execute("UPDATE tickets SET title_key = $2 WHERE id = $1", params![ticket_id, key])?;
    }
    add_words(tx, rows)?;
    Ok(schedule(tx, PAUSE_MS)?)
}

struct OldTicket {
    ticket_id: String,
    title: String,
}

impl FromRow for OldTicket {
    fn from_row(row: &mut Row<'_>) -> Result<Self> {
        Ok(Self { ticket_id: row.text("id")?, title: row.text("title")? })
    }
}
