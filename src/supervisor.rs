//! The pod's life.
//!
//! [`state::Pod::step`] decides, purely; [`driver::Driver`] does what it says and turns every outcome into an event. Around the driver: [`boot`] finds out who
//! we are and makes the plan, [`launch`] brings one container up, [`follow`] listens to the engine and misses no exit, [`requests`] serves
//! plugins, [`rollout`] changes files in running components as one transaction, [`findings`] keeps what probes find, [`signals`] listens to the
//! kernel. Behind these: [`copy`] moves files, [`place`] follows the links of components, [`inside`] runs commands in them, [`lifecycle`] carries out probes and steps, [`stopping`] asks one component to stop, [`outage`] reports that the engine is away, [`vanished`] sees components end meanwhile, [`output`] has a component's lines read, [`watches`] files,
//! [`polls`] is what goes on from time to time, [`cleanup`] removes what was made, [`views`] is the pod as others see it, [`measures`] the same in numbers, [`shared`] what all of them share.

pub mod boot;
pub mod cleanup;
pub mod copy;
pub mod driver;
pub mod events;
pub mod findings;
pub mod follow;
pub mod inside;
pub mod launch;
pub mod lifecycle;
pub mod measures;
pub mod outage;
pub mod output;
pub mod place;
pub mod polls;
pub mod requests;
pub mod rollout;
pub mod shared;
pub mod signals;
pub mod state;
pub mod stopping;
pub mod vanished;
pub mod views;
pub mod watches;
