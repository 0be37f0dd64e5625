//! A request to a revision that does not serve yet: one that traps here is
//! never activated.

use super::{RolloutError, swap::ProbeView};
use crate::{
    engine::{CallContext, bindings::exports::platform::http::handler::Request},
    plugin::Revision,
};

/// Asks the health path of the manifest; without one there is nothing to ask.
pub(super) async fn probe(revision: &Revision) -> Result<Option<ProbeView>, RolloutError> {
    let Some(path) = &revision.manifest.health else { return Ok(None) };
    let call = CallContext { id: format!("probe of {}", revision.id), ..CallContext::default() };
    let request = Request {
        id: call.id.clone(),
        method: "GET".to_owned(),
        route: path.clone(),
        params: Vec::new(),
        path: path.clone(),
        query: None,
        headers: Vec::new(),
        body: Vec::new(),
        principal: None,
    };
    match revision.answer(call, &request).await {
        Ok(answer) if answer.status < 500 => Ok(Some(ProbeView { path: path.clone(), status: answer.status })),
        Ok(answer) => Err(RolloutError::Probe(format!("GET {path} answered {}", answer.status))),
        Err(failure) => Err(RolloutError::Probe(format!("GET {path}: {failure}"))),
    }
}
