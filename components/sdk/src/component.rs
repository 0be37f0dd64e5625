//! The macro that exports the handlers of a component.

/// Makes the crate a component with these handlers. Each one may be left out:
///
/// - `http`: a constant [`Router`](crate::Router);
/// - `events`: functions of a [`Delivery`](crate::messaging::Delivery) and a [`Tx`](crate::store::Tx), one for each type
///   of event, in brackets;
/// - `messaging`, in place of `events`: one function of an [`Event`](crate::messaging::Event) and a `Tx` for all events;
/// - `timers`: a function of a [`Timer`](crate::store::Timer), the number of the attempt, and a `Tx`.
///
/// ```
/// use ticketing_sdk::messaging::{Delivery, Handled};
/// use ticketing_sdk::store::{Timer, Tx};
/// use ticketing_sdk::{Request, Response, Result, Router, get};
///
/// const ROUTES: Router = Router::new(&[get("/hello", hello)]);
///
/// ticketing_sdk::component! { http: ROUTES, events: [greeted], timers: remind }
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Greeted {
///     name: String,
/// }
///
/// ticketing_sdk::subjects! { "hello.greeted": Greeted }
///
/// fn hello(_: &Request) -> Result<Response> {
///     Ok(Response::text(200, "Hello!\n"))
/// }
///
/// fn greeted(event: &Delivery<Greeted>, tx: &Tx<'_>) -> Handled {
///     Ok(tx.schedule(&event.name, 0, &event.name)?)
/// }
///
/// fn remind(timer: Timer, _attempt: u32, tx: &Tx<'_>) -> Handled {
///     Ok(tx.cancel_timer(&timer.key)?)
/// }
/// ```
#[macro_export]
macro_rules! component {
    (@each) => {};
    (@each http: $router:path $(, $($rest:tt)*)?) => {
        $crate::component!(@http $router);
        $($crate::component!(@each $($rest)*);)?
    };
    (@each events: [$($handler:path),* $(,)?] $(, $($rest:tt)*)?) => {
        $crate::component!(@messaging |event, tx: &$crate::rt::Tx<'_>| {
            $crate::messaging::Dispatch::of(event, tx)$(.to($handler))*.finish()
        });
        $($crate::component!(@each $($rest)*);)?
    };
    (@each messaging: $on_event:path $(, $($rest:tt)*)?) => {
        $crate::component!(@messaging $on_event);
        $($crate::component!(@each $($rest)*);)?
    };
    (@each timers: $on_timer:path $(, $($rest:tt)*)?) => {
        $crate::component!(@timers $on_timer);
        $($crate::component!(@each $($rest)*);)?
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
            impl $crate::bindings::http::exports::platform::packed::packed_handler::Guest for Http {
                fn handle(
                    request: $crate::bindings::http::exports::platform::packed::packed_handler::PackedRequest,
                ) -> $crate::bindings::http::exports::platform::packed::packed_handler::Response {
                    $crate::rt::serve(&$router, request)
                }
            }
            $crate::component!(@native <Http as $crate::bindings::http::exports::platform::packed::packed_handler::Guest>::handle);
            #[cfg(target_arch = "wasm32")]
            $crate::bindings::http::export_http!(Http with_types_in $crate::bindings::http);
        };
    };
    (@messaging $on_event:expr) => {
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
    ($($handlers:tt)+) => {
        $crate::component!(@each $($handlers)+);
    };
}
