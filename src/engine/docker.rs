//! Docker adapter.
