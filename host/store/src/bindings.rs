//! The Rust types and traits of `platform:store/sql`, `platform:signals/signals` and
//! `platform:live/live`, generated from their WIT.
//!
//! The engine's bindings refer to these types, so no layer converts values.

#![expect(missing_docs, reason = "the documentation is the prose in wit/")]

wasmtime::component::bindgen!({
    inline: "
        package platform:host-store;
        world host {
            import platform:store/sql@1.0.0;
            import platform:signals/signals@1.0.0;
            import platform:live/live@1.0.0;
        }
    ",
    path: "../../wit",
    world: "platform:host-store/host",
    imports: { default: async | trappable },
    with: {
        "platform:store/sql.transaction": crate::OpenTransaction,
        "platform:signals/signals.listener": crate::CallListener,
    },
});
