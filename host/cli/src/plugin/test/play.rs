//! Plays one test in a host of its own.

use super::{
    compare::{Comparison, Difference},
    fixture::{Action, Content, Fixture, Step},
    values::Names,
};
use crate::offline::{ForeignEvent, Happened, Rehearsal};
use anyhow::Context;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, header::CONTENT_TYPE};

/// The first step that did not go as expected.
#[derive(Debug)]
pub(super) struct Failed {
    /// Its place in the list of steps.
    pub(super) index: usize,
    /// Why the step could not be played to its end.
    pub(super) problem: Option<String>,
    pub(super) differences: Vec<Difference>,
    pub(super) happened: Happened,
}

/// Plays the steps until one does not go as expected.
pub(super) async fn play(host: &mut impl Rehearsal, fixture: &Fixture) -> Option<Failed> {
    let mut names = Names::default();
    for (index, step) in fixture.steps.iter().enumerate() {
        let mut comparison = Comparison::new(&mut names);
        let acted = act(host, step, &mut comparison).await;
        let mut problem = acted.err().map(|error| format!("{error:#}"));
        let happened = host.settle().await.unwrap_or_else(|error| {
            problem.get_or_insert_with(|| format!("{error:#}"));
            Happened::default()
        });
        if let Some(waits) = &happened.waits {
            problem.get_or_insert_with(|| waits.clone());
        }
        if problem.is_none() {
            if let Some(events) = &step.events {
                comparison.events(events, &happened);
            }
            comparison.refused(step.refused.as_deref(), &happened);
        }
        let differences = comparison.differences;
        if problem.is_some() || !differences.is_empty() {
            return Some(Failed { index, problem, differences, happened });
        }
    }
    None
}

async fn act(host: &mut impl Rehearsal, step: &Step, comparison: &mut Comparison<'_>) -> anyhow::Result<()> {
    match &step.action {
        Action::Request { visitor, answer, .. } => {
            let request = request(step, comparison.names).map_err(anyhow::Error::msg)?;
            let got = host.request(request, visitor.as_ref()).await?;
            comparison.answer(answer, &got);
        }
        Action::Event { subject, from, content } => {
            let payload = payload(content.as_ref(), comparison.names).map_err(anyhow::Error::msg)?;
            host.publish(ForeignEvent { subject: subject.clone(), source: from.clone(), payload }).await?;
        }
        Action::Advance(time) => host.advance(*time).await?,
        Action::Query { statement, rows } => {
            let statement = comparison.names.fill(statement).map_err(anyhow::Error::msg)?;
            comparison.rows(rows, host.query(&statement).await.context("the query failed")?);
        }
    }
    Ok(())
}

fn request(step: &Step, names: &Names) -> Result<Request<Bytes>, String> {
    let Action::Request { method, path, headers, content, .. } = &step.action else {
        return Err("the step is no request".to_owned());
    };
    let path = names.fill(path)?;
    let mut request = Request::new(Bytes::from(payload(content.as_ref(), names)?));
    *request.method_mut() = method.clone();
    *request.uri_mut() = path.parse().map_err(|error| format!("{path} is not the path of a URL: {error}"))?;
    if matches!(content, Some(Content::Json(_))) {
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    for (name, value) in headers {
        let value = names.fill(value)?;
        let parsed: Result<HeaderName, _> = name.parse();
        let name = parsed.map_err(|_| format!("headers: {name} is not the name of a header"))?;
        let value =
            HeaderValue::from_str(&value).map_err(|_| format!("headers.{name} is not the value of a header"))?;
        request.headers_mut().insert(name, value);
    }
    Ok(request)
}

fn payload(content: Option<&Content>, names: &Names) -> Result<Vec<u8>, String> {
    Ok(match content {
        Some(Content::Body(body)) => names.fill(body)?.into_bytes(),
        Some(Content::Json(value)) => names.fill_value(value)?.to_string().into_bytes(),
        None => Vec::new(),
    })
}

#[cfg(test)]
mod tests;
