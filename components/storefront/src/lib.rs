//! The marketplace's pages: static HTML, one style sheet and one script, which
//! talks to the HTTP API of the other components as any client would.
//!
//! There is nothing here but files: no state, no store, and no knowledge of
//! who is asking. The files are in `web/`, compiled in.

mod asset;
mod page;
mod response;
mod routes;

ticketing_sdk::component! { http: routes::ROUTES }
