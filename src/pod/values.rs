//! Parsers of single values: durations, sizes, signals.
