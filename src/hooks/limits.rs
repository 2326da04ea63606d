//! Limits of the contract, as `wit/` promises them to plugins; whoever checks or keeps one takes it from here.

/// Least delay between two ticks, in milliseconds.
pub const LEAST_TICK_MS: u32 = 10;

/// Longest that components may be asked to stay healthy after a rollout, in milliseconds.
pub const LONGEST_HEALTHY_MS: u32 = 600_000;

/// Longest command, of a rollout or of `exec.run`, in milliseconds.
pub const LONGEST_COMMAND_MS: u32 = 600_000;

/// Largest file that is watched, read for a plugin or kept for a roll-back, in bytes.
pub const LARGEST_FILE: u32 = 8 << 20;

/// Least and longest quiet time of a watch, in milliseconds.
pub const DEBOUNCE_MS: (u32, u32) = (10, 60_000);
