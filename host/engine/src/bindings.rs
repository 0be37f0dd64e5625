//! Rust types and traits of the components' exports and of their world,
//! generated from the WIT packages.
//!
//! Each capability generates the bindings of its own interface in its own
//! crate, and the bindings here refer to them. The host uses the generated
//! types everywhere, so it converts nothing on the way to a guest. The standard
//! interfaces (`wasi:clocks`, `wasi:random`, `wasi:config`) come from
//! wasmtime's own crates.

#![expect(missing_docs, reason = "the documentation is the prose in wit/")]

wasmtime::component::bindgen!({
    inline: "
        package platform:host;
        world host {
            import platform:store/sql@1.0.0;
            export platform:http/handler@1.0.0;
            export platform:messaging/handler@1.0.0;
            export platform:timers/handler@1.0.0;
            export platform:handlers/request-handler@1.0.0;
            export platform:handlers/event-handler@1.0.0;
            export platform:handlers/timer-handler@1.0.0;
        }
    ",
    path: "../../wit",
    world: "platform:host/host",
    imports: { default: async | trappable },
    exports: { default: async },
    with: {
        "platform:store/sql@1.0.0": host_store::bindings::platform::store::sql,
        "platform:http/types@1.0.0": host_capabilities::bindings::platform::http::types,
    },
});

/// The handler of packed requests. A call borrows the request, so that its body
/// is not copied.
pub mod packed {
    wasmtime::component::bindgen!({
        inline: "
            package platform:host;
            world packed {
                export platform:packed/packed-handler@1.0.0;
            }
        ",
        path: "../../wit",
        world: "platform:host/packed",
        ownership: Borrowing { duplicate_if_necessary: false },
        exports: { default: async },
        with: {
            "platform:http/types@1.0.0": host_capabilities::bindings::platform::http::types,
        },
    });
}
