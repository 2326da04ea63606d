//! Labels and files as they were written.

/// What a user wrote, field by field, before it is checked.
#[derive(Debug, Clone, Default)]
pub struct RawPod {}
