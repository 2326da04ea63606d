//! Version 0.1 of the contract: what `bindgen!` makes of `wit/`, and [`convert`] between that and our own types.
#![expect(missing_docs, reason = "generated; `wit/` documents it")]

pub mod convert;

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
