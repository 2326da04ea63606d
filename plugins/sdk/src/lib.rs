//! Write plugins for Outrigger, the pod controller.
//!
//! A plugin is a WebAssembly component. It says what it is ([`Plugin::manifest`]), takes its configuration ([`Plugin::new`]) and has
//! as many hooks as it likes: one trait each, named in [`register!`]. The component exports what is named there and nothing else.
//!
//! | hook | trait | called |
//! | --- | --- | --- |
//! | `pre-start` | [`PreStart`] | once the plan is known, before anything is created |
//! | `config-copy` | [`ConfigCopy`] | for each file on its way into a component |
//! | `health` | [`Health`] | on its interval, and when the engine reports a component's health |
//! | `log-line` | [`LogLine`] | for each batch of lines of a component's output |
//! | `signal` | [`Signal`] | when the controller receives a signal |
//! | `component-event` | [`ComponentEvent`] | on created, started, exited, restarted, removed |
//! | `config-changed` | [`ConfigChanged`] | when a watched file changed, and how its rollout ended |
//! | `tick` | [`Tick`] | when the plugin asked to be called next |
//!
//! # A complete plugin
//! It drops the lines that contain a word. `Cargo.toml` needs `crate-type = ["cdylib"]` and the dependencies `outrigger-plugin`
//! and `serde`; `cargo build --target wasm32-wasip2 --release` makes the component.
//!
//! ```
//! use outrigger_plugin::{Batch, Edit, Error, LogLine, Manifest, Plugin, Problems, Verdict, Want};
//! use serde::Deserialize;
//!
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     word: String,
//! }
//!
//! struct Quiet {
//!     word: Vec<u8>,
//! }
//!
//! impl Plugin for Quiet {
//!     type Config = Config;
//!
//!     fn manifest() -> Manifest {
//!         Manifest::new("quiet", env!("CARGO_PKG_VERSION"), "drops the lines that contain a word")
//!             .schema(
//!                 r#"{"type": "object", "properties": {"word": {"type": "string", "minLength": 1}},
//!                     "required": ["word"], "additionalProperties": false}"#,
//!             )
//!             .want(Want::lines("*", "to drop lines"))
//!     }
//!
//!     fn new(config: Config) -> Result<Self, Problems> {
//!         Ok(Self { word: config.word.into_bytes() })
//!     }
//! }
//!
//! impl LogLine for Quiet {
//!     fn on_batch(&mut self, batch: &Batch) -> Result<Verdict, Error> {
//!         let mut edit = Edit::new(batch);
//!         for line in batch.lines() {
//!             if line.bytes.windows(self.word.len()).any(|part| part == self.word) {
//!                 edit.drop(line.index);
//!             }
//!         }
//!         Ok(edit.verdict())
//!     }
//! }
//!
//! # #[cfg(target_family = "wasm")]
//! outrigger_plugin::register!(Quiet: LogLine);
//!
//! // An ordinary test: plugins are ordinary types.
//! let mut quiet = Quiet::new(Config { word: "DEBUG".into() }).unwrap();
//! let batch = Batch::of("app", &["INFO up", "DEBUG x=1"]);
//! let judged = outrigger_plugin::testing::apply(&batch, &quiet.on_batch(&batch)?);
//! assert_eq!(judged.lines, [b"INFO up"]);
//! # Ok::<(), Error>(())
//! ```
//!
//! # What of the host a plugin may use
//! The functions of [`host`], as far as the manifest asks and the pod grants; a call without a grant answers an error for which [`Error::is_denied`] holds. What is printed
//! goes to the controller's log: standard output (`println!`) as information, standard error (`eprintln!`) as a warning. The clock and random numbers of the standard library work; files, sockets and
//! variables need the grants `dir`, `tcp`, `http` and `env`.
//!
//! # Tests
//! `cargo test` runs unit tests on the author's machine, without WebAssembly: there, [`host`] is a stand-in that [`testing`] fills and reads. It grants
//! everything. (A native `cargo build` does not link: a component's exports have names that no shared library can have.)
#![deny(unsafe_code)]

#[doc(hidden)]
pub mod bindings;
pub mod de;
mod error;
mod event;
#[doc(hidden)]
pub mod glue;
pub mod host;
mod log;
mod manifest;
mod plugin;
mod register;
mod rollout;
mod setup;
pub mod signals;
#[cfg(not(target_family = "wasm"))]
pub mod testing;

pub use bindings::base::outrigger::pod::common::{Attr, Content, Error, File, Judgement, Probe, Status, Stored};
pub use bindings::config_changed::exports::outrigger::pod::config_changed::Change;
pub use bindings::config_copy::exports::outrigger::pod::config_copy::Verdict as FileVerdict;
pub use bindings::health::exports::outrigger::pod::health::Trigger;
pub use bindings::log_line::exports::outrigger::pod::log_line::Verdict;
pub use bindings::signal::exports::outrigger::pod::signal::{Decision, Delivery};
pub use error::{Problem, Problems};
pub use event::{Event, EventKind, Reaction};
pub use log::{Batch, Edit, Line, Output};
pub use manifest::{Manifest, Want};
pub use plugin::{
    ComponentEvent, ConfigChanged, ConfigCopy, Health, LogLine, NoConfig, Plugin, PreStart, Signal, Tick,
};
pub use rollout::{Action, Command, Outcome, Rollout};
pub use serde_json;
