//! What a component of this platform is written on.
//!
//! A component names its handlers and writes its logic:
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
//! The handlers run one at a time in an instance; nothing kept in memory may
//! be relied on at the next call. All effects go through the host: see
//! [`store`], [`messaging`], [`capability`].
//!
//! Built for the machine it is compiled on (`cargo test`), the host's
//! functions are absent and panic when called; logic that is to be tested
//! there takes what it needs as arguments.

pub mod bindings;
pub mod capability;
mod error;
mod fields;
mod http;
pub mod id;
pub mod log;
pub mod messaging;
pub mod paging;
pub mod replica;
pub mod store;
mod time;

pub use error::{Error, Problem, Result};
pub use fields::Fields;
pub use http::{Principal, Request, Response, Route, Router};
pub use time::{Timestamp, now_ms};

#[doc(hidden)]
pub mod rt {
    //! What [`component!`](crate::component) expands to needs.
    pub use crate::http::serve;
    pub use crate::log::report_panics;
    pub use crate::store::Tx;
}

/// Makes the crate a component with the given handlers: any of `http` (a
/// [`Router`]), `messaging` (a function of an event and a [`store::Tx`]) and
/// `timers` (a function of a timer, the attempt and a [`store::Tx`]), in this
/// order.
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
    // Where nothing is exported the handlers would seem unused.
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
