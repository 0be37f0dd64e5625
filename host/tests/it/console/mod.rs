//! The operator console, as its forms use it.

mod audit_export;
mod changes;
mod figures;
mod letters;
mod sign_in;
mod tables;
mod work;

use crate::support::{ADMIN_TOKEN, Host, Reply};
use reqwest::{Method, multipart::Form, redirect::Policy};
use std::time::Duration;

/// The browser of an operator, as far as the console sees it. It follows no
/// redirect by itself.
struct Browser {
    http: reqwest::Client,
    base: String,
    cookie: String,
}

impl Browser {
    fn stranger(host: &Host) -> Self {
        let http = reqwest::Client::builder().redirect(Policy::none()).timeout(Duration::from_secs(60)).no_proxy();
        let base = format!("http://{}", host.operators_address());
        Self { http: http.build().unwrap(), base, cookie: String::new() }
    }

    async fn signed_in(host: &Host, token: &str) -> Self {
        let mut browser = Self::stranger(host);
        let reply = browser.post("/console/sign-in", &[("token", token)]).await;
        assert_eq!((reply.status, reply.header("location")), (303, Some("/console")), "{reply:?}");
        let cookie = reply.header("set-cookie").unwrap();
        browser.cookie = cookie.split(';').next().unwrap().to_owned();
        browser
    }

    async fn admin(host: &Host) -> Self {
        Self::signed_in(host, ADMIN_TOKEN).await
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base)).header("accept", "text/html");
        request.header("cookie", &self.cookie)
    }

    async fn get(&self, path: &str) -> Reply {
        Reply::of(self.request(Method::GET, path)).await.unwrap()
    }

    /// Gets a page that must be there.
    async fn page(&self, path: &str) -> String {
        let reply = self.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        reply.text
    }

    /// Sends a form as a page of the console does.
    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.request(Method::POST, path).header("origin", &self.base).body(body);
        Reply::of(request.header("content-type", "application/x-www-form-urlencoded")).await.unwrap()
    }

    async fn upload(&self, form: Form) -> Reply {
        let request = self.request(Method::POST, "/console/upload").header("origin", &self.base);
        Reply::of(request.multipart(form)).await.unwrap()
    }
}
