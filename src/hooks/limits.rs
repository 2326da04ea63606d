//! Limits of the contract, as `wit/` promises them to plugins; whoever checks or keeps one takes it from here.

/// Least delay between two ticks, in milliseconds.
pub const LEAST_TICK_MS: u32 = 10;

/// Longest that components may be asked to stay healthy after a rollout, in milliseconds.
pub const LONGEST_HEALTHY_MS: u32 = 600_000;

/// Longest command, of a rollout or of `exec.run`, in milliseconds.
pub const LONGEST_COMMAND_MS: u32 = 600_000;

/// Most files of one rollout, and most files, commands or judgements of any other answer.
pub const MOST_FILES: usize = 256;

/// Largest file that is watched, read for a plugin or kept for a roll-back, in bytes.
pub const LARGEST_FILE: u32 = 8 << 20;

/// Longest content of a file that a plugin gets whole, in bytes; it reads longer ones in parts.
pub const INLINE_BYTES: usize = 64 << 10;

/// Least and longest quiet time of a watch, in milliseconds.
pub const DEBOUNCE_MS: (u32, u32) = (10, 60_000);

/// Longest line that leaves a plugin, and most bytes of its fields. The log cuts what components write at the same length.
pub const LONGEST_LINE: usize = 1 << 20;

/// Most lines that a plugin may make of a batch: so many for each line that it was given, ...
pub const LINES_EACH: usize = 4;
/// ... so many more, ...
pub const LINES_MORE: usize = 1024;
/// ... but never more than so many altogether, so that a chain of plugins does not multiply them.
pub const LINES_MOST: usize = 8192;

/// Most bytes, of lines and of their fields, that a plugin may make of a batch: so many for each byte that it was given, ...
pub const BYTES_EACH: usize = 4;
/// ... so many more, ...
pub const BYTES_MORE: usize = 1 << 20;
/// ... but never more than so many altogether.
pub const BYTES_MOST: usize = 8 << 20;
