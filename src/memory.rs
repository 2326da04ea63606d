//! Gives memory back once a pod runs.
//!
//! Reading labels, planning and starting touch most of the controller's code once, and the kernel maps whole neighbourhoods of whatever is touched. None of it is
//! needed while the pod just runs, which is nearly always: on a node with fifty pods it would be half a gigabyte of resident memory. [`trim`] tells the
//! kernel so. What is touched again is mapped again from the page cache, for a fraction of a microsecond for each page.
#![expect(unsafe_code, reason = "`madvise` is not safe in general; `trim` says why it is here")]

use std::num::NonZero;
use std::ptr::NonNull;

use nix::sys::mman::{MmapAdvise, madvise};
use tracing::debug;

/// A mapping of `/proc/self/smaps`.
#[derive(Debug, PartialEq, Eq)]
struct Mapping {
    from: usize,
    to: usize,
    /// Whether it can be given back without a change of its content.
    clean: bool,
}

/// Gives back the pages of this process's program and of plugins' machine code that are mapped from files and have never been written.
pub fn trim() {
    let Ok(smaps) = std::fs::read_to_string("/proc/self/smaps") else { return };
    let mut given = 0;
    for mapping in mappings(&smaps).into_iter().filter(|mapping| mapping.clean) {
        let Some(from) = NonNull::new(std::ptr::with_exposed_provenance_mut(mapping.from)) else { continue };
        let Some(length) = NonZero::new(mapping.to - mapping.from) else { continue };
        // SAFETY: the mapping is private, of a file, not writable, and has no anonymous page, so every page of it is what the file says,
        // and what is dropped is read from the file again when it is touched. The files do not change under us: the kernel refuses to write a
        // program that runs, and machine code of plugins lies where only this controller, or the image's maker, can write; it is
        // replaced by renaming, never written in place. Nothing maps or unmaps these ranges between the reading and the call:
        // the program's own are never unmapped, and plugins' code lives as long as the process (see `plugin::host::machine_code`).
        match unsafe { madvise(from, length.get(), MmapAdvise::MADV_DONTNEED) } {
            Ok(()) => given += length.get(),
            Err(error) => debug!(%error, "cannot return unused memory to the system"),
        }
    }
    debug!(bytes = given, "returned unused memory to the system");
}

/// Reads `/proc/self/smaps` (proc(5)): a line for each mapping, then a line for each of its figures.
fn mappings(smaps: &str) -> Vec<Mapping> {
    let mut found: Vec<Mapping> = Vec::new();
    for line in smaps.lines() {
        let mut words = line.split_ascii_whitespace();
        let first = words.next().unwrap_or_default();
        if let Some((from, to)) = first
            .split_once('-')
            .and_then(|(from, to)| Some((usize::from_str_radix(from, 16).ok()?, usize::from_str_radix(to, 16).ok()?)))
        {
            let access = words.next().unwrap_or_default();
            let of_a_file = words.nth(3).is_some_and(|path| path.starts_with('/'));
            let clean = of_a_file && matches!(access, "r-xp" | "r--p");
            found.push(Mapping { from, to, clean });
        } else if let ("Anonymous:" | "Swap:", Some(mapping)) = (first, found.last_mut()) {
            mapping.clean &= words.next() == Some("0");
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_clean_pages_of_files_are_given_back() {
        let smaps = "\
00400000-00500000 r--p 00000000 fe:00 1 /outrigger
Rss:                 900 kB
Anonymous:             0 kB
Swap:                  0 kB
00500000-00900000 r-xp 00100000 fe:00 1 /outrigger
Anonymous:             0 kB
00900000-00a00000 r--p 00500000 fe:00 1 /outrigger
Anonymous:          1024 kB
00a00000-00a10000 rw-p 00600000 fe:00 1 /outrigger
Anonymous:             0 kB
7f0000000000-7f0000100000 r-xp 00000000 00:00 0
Anonymous:             0 kB
7fff00000000-7fff00001000 r-xp 00000000 00:00 0 [vdso]
Anonymous:             0 kB
";
        let clean: Vec<usize> = mappings(smaps).into_iter().filter(|it| it.clean).map(|it| it.from).collect();
        assert_eq!(clean, [0x0040_0000, 0x0050_0000]);
    }

    #[test]
    fn the_process_lives_on_with_less() {
        let resident = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find(|line| line.starts_with("RssFile:")).unwrap().to_owned();
            line.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
        };
        let before = resident();
        trim();
        assert!(resident() < before, "{before} kB before, {} kB after", resident());
    }
}
