//! Rust types and traits of what components may import besides the store, made of its WIT.
//!
//! The engine's own bindings refer to these, so nothing is converted between
//! the layers.

#![expect(missing_docs, reason = "the documentation is the prose in wit/")]

wasmtime::component::bindgen!({
    inline: "
        package platform:host-capabilities;
        world host {
            import platform:identity/identity@1.0.0;
            import platform:payments/payments@1.0.0;
            import wasi:logging/logging@0.1.0-draft;
        }
    ",
    path: "../../wit",
    world: "platform:host-capabilities/host",
    imports: { default: async | trappable },
});
