use super::*;
use crate::offline::{Cell, Visitor};
use http::Response;
use std::time::Duration;

/// A host that writes down what it is asked, and does what the test says.
#[derive(Default)]
struct Recorder {
    asked: Vec<String>,
    happened: Vec<Happened>,
    rows: Vec<Vec<Cell>>,
}

impl Rehearsal for Recorder {
    async fn request(&mut self, request: Request<Bytes>, visitor: Option<&Visitor>) -> anyhow::Result<Response<Bytes>> {
        let (parts, body) = request.into_parts();
        let visitor = visitor.map_or("nobody", |visitor| visitor.id.as_str());
        let text = String::from_utf8(body.to_vec()).unwrap();
        let mut headers: Vec<_> = parts.headers.keys().map(ToString::to_string).collect();
        headers.sort();
        self.asked.push(format!("{} {} {visitor} {} {text}", parts.method, parts.uri, headers.join(",")));
        Ok(Response::builder().status(201).header("location", "/things/7").body(Bytes::from_static(b"made")).unwrap())
    }

    async fn publish(&mut self, event: ForeignEvent) -> anyhow::Result<()> {
        self.asked.push(format!("{event:?}"));
        Ok(())
    }

    async fn advance(&mut self, time: Duration) -> anyhow::Result<()> {
        anyhow::bail!("the clock does not move by {time:?}")
    }

    async fn query(&mut self, statement: &str) -> anyhow::Result<Vec<Vec<Cell>>> {
        self.asked.push(statement.to_owned());
        Ok(self.rows.clone())
    }

    async fn settle(&mut self) -> anyhow::Result<Happened> {
        Ok(self.happened.pop().unwrap_or_default())
    }

    async fn end(self) {}
}

async fn play_in(host: &mut Recorder, text: &str) -> Option<Failed> {
    play(host, &Fixture::parse(text).unwrap()).await
}

#[tokio::test]
async fn a_step_uses_what_an_earlier_one_has_found() {
    let mut host = Recorder { rows: vec![vec![Cell::Integer(1)]], ..Recorder::default() };
    let failed = play_in(
        &mut host,
        r#"
        [[step]]
        request = "POST /things"
        visitor.id = "u1"
        json = { a = 1 }
        answer = { status = 201, headers.location = "/things/${id}", body = "made" }
        [[step]]
        request = "PUT /things/${id}"
        headers = { if-match = "${id}" }
        body = "is ${id}"
        [[step]]
        event = "other.made"
        json = ["${id}"]
        [[step]]
        query = "SELECT n FROM things WHERE id = '${id}'"
        rows = [[1]]
        "#,
    )
    .await;
    assert!(failed.is_none(), "{failed:?}");
    assert_eq!(host.asked[0], r#"POST /things u1 content-type {"a":1}"#);
    assert_eq!(host.asked[1], "PUT /things/7 nobody if-match is 7");
    assert!(host.asked[2].contains("source: \"other\""), "{:?}", host.asked);
    assert_eq!(host.asked[3], "SELECT n FROM things WHERE id = '7'");
}

#[tokio::test]
async fn the_first_step_that_differs_ends_the_test() {
    let mut host = Recorder::default();
    let text = "[[step]]\nevent = 'a.b'\n[[step]]\nquery = 'SELECT 1'\nrows = [[1]]\n[[step]]\nadvance = '1s'";
    let failed = play_in(&mut host, text).await.unwrap();
    assert_eq!((failed.index, failed.problem, failed.differences[0].place.as_str()), (1, None, "rows[0]"));
    let failed = play_in(&mut host, "[[step]]\nadvance = '1s'").await.unwrap();
    assert_eq!(failed.problem.as_deref(), Some("the clock does not move by 1s"));
    let failed = play_in(&mut host, "[[step]]\nrequest = 'GET /${id}'").await.unwrap();
    assert_eq!(failed.problem.as_deref(), Some("no earlier step has found ${id}"));
    let failed = play_in(&mut host, "[[step]]\nrequest = 'GET /'\nheaders = { 'a b' = '' }").await.unwrap();
    assert_eq!(failed.problem.as_deref(), Some("headers: a b is not the name of a header"));
}

#[tokio::test]
async fn work_that_does_not_end_and_dead_letters_are_failures() {
    let waits = Happened { waits: Some("events wait: a.b".to_owned()), ..Happened::default() };
    let mut host = Recorder { happened: vec![waits], ..Recorder::default() };
    let failed = play_in(&mut host, "[[step]]\nevent = 'a.b'\nevents = [{ subject = 'a.c' }]").await.unwrap();
    assert_eq!(failed.problem.as_deref(), Some("events wait: a.b"));
    assert!(failed.differences.is_empty(), "the events of unfinished work are not compared");
    let refused = Happened { refused: vec![("timer t".to_owned(), "bad".to_owned())], ..Happened::default() };
    host.happened.push(refused.clone());
    let failed = play_in(&mut host, "[[step]]\nevent = 'a.b'").await.unwrap();
    assert_eq!(failed.differences[0].got, "timer t: bad");
    host.happened.push(refused);
    assert!(play_in(&mut host, "[[step]]\nevent = 'a.b'\nrefused = 'bad'").await.is_none());
}
