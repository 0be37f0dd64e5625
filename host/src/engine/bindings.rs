//! The one `bindgen!`: Rust types and traits of everything in `wit/`.
//!
//! Imports become traits that the modules under [`crate::capability`]
//! implement for [`State`](super::State). The generated types are used
//! throughout the host as they are, so nothing is converted on the way to a
//! guest. The standard interfaces (`wasi:clocks`, `wasi:random`,
//! `wasi:config`) come from wasmtime's own crates.

#![expect(missing_docs, reason = "the documentation is the prose in wit/")]

wasmtime::component::bindgen!({
    inline: "
        package platform:host;
        world host {
            import platform:store/sql@1.0.0;
            import platform:identity/identity@1.0.0;
            import platform:payments/payments@1.0.0;
            import wasi:logging/logging@0.1.0-draft;
            export platform:http/handler@1.0.0;
            export platform:messaging/handler@1.0.0;
            export platform:timers/handler@1.0.0;
        }
    ",
    path: "../wit",
    world: "platform:host/host",
    imports: { default: async | trappable },
    exports: { default: async },
    with: {
        "platform:store/sql.transaction": crate::capability::store::OpenTransaction,
    },
});
