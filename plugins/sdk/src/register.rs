//! The macro that makes a component of a plugin.

/// Makes the crate a component that exports `plugin` and the hooks named, each by its trait.
///
/// ```ignore
/// outrigger_plugin::register!(MyPlugin: LogLine, Signal);
/// ```
///
/// Once in a crate, at its top level. Natively (`cargo test`) it does the same and nothing calls it.
#[macro_export]
macro_rules! register {
    ($plugin:ty $(: $($hook:ident),+ $(,)?)?) => {
        const _: () = {
            ::std::thread_local! {
                static SLOT: ::std::cell::RefCell<::std::option::Option<$plugin>> =
                    const { ::std::cell::RefCell::new(::std::option::Option::None) };
            }
            impl $crate::glue::Slot for $plugin {
                fn slot<R>(with: impl FnOnce(&::std::cell::RefCell<::std::option::Option<Self>>) -> R) -> R {
                    SLOT.with(with)
                }
            }
            type Exported = $crate::glue::Export<$plugin>;
            $crate::bindings::base::export_base!(Exported with_types_in $crate::bindings::base);
            $($($crate::__register_hook!($hook Exported);)+)?
        };
    };
}

/// Exports one hook. Not for authors.
#[doc(hidden)]
#[macro_export]
macro_rules! __register_hook {
    (PreStart $ty:ident) => {
        $crate::bindings::pre_start::export_pre_start!($ty with_types_in $crate::bindings::pre_start);
    };
    (ConfigCopy $ty:ident) => {
        $crate::bindings::config_copy::export_config_copy!($ty with_types_in $crate::bindings::config_copy);
    };
    (Health $ty:ident) => {
        $crate::bindings::health::export_health!($ty with_types_in $crate::bindings::health);
    };
    (LogLine $ty:ident) => {
        $crate::bindings::log_line::export_log_line!($ty with_types_in $crate::bindings::log_line);
    };
    (Signal $ty:ident) => {
        $crate::bindings::signal::export_signal!($ty with_types_in $crate::bindings::signal);
    };
    (ComponentEvent $ty:ident) => {
        $crate::bindings::component_event::export_component_event!($ty with_types_in $crate::bindings::component_event);
    };
    (ConfigChanged $ty:ident) => {
        $crate::bindings::config_changed::export_config_changed!($ty with_types_in $crate::bindings::config_changed);
    };
    (Tick $ty:ident) => {
        $crate::bindings::tick::export_tick!($ty with_types_in $crate::bindings::tick);
    };
    ($other:ident $ty:ident) => {
        ::std::compile_error!(concat!(
            "`", stringify!($other), "` is not a hook: expected PreStart, ConfigCopy, Health, LogLine, Signal, ",
            "ComponentEvent, ConfigChanged or Tick"
        ));
    };
}
