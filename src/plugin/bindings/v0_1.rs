//! What `bindgen!` makes of `wit/`. Nothing of it leaves [`crate::plugin`].
#![expect(missing_docs, reason = "generated; `wit/` documents it")]

wasmtime::component::bindgen!({
    path: "wit",
    world: "everything",
    with: { "outrigger:pod/pod.component": crate::plugin::imports::PodComponent },
    imports: {
        "outrigger:pod/pod": trappable,
        "outrigger:pod/metrics": trappable,
        default: async | trappable,
    },
    exports: { default: async },
});
