//! The client of the operator API.

use super::{
    connection::{Target, is_local},
    failure::Failure,
};
use http::{
    HeaderMap, HeaderValue, Method,
    header::{AUTHORIZATION, LINK},
};
use reqwest::{RequestBuilder, Response, Url, redirect::Policy};
use serde::{Serialize, de::DeserializeOwned};
use std::time::Duration;

/// The largest page of a list.
const PAGE_ROWS: &str = "1000";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The host compiles, migrates and drains before it answers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);

/// A client of one host, with one token.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    address: Url,
}

/// The body of a successful answer.
pub(crate) struct Answer {
    /// JSON, or nothing.
    pub(crate) text: String,
}

impl Client {
    /// # Errors
    /// When the token cannot be sent.
    pub(crate) fn new(target: &Target) -> Result<Self, Failure> {
        let mut headers = HeaderMap::new();
        if let Some(token) = &target.token {
            let mut value = HeaderValue::try_from(format!("Bearer {token}"))
                .map_err(|_| Failure::Usage("the token has a character that no token can have".to_owned()))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        // A redirect could send the token to another server.
        let builder = reqwest::Client::builder()
            .default_headers(headers)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(Policy::none())
            .user_agent(concat!("ticketing/", env!("CARGO_PKG_VERSION")));
        let builder = if is_local(&target.address) { builder.no_proxy() } else { builder };
        let http = builder.build().map_err(|error| Failure::Failed(innermost_cause(&error)))?;
        Ok(Self { http, address: target.address.clone() })
    }

    pub(crate) async fn get(&self, path: &[&str]) -> Result<Answer, Failure> {
        self.send(self.request(Method::GET, path)?).await
    }

    /// All pages of a list, as one answer.
    pub(crate) async fn list(&self, path: &[&str]) -> Result<Answer, Failure> {
        let mut text = String::new();
        let mut after: Option<String> = None;
        loop {
            let query: Vec<(&str, &str)> = after.iter().map(|after| ("after", after.as_str())).collect();
            let request = self.request_with(Method::GET, path, &[&[("limit", PAGE_ROWS)], &query[..]].concat())?;
            let response = self.open(request.timeout(ANSWER_TIMEOUT)).await?;
            let next = self.next_page(&response);
            let page = response.text().await.map_err(|error| self.broken(&error))?;
            match page.strip_prefix('[') {
                Some(rows) if text.ends_with(']') && rows != "]" => {
                    text.pop();
                    text.push(',');
                    text.push_str(rows);
                }
                _ if text.is_empty() => text = page,
                _ => {}
            }
            match next {
                Some(next) => after = Some(next),
                None => return Ok(Answer { text }),
            }
        }
    }

    /// The last row of a page, if there is another page.
    fn next_page(&self, response: &Response) -> Option<String> {
        let link = response.headers().get(LINK)?.to_str().ok()?;
        let (path, _) = link.strip_prefix('<')?.split_once('>')?;
        let next = self.address.join(path).ok()?;
        next.query_pairs().find(|(name, _)| name == "after").map(|(_, after)| after.into_owned())
    }

    pub(crate) async fn delete(&self, path: &[&str]) -> Result<Answer, Failure> {
        self.send(self.request(Method::DELETE, path)?).await
    }

    pub(crate) async fn post(&self, path: &[&str], body: &impl Serialize) -> Result<Answer, Failure> {
        self.send(self.request(Method::POST, path)?.json(body)).await
    }

    pub(crate) async fn put(&self, path: &[&str], body: &impl Serialize) -> Result<Answer, Failure> {
        self.send(self.request(Method::PUT, path)?.json(body)).await
    }

    pub(crate) async fn patch(&self, path: &[&str], body: &impl Serialize) -> Result<Answer, Failure> {
        self.send(self.request(Method::PATCH, path)?.json(body)).await
    }

    pub(crate) fn request(&self, method: Method, path: &[&str]) -> Result<RequestBuilder, Failure> {
        self.request_with(method, path, &[])
    }

    /// A request with these path segments and query pairs, which it escapes.
    pub(crate) fn request_with(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<RequestBuilder, Failure> {
        let mut url = self.address.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => segments.pop_if_empty().extend(path),
            Err(()) => return Err(Failure::Usage(format!("{} cannot have a path", self.address))),
        };
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(self.http.request(method, url))
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Answer, Failure> {
        let response = self.open(request.timeout(ANSWER_TIMEOUT)).await?;
        let text = response.text().await.map_err(|error| self.broken(&error))?;
        Ok(Answer { text })
    }

    /// Sends a request. The caller reads the body of a successful answer.
    pub(crate) async fn open(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let response = request.send().await.map_err(|error| self.broken(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        Err(Failure::of_status(status, &response.text().await.unwrap_or_default()))
    }

    /// The failure of a connection that could not be made, or that broke.
    pub(crate) fn broken(&self, error: &reqwest::Error) -> Failure {
        let address = self.address.as_str().trim_end_matches('/');
        Failure::Unreachable(if error.is_connect() {
            format!(
                "{address} cannot be reached ({}): does the host run there? Give its address with --address, TICKETING_ADMIN_URL or a profile",
                innermost_cause(error)
            )
        } else {
            format!("{address} did not answer ({})", innermost_cause(error))
        })
    }
}

impl Answer {
    /// # Errors
    /// When this program does not understand the answer.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_str(&self.text).map_err(|error| {
            Failure::Failed(format!(
                "this program does not understand the host's answer ({error}); is the host another version?"
            ))
        })
    }
}

/// The innermost cause, which names the reason.
fn innermost_cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
