//! Builds the misbehaving guests, and changes compiled ones where building a variant for each case would take too long.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Compiles a guest of `tests/guests` for WebAssembly, once, and answers its bytes.
pub fn naughty() -> &'static [u8] {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    BUILT.get_or_init(|| build("naughty"))
}

fn build(name: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = target_dir(root).join("guests");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--release", "--locked", "--target", "wasm32-wasip2", "--package", name])
        .current_dir(root.join("tests/guests"))
        .env("CARGO_TARGET_DIR", &target)
        // Flags for the host's own build mean nothing to a guest.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "guest `{name}`: {}", String::from_utf8_lossy(&output.stderr));
    let file = target.join(format!("wasm32-wasip2/release/{name}.wasm"));
    std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn target_dir(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// Replaces every occurrence of `from` by `to`, which has the same length, so that all offsets in the file stay right.
pub fn patched(wasm: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut out = wasm.to_vec();
    let mut found = 0;
    let mut at = 0;
    while let Some(next) = out[at..].windows(from.len()).position(|window| window == from.as_bytes()) {
        out[at + next..at + next + from.len()].copy_from_slice(to.as_bytes());
        at += next + from.len();
        found += 1;
    }
    assert!(found > 0, "`{from}` does not occur in the guest");
    out
}

/// The naughty guest with another `describe`: see `MODE` in its source.
pub fn describing(mode: &str) -> Vec<u8> {
    patched(naughty(), "describe-mode:plain.............", &format!("{:.<32}", format!("describe-mode:{mode}")))
}
