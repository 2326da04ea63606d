//! What `wit-bindgen` makes of `wit/`.
//!
//! One module for each hook, each with a world of its own: a plugin's component then lists only the hooks that it registers.
//! All share the types and host interfaces of [`base`]. Not for authors: `register!` is what uses them.

#[allow(missing_docs, unsafe_code, clippy::all, clippy::allow_attributes, reason = "generated")]
pub mod base {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "outrigger:pod/base",
        pub_export_macro: true,
        additional_derives: [PartialEq, Eq],
        export_macro_name: "export_base",
        default_bindings_module: "outrigger_plugin::bindings::base",
        generate_all,
    });
}

#[allow(missing_docs, unsafe_code, clippy::all, clippy::allow_attributes, reason = "generated")]
pub mod pre_start {
    wit_bindgen::generate!({
        inline: "package outrigger:only-pre-start; world only-pre-start { export outrigger:pod/pre-start@0.1.0; }",
        path: "../../wit",
        world: "outrigger:only-pre-start/only-pre-start",
        pub_export_macro: true,
        additional_derives: [PartialEq, Eq],
        export_macro_name: "export_pre_start",
        default_bindings_module: "outrigger_plugin::bindings::pre_start",
        with: { "outrigger:pod/common@0.1.0": crate::bindings::base::outrigger::pod::common },
    });
}

#[allow(missing_docs, unsafe_code, clippy::all, clippy::allow_attributes, reason = "generated")]
pub mod config_copy {
    wit_bindgen::generate!({
        inline: "package outrigger:only-config-copy; world only-config-copy { export outrigger:pod/config-copy@0.1.0; }",
        path: "../../wit",
        world: "outrigger:only-config-copy/only-config-copy",
        pub_export_macro: true,
        additional_derives: [PartialEq, Eq],
        export_macro_name: "export_config_copy",
        default_bindings_module: "outrigger_plugin::bindings::config_copy",
        with: { "outrigger:pod/common@0.1.0": crate::bindings::base::outrigger::pod::common },
    });
}

#[allow(missing_docs, unsafe_code, clippy::all, clippy::allow_attributes, reason = "generated")]
pub mod health {
    wit_bindgen::generate!({
        inline: "package outrigger:only-health; world only-health { export outrigger:pod/health@0.1.0; }",
        path: "../../wit",
        world: "outrigger:only-health/only-health",
        pub_export_macro: true,
        additional_derives: [PartialEq, Eq],
        export_macro_name: "export_health",
        default_bindings_module: "outrigger_plugin::bindings::health",
        with: { "outrigger:pod/common@0.1.0": crate::bindings::base::outrigger::pod::common },
    });
}

#[allow(missing_docs, unsafe_code, clippy::all, clippy::allow_attributes, reason = "generated")]
pub mod log_line {
    wit_bindgen::generate!({
        inline: "package outrigger:only-log-line; world only-log-line { export outrigger:pod/log-line@0.1.0; }",
        path: "../../wit",
        world: "outrigger:only-log-line/only-log-line",
        pub_export_macro: true,
        additional_derives: [PartialEq, Eq],
        export_macro_name: "export_log_line",
        default_bindings_module: "outrigger_plugin::bindings::log_line",
        with: { "outrigger:pod/common@0.1.0": crate::bindings::base::outrigger::pod::common },
    });
}

#[allow(missing_docs, unsafe_code, clippy::all, clippy::allow_attributes, reason = "generated")]
pub mod signal {
    wit_bindgen::generate!({
        inline: "package outrigger:only-signal; world only-signal { export outrigger:pod/signal@0.1.0; }",
        path: "../../wit",
        world: "outrigger:only-signal/only-signal",
        pub_export_macro: true,
        additional_derives: [PartialEq, Eq],
        export_macro_name: "export_signal",
        default_bindings_module: "outrigger_plugin::bindings::signal",
        with: { "outrigger:pod/common@0.1.0": crate::bindings::base::outrigger::pod::common },
    });
}

#[allow(missing_docs, unsafe_code, clippy::all, clippy::allow_attributes, reason = "generated")]
pub mod component_event {
    wit_bindgen::generate!({
        inline: "package outrigger:only-component-event; world only-component-event { export outrigger:pod/component-event@0.1.0; }",
        path: "../../wit",
        world: "outrigger:only-component-event/only-component-event",
        pub_export_macro: true,
        additional_derives: [PartialEq, Eq],
        export_macro_name: "export_component_event",
        default_bindings_module: "outrigger_plugin::bindings::component_event",
        with: { "outrigger:pod/common@0.1.0": crate::bindings::base::outrigger::pod::common },
    });
}

#[allow(missing_docs, unsafe_code, clippy::all, clippy::allow_attributes, reason = "generated")]
pub mod config_changed {
    wit_bindgen::generate!({
        inline: "package outrigger:only-config-changed; world only-config-changed { export outrigger:pod/config-changed@0.1.0; }",
        path: "../../wit",
        world: "outrigger:only-config-changed/only-config-changed",
        pub_export_macro: true,
        additional_derives: [PartialEq, Eq],
        export_macro_name: "export_config_changed",
        default_bindings_module: "outrigger_plugin::bindings::config_changed",
        with: { "outrigger:pod/common@0.1.0": crate::bindings::base::outrigger::pod::common },
    });
}

#[allow(missing_docs, unsafe_code, clippy::all, clippy::allow_attributes, reason = "generated")]
pub mod tick {
    wit_bindgen::generate!({
        inline: "package outrigger:only-tick; world only-tick { export outrigger:pod/tick@0.1.0; }",
        path: "../../wit",
        world: "outrigger:only-tick/only-tick",
        pub_export_macro: true,
        additional_derives: [PartialEq, Eq],
        export_macro_name: "export_tick",
        default_bindings_module: "outrigger_plugin::bindings::tick",
        with: { "outrigger:pod/common@0.1.0": crate::bindings::base::outrigger::pod::common },
    });
}
