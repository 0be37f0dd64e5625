//! A client of one listener, with its session and headers.

use http::{HeaderMap, Method};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) const PASSWORD: &str = "correct horse";

/// A user or operator who sends requests. The test keeps the cookies, so that it
/// sees every one of them.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    headers: Vec<(String, String)>,
    /// `session=...`, if the user is signed in.
    pub(crate) cookie: Option<String>,
    /// The account's id, once the user has signed up or in.
    pub(crate) id: String,
    pub(crate) email: String,
}

impl Client {
    pub(crate) fn new(base: &str) -> Self {
        // The client closes an idle connection before the host does.
        let idle = Duration::from_secs(2);
        let http = reqwest::Client::builder().timeout(Duration::from_secs(60)).pool_idle_timeout(idle);
        Self::over(http.no_proxy().build().unwrap(), base)
    }

    /// A client with these connections.
    pub(super) fn over(http: reqwest::Client, base: &str) -> Self {
        Self { http, base: base.to_owned(), headers: Vec::new(), cookie: None, id: String::new(), email: String::new() }
    }

    /// The same user, who sends requests to another address.
    pub(crate) fn at(&self, base: &str) -> Self {
        Self { base: base.to_owned(), ..self.clone() }
    }

    /// The same user, who sends one more header.
    pub(crate) fn with_header(&self, name: &str, value: &str) -> Self {
        let mut client = self.clone();
        client.headers.push((name.to_owned(), value.to_owned()));
        client
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        let request = self.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        match &self.cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        }
    }

    /// Sends a request. None if the connection broke.
    pub(crate) async fn attempt(&self, method: Method, path: &str, body: Option<Value>) -> Option<Reply> {
        let request = self.request(method, path);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        Reply::of(request).await.ok()
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Reply {
        let reply = self.attempt(method.clone(), path, body).await;
        reply.unwrap_or_else(|| panic!("{method} {path}: the connection broke"))
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Reply {
        self.send(Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, None).await
    }

    /// Sends these bytes as the body, with the content type of JSON.
    pub(crate) async fn raw(&self, method: Method, path: &str, body: impl Into<reqwest::Body>) -> Reply {
        let request = self.request(method, path).header("content-type", "application/json").body(body);
        Reply::of(request).await.unwrap()
    }

    pub(crate) async fn sign_up(&mut self, email: &str) -> Reply {
        let reply = self.post("/api/users/signup", json!({ "email": email, "password": PASSWORD })).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        self.take_session(&reply);
        reply
    }

    pub(crate) async fn sign_in(&mut self, email: &str) -> Reply {
        let reply = self.post("/api/users/signin", json!({ "email": email, "password": PASSWORD })).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        self.take_session(&reply);
        reply
    }

    fn take_session(&mut self, reply: &Reply) {
        self.cookie = Some(reply.session());
        self.id = reply.id();
        self.email = reply.json()["email"].as_str().unwrap().to_owned();
    }

    /// The user that the session belongs to, as the host sees it.
    pub(crate) async fn current_user(&self) -> Value {
        let reply = self.get("/api/users/currentuser").await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()["currentUser"].clone()
    }
}

/// A new operator token.
pub(crate) struct Token {
    pub(crate) id: String,
    pub(crate) text: String,
}

impl Client {
    /// Makes an operator token.
    pub(crate) async fn make_token(&self, wanted: Value) -> Token {
        let reply = self.post("/tokens", wanted).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        Token { id: reply.id(), text: reply.json()["token"].as_str().unwrap().to_owned() }
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) async fn of(request: RequestBuilder) -> reqwest::Result<Self> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Self { status, headers, text: response.text().await? })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub(crate) fn id(&self) -> String {
        self.json()["id"].as_str().unwrap_or_else(|| panic!("no id: {self:?}")).to_owned()
    }

    /// The session cookie that the answer sets, as `session=...`.
    pub(crate) fn session(&self) -> String {
        let cookie = self.header("set-cookie").unwrap_or_else(|| panic!("no session: {self:?}"));
        cookie.split(';').next().unwrap().to_owned()
    }

    /// The messages and fields of the error envelope, which must be well-formed.
    pub(crate) fn errors(&self) -> Vec<(String, Option<String>)> {
        let json = self.json();
        let envelope = json.as_object().unwrap();
        assert_eq!(envelope.len(), 1, "{self:?}");
        let errors = envelope["errors"].as_array().unwrap();
        assert!(!errors.is_empty(), "{self:?}");
        let read = |error: &Value| {
            let error = error.as_object().unwrap();
            assert!(error.keys().all(|key| key == "message" || key == "field"), "{self:?}");
            let field = error.get("field").map(|field| field.as_str().unwrap().to_owned());
            (error["message"].as_str().unwrap().to_owned(), field)
        };
        errors.iter().map(read).collect()
    }

    /// Asserts that the answer is one error with this message and without a field.
    #[track_caller]
    pub(crate) fn refuses(&self, status: u16, message: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        assert_eq!(self.errors(), [(message.to_owned(), None)], "{self:?}");
        assert!(self.header("x-request-id").is_some() || self.header("x-content-type-options").is_none());
    }

    /// Asserts that the answer is a 400 whose errors name exactly these fields.
    #[track_caller]
    pub(crate) fn blames(&self, fields: &[&str]) {
        assert_eq!(self.status, 400, "{self:?}");
        let mut blamed: Vec<_> = self.errors().into_iter().map(|(_, field)| field.unwrap_or_default()).collect();
        blamed.sort();
        assert_eq!(blamed, fields, "{self:?}");
    }

    /// The path of the next page. None on the last page.
    pub(crate) fn next_page(&self) -> Option<String> {
        let link = self.header("link")?;
        let (target, relation) = link.split_once('>').unwrap();
        assert_eq!(relation.trim_start_matches([';', ' ']), "rel=\"next\"", "{link}");
        Some(target.strip_prefix('<').unwrap().to_owned())
    }
}
