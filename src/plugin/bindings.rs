//! The versions of the contract, a module for each. Nothing of them leaves [`crate::plugin`].
//!
//! A version's generated types appear in its module alone: [`v0_1::calls`] calls the hooks and [`v0_1::imports`] serves the guest's calls, both with our own types
//! on the other side. `tests/it/layering.rs` holds to that.

pub mod v0_1;
