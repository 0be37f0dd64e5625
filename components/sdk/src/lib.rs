//! The SDK for components of this platform in Rust.
//!
//! A component defines its handlers and names them in [`component!`]:
//!
//! ```
//! use ticketing_sdk::{Request, Response, Result, Router};
//!
//! const ROUTES: Router = Router::new(&[("GET", "/api/greetings/{name}", greet)]);
//!
//! fn greet(request: &Request) -> Result<Response> {
//!     Response::json(200, &format!("Hello, {}", request.param("name")?))
//! }
//!
//! ticketing_sdk::component! { http: ROUTES }
//! ```
//!
//! An instance runs one handler at a time. The host may replace the instance
//! between two calls, so a component keeps no state in memory. All effects go
//! through the host: see [`store`], [`messaging`], [`requests`] and [`capability`].
//!
//! A native build (`cargo test`) has no host, and the functions of the host
//! panic there. So a function with a unit test takes its data as arguments.

pub mod bindings;
pub mod capability;
mod error;
mod fields;
mod headers;
pub mod id;
pub mod log;
pub mod messaging;
pub mod paging;
mod payload;
pub mod replica;
mod request;
pub mod requests;
mod response;
mod router;
pub mod signals;
pub mod store;
mod time;

pub use error::{Error, Problem, Result};
pub use fields::Fields;
pub use request::{Principal, Request};
pub use response::Response;
pub use router::{Route, Router};
pub use time::{Timestamp, now_ms};

#[doc(hidden)]
pub mod rt {
    //! Items that the expansion of [`component!`](crate::component) uses.
    pub use crate::log::report_panics;
    pub use crate::router::serve;
    pub use crate::store::Tx;
}

/// Makes the crate a component with these handlers, in this order. Each one may
/// be left out:
///
/// - `http`: a [`Router`];
/// - `messaging`: a function of an event and a [`store::Tx`];
/// - `timers`: a function of a timer, the number of the attempt, and a
///   [`store::Tx`].
#[macro_export]
macro_rules! component {
    ($(http: $router:path)? $(, messaging: $on_event:path)? $(, timers: $on_timer:path)? $(,)?) => {
        $($crate::component!(@http $router);)?
        $($crate::component!(@messaging $on_event);)?
        $($crate::component!(@timers $on_timer);)?
    };
    (messaging: $on_event:path $(, timers: $on_timer:path)? $(,)?) => {
        $crate::component!(@messaging $on_event);
        $($crate::component!(@timers $on_timer);)?
    };
    (timers: $on_timer:path $(,)?) => {
        $crate::component!(@timers $on_timer);
    };
    // A native build exports nothing, and the compiler would report the
    // handlers as unused.
    (@native $handle:expr) => {
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = {
            let _ = $handle;
        };
    };
    (@http $router:path) => {
        const _: () = {
            struct Http;
            impl $crate::bindings::http::exports::platform::http::handler::Guest for Http {
                fn handle(
                    request: $crate::bindings::http::exports::platform::http::handler::Request,
                ) -> $crate::bindings::http::exports::platform::http::handler::Response {
                    $crate::rt::serve(&$router, request)
                }
            }
            $crate::component!(@native <Http as $crate::bindings::http::exports::platform::http::handler::Guest>::handle);
            #[cfg(target_arch = "wasm32")]
            $crate::bindings::http::export_http!(Http with_types_in $crate::bindings::http);
        };
    };
    (@messaging $on_event:path) => {
        const _: () = {
            struct Messaging;
            impl $crate::bindings::messaging::exports::platform::messaging::handler::Guest for Messaging {
                fn handle(
                    event: $crate::messaging::Event,
                    tx: &$crate::store::Transaction,
                ) -> $crate::messaging::Handled {
                    $crate::rt::report_panics();
                    $on_event(event, &$crate::rt::Tx::new(tx))
                }
            }
            $crate::component!(@native <Messaging as $crate::bindings::messaging::exports::platform::messaging::handler::Guest>::handle);
            #[cfg(target_arch = "wasm32")]
            $crate::bindings::messaging::export_messaging!(
                Messaging with_types_in $crate::bindings::messaging
            );
        };
    };
    (@timers $on_timer:path) => {
        const _: () = {
            struct Timers;
            impl $crate::bindings::timers::exports::platform::timers::handler::Guest for Timers {
                fn handle(
                    timer: $crate::store::Timer,
                    attempt: u32,
                    tx: &$crate::store::Transaction,
                ) -> $crate::messaging::Handled {
                    $crate::rt::report_panics();
                    $on_timer(timer, attempt, &$crate::rt::Tx::new(tx))
                }
            }
            $crate::component!(@native <Timers as $crate::bindings::timers::exports::platform::timers::handler::Guest>::handle);
            #[cfg(target_arch = "wasm32")]
            $crate::bindings::timers::export_timers!(
                Timers with_types_in $crate::bindings::timers
            );
        };
    };
}
