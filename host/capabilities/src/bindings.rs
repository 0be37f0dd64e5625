//! The Rust types and traits of the capabilities, generated from their WIT.
//!
//! The bindings of the engine use these types too, so that no layer converts
//! values.

#![expect(missing_docs, reason = "the documentation is the prose in wit/")]

wasmtime::component::bindgen!({
    inline: "
        package platform:host-capabilities;
        world host {
            import platform:identity/identity@1.0.0;
            import platform:payments/payments@1.0.0;
            import platform:requests/requests@1.0.0;
            import wasi:logging/logging@0.1.0-draft;
        }
    ",
    path: "../../wit",
    world: "platform:host-capabilities/host",
    imports: { default: async | trappable },
});
