//! File watches on a real file system.
