//! The one integration binary: every file is a module of it.

mod stock;
