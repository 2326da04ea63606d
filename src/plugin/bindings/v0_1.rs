//! Version 0.1 of the contract: what `bindgen!` makes of `wit/`; [`calls`] and [`imports`] with our own types on the other side; and
//! [`convert`] and [`documents`], for types and for JSON texts, between the two.
#![expect(missing_docs, reason = "generated; `wit/` documents it")]

pub mod calls;
pub mod convert;
pub mod documents;
pub mod imports;

wasmtime::component::bindgen!({
    path: "wit",
    world: "everything",
    with: { "outrigger:pod/contents.draft": crate::plugin::imports::contents::Draft },
    imports: {
        "outrigger:pod/pod": trappable,
        "outrigger:pod/log": trappable,
        "outrigger:pod/contents": trappable,
        "outrigger:pod/metrics": trappable,
        default: async | trappable,
    },
    exports: { default: async },
});
