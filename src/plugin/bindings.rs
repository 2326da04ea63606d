//! The versions of the contract, a module for each. Nothing of them leaves [`crate::plugin`].
//!
//! What calls and serves a version (`instance`, `call`, `answers`, `imports`) names its types; all else of [`crate::plugin`] knows only ours, which
//! [`v0_1::convert`] makes of them.

pub mod v0_1;
