//! What `wit/` looks like in Rust: every type once, whichever world uses it.
//!
//! Imports that a component does not call are left out when it is linked, so
//! its world names only what it really uses.
#![expect(missing_docs, reason = "generated; the documentation is in wit/")]

/// What a component may call.
pub mod imports {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "platform:plugin/capabilities",
        generate_all,
    });
}

/// A component that answers requests.
pub mod http {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "platform:plugin/http-plugin",
        with: {
            "platform:http/types@1.0.0": crate::bindings::imports::platform::http::types,
        },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_http",
        type_section_suffix: "http",
    });
}

/// A component that applies events.
pub mod messaging {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "platform:plugin/messaging-plugin",
        with: {
            "platform:store/sql@1.0.0": crate::bindings::imports::platform::store::sql,
        },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_messaging",
        type_section_suffix: "messaging",
    });
}

/// A component that handles timers.
pub mod timers {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "platform:plugin/timers-plugin",
        with: {
            "platform:store/sql@1.0.0": crate::bindings::imports::platform::store::sql,
            "platform:messaging/types@1.0.0": crate::bindings::messaging::platform::messaging::types,
        },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_timers",
        type_section_suffix: "timers",
    });
}
