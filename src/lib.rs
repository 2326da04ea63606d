//! Outrigger: a pod controller for plain Docker, Compose and Swarm, with WebAssembly plugins.
//!
//! # Code map, in the order to read it
//!
//! Layers: imports point down only, which `tests/it/layering.rs` holds to.
//!
//! | layer | module | responsibility | knows |
//! | --- | --- | --- | --- |
//! | 1 | [`problem`] | what is wrong with what users wrote, and where | |
//! | 1 | [`labels`] | labels, `pod.yaml`, stack files: as they were written | |
//! | 1 | [`containers`] | containers and engines as values: what is asked for, and what is told | |
//! | 1 | [`pod`] | what they mean: domain types, and every problem at once | |
//! | 1 | [`plan`] | what the pod will do: waves, container specs, overlays of plugins | |
//! | 1 | [`hooks`] | what crosses between a pod and its plugins; the seam | |
//! | 1 | [`own_log`] | lines of the controller's own log that commands read back | |
//! | 1 | [`template`] | stack files with templates, rendered | |
//! | 1 | [`podlike`] | where a stack file will behave otherwise than with podlike | |
//! | 1 | [`config`] | flags and environment, lowered to settings | |
//! | 2 | [`engine`] | calls to the engine; the other seam | bollard |
//! | 2 | [`plugin`] | the plugin host: sandbox, grants, limits, strikes | wasmtime |
//! | 2 | [`logs`] | output of components: frames, lines, batches, sinks | |
//! | 2 | [`watch`] | changed files | inotify |
//! | 2 | [`identity`] | which container the controller runs in | `/proc` |
//! | 2 | [`cgroup`] | cgroups of whole pods: slices of systemd, directories of version 2 | zbus |
//! | 2 | [`janitor`] | what dead controllers left behind | |
//! | 2 | [`processes`] | the components' processes, where the controller sees them | `/proc` |
//! | 2 | [`probe`] | native probes: http, tcp, grpc, commands | hyper |
//! | 2 | [`admin`] | the socket behind `healthcheck` and `status` | |
//! | 3 | [`supervisor`] | the pod's life: a pure `step`, and the driver that does what it says | |
//! | 4 | [`cli`] | the command line | clap |
//! | 0 | [`shutdown`], [`telemetry`], [`metrics`], [`memory`], [`files`], [`clock`], [`faults`], [`idle`] | tasks with an owner; the log; what is counted; giving memory back; files that others may change; the time; faults and their handlers; the commands that only wait | |
pub mod admin;
pub mod cgroup;
pub mod cli;
pub mod clock;
pub mod config;
pub mod containers;
pub mod engine;
pub mod faults;
pub mod files;
pub mod hooks;
pub mod identity;
pub mod idle;
pub mod janitor;
pub mod labels;
pub mod logs;
pub mod memory;
pub mod metrics;
pub mod own_log;
pub mod plan;
pub mod plugin;
pub mod pod;
pub mod podlike;
pub mod probe;
pub mod problem;
pub mod processes;
pub mod shutdown;
pub mod supervisor;
pub mod telemetry;
pub mod template;
pub mod watch;
