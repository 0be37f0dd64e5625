//! The session cookies that the host issued during one request.
//!
//! A component passes a cookie on in its answer. The host lets exactly these
//! cookies pass, so that no component can give a visitor the session of somebody
//! else, an old session, or a cookie that hides the session.

use parking_lot::Mutex;
use std::collections::VecDeque;

/// How many cookies are remembered. A component that wants more forgets the
/// first ones.
const REMEMBERED: usize = 4;

/// The cookies of one request. It lives as long as the request.
#[derive(Debug, Default)]
pub struct IssuedCookies(Mutex<VecDeque<String>>);

impl IssuedCookies {
    /// Remembers a value of `set-cookie`.
    pub(super) fn add(&self, cookie: &str) {
        let mut cookies = self.0.lock();
        if cookies.len() == REMEMBERED {
            cookies.pop_front();
        }
        cookies.push_back(cookie.to_owned());
    }

    /// Whether the host issued exactly this value of `set-cookie`.
    pub fn contains(&self, cookie: &[u8]) -> bool {
        self.0.lock().iter().any(|issued| issued.as_bytes() == cookie)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_cookies_of_this_request_are_issued() {
        let issued = IssuedCookies::default();
        for number in 0..=REMEMBERED {
            issued.add(&format!("session={number}; Path=/"));
        }
        assert!(!issued.contains(b"session=0; Path=/") && issued.contains(b"session=1; Path=/"));
        assert!(!issued.contains(b"session=1; Path=/; Domain=example.com") && !issued.contains(b"session=1"));
        assert!(!IssuedCookies::default().contains(b"session=1; Path=/"));
    }
}
