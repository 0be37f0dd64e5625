//! The Rust bindings of `wit/`. All worlds share one definition of each type.
//!
//! The linker leaves out the imports that a component does not call, so the
//! component's world names only the interfaces that it uses.
#![expect(missing_docs, reason = "generated; the documentation is in wit/")]

/// The interfaces that a component may call.
pub mod imports {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "platform:plugin/capabilities",
        generate_all,
    });
}

/// The world of a component that handles HTTP requests.
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

/// The world of a component that handles events.
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

/// The world of a component that handles timers.
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
