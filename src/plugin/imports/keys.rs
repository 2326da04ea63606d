//! A plugin's key-value store: one small file, written whole, so that it is either the old or the new one whatever happens.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use tokio::sync::Mutex;
use tracing::warn;

use crate::plugin::imports::{Code, Refusal};

/// The first bytes of the file; the number is the format's.
const MAGIC: &[u8] = b"outrigger-state 2\n";

/// Those of the format without versions, which is still read.
const MAGIC_1: &[u8] = b"outrigger-state 1\n";

/// Most keys.
const KEYS: usize = 256;
/// Longest key, in bytes.
const KEY_BYTES: usize = 128;
/// All keys and values together, in bytes.
const TOTAL_BYTES: usize = 1 << 20;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The plugin's own.
    pub value: Vec<u8>,
    /// Greater than 0, and another one after each change of the key.
    pub version: u64,
}

/// The content of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Map {
    entries: BTreeMap<String, Entry>,
    /// The last version that was given to an entry. Kept for keys that are deleted: a later entry must not look like theirs.
    last: u64,
}

/// One plugin's keys, read when they are first asked for.
#[derive(Debug)]
pub struct Keys {
    file: Option<PathBuf>,
    map: Mutex<Option<Map>>,
}

fn failed(why: String) -> Refusal {
    Refusal::new(Code::Failed, why)
}

impl Keys {
    /// Kept in `file`; none: nothing is kept.
    #[must_use]
    pub fn new(file: Option<PathBuf>) -> Self {
        Self { file, map: Mutex::new(None) }
    }

    /// The value of a key.
    ///
    /// # Errors
    /// If the file can't be read.
    pub async fn get(&self, key: &str) -> Result<Option<Entry>, Refusal> {
        let mut map = self.map.lock().await;
        Ok(self.loaded(&mut map).await?.entries.get(key).cloned())
    }

    /// The keys that begin with `prefix`, in order.
    ///
    /// # Errors
    /// If the file can't be read.
    pub async fn keys(&self, prefix: &str) -> Result<Vec<String>, Refusal> {
        let mut map = self.map.lock().await;
        let entries = &self.loaded(&mut map).await?.entries;
        Ok(entries.keys().filter(|key| key.starts_with(prefix)).cloned().collect())
    }

    /// Sets a key and writes the file. Answers the new version.
    ///
    /// # Errors
    /// If the store would grow beyond its limits, or the file can't be written; all is then as before.
    pub async fn set(&self, key: String, value: Vec<u8>) -> Result<u64, Refusal> {
        let mut slot = self.map.lock().await;
        let map = self.loaded(&mut slot).await?;
        self.put(map, key, value).await
    }

    /// Sets a key that still has this version, 0 for one that is not there. None: it has another one, and nothing has changed.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub async fn swap(&self, key: String, version: u64, value: Vec<u8>) -> Result<Option<u64>, Refusal> {
        let mut slot = self.map.lock().await;
        let map = self.loaded(&mut slot).await?;
        if map.entries.get(&key).map_or(0, |entry| entry.version) != version {
            return Ok(None);
        }
        self.put(map, key, value).await.map(Some)
    }

    async fn put(&self, map: &mut Map, key: String, value: Vec<u8>) -> Result<u64, Refusal> {
        if key.is_empty() || key.len() > KEY_BYTES {
            return Err(Refusal::new(Code::Invalid, format!("a key must have 1 to {KEY_BYTES} bytes")));
        }
        let others = map.entries.iter().filter(|(k, _)| **k != key);
        let others: usize = others.map(|(k, entry)| k.len() + entry.value.len()).sum();
        if !map.entries.contains_key(&key) && map.entries.len() >= KEYS {
            return Err(Refusal::new(Code::TooBig, format!("the limit of {KEYS} keys is reached")));
        }
        if others + key.len() + value.len() > TOTAL_BYTES {
            let why = format!("all keys and values together must not exceed {TOTAL_BYTES} bytes");
            return Err(Refusal::new(Code::TooBig, why));
        }
        let version = map.last + 1;
        self.change(map, key, Some(Entry { value, version })).await?;
        Ok(version)
    }

    /// Removes a key and writes the file.
    ///
    /// # Errors
    /// If the file can't be written.
    pub async fn delete(&self, key: &str) -> Result<(), Refusal> {
        let mut slot = self.map.lock().await;
        let map = self.loaded(&mut slot).await?;
        if !map.entries.contains_key(key) {
            return Ok(());
        }
        self.change(map, key.to_owned(), None).await
    }

    /// Changes one key, or nothing.
    async fn change(&self, map: &mut Map, key: String, entry: Option<Entry>) -> Result<(), Refusal> {
        let mut next = map.clone();
        match entry {
            Some(entry) => {
                next.last = entry.version;
                next.entries.insert(key, entry);
            }
            None => {
                next.entries.remove(&key);
            }
        }
        self.save(&next).await.map_err(failed)?;
        *map = next;
        Ok(())
    }

    async fn loaded<'a>(&self, slot: &'a mut Option<Map>) -> Result<&'a mut Map, Refusal> {
        if slot.is_none() {
            *slot = Some(self.load().await.map_err(failed)?);
        }
        Ok(slot.get_or_insert_default())
    }

    async fn load(&self) -> Result<Map, String> {
        let Some(file) = &self.file else { return Ok(Map::default()) };
        let content = match tokio::fs::read(file).await {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Map::default()),
            Err(error) => return Err(format!("cannot read `{}`: {error}", file.display())),
        };
        if let Some(map) = decode(&content) {
            return Ok(map);
        }
        let aside = file.with_extension("damaged");
        warn!(file = %file.display(), kept = %aside.display(), "the saved state of the plugin is damaged; the plugin starts with an empty state");
        tokio::fs::rename(file, &aside).await.map_err(|error| format!("`{}`: {error}", file.display()))?;
        Ok(Map::default())
    }

    async fn save(&self, map: &Map) -> Result<(), String> {
        let Some(file) = self.file.clone() else { return Ok(()) };
        let content = encode(map);
        let at = file.display().to_string();
        let written = tokio::task::spawn_blocking(move || replace(&file, &content)).await;
        written.map_err(io::Error::other).flatten().map_err(|error| format!("cannot write `{at}`: {error}"))
    }
}

fn replace(file: &Path, content: &[u8]) -> io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    if let Some(dir) = file.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    let half = file.with_extension("new");
    let mut out = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&half)?;
    out.write_all(content)?;
    out.sync_data()?;
    std::fs::rename(&half, file)
}

fn encode(map: &Map) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend(map.last.to_le_bytes());
    for (key, Entry { value, version }) in &map.entries {
        out.extend(version.to_le_bytes());
        for part in [key.as_bytes(), value] {
            // Limited to a mebibyte by `put`.
            out.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
            out.extend(part);
        }
    }
    out
}

fn decode(content: &[u8]) -> Option<Map> {
    let (mut rest, versions) = match content.strip_prefix(MAGIC) {
        Some(rest) => (rest, true),
        None => (content.strip_prefix(MAGIC_1)?, false),
    };
    let mut map = Map { last: if versions { number(&mut rest)? } else { 1 }, ..Map::default() };
    while !rest.is_empty() {
        let version = if versions { number(&mut rest)? } else { map.last };
        let key = std::str::from_utf8(part(&mut rest)?).ok()?.to_owned();
        let value = part(&mut rest)?.to_vec();
        map.entries.insert(key, Entry { value, version });
    }
    Some(map)
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    let (number, tail) = rest.split_first_chunk::<8>()?;
    *rest = tail;
    Some(u64::from_le_bytes(*number))
}

fn part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, tail) = rest.split_first_chunk::<4>()?;
    let (part, tail) = tail.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *rest = tail;
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn survives_a_restart_and_damage() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("state/mesh.keys");
        let keys = Keys::new(Some(file.clone()));
        assert_eq!(keys.get("a").await, Ok(None));
        keys.set("a".to_owned(), vec![0, 1, 2]).await.unwrap();
        keys.set("b".to_owned(), Vec::new()).await.unwrap();
        keys.delete("b").await.unwrap();

        let again = Keys::new(Some(file.clone()));
        let entry = again.get("a").await.unwrap().unwrap();
        assert_eq!(entry, Entry { value: vec![0, 1, 2], version: 1 });
        // The versions of keys that are gone are not used again.
        assert_eq!(again.set("b".to_owned(), Vec::new()).await, Ok(3));
        assert_eq!(again.get("b").await.unwrap().unwrap().version, 3);

        let older = b"outrigger-state 1\n\x01\0\0\0a\x02\0\0\0bc";
        std::fs::write(&file, older).unwrap();
        let old = Keys::new(Some(file.clone()));
        assert_eq!(old.get("a").await, Ok(Some(Entry { value: b"bc".to_vec(), version: 1 })));
        assert_eq!(old.swap("a".to_owned(), 1, Vec::new()).await, Ok(Some(2)));

        std::fs::write(&file, b"outrigger-state 2\n\xff\xff\xff\xff").unwrap();
        let damaged = Keys::new(Some(file.clone()));
        assert_eq!(damaged.get("a").await, Ok(None));
        assert!(file.with_extension("damaged").exists());
    }

    #[tokio::test]
    async fn limits_hold() {
        let keys = Keys::new(None);
        let long = keys.set("k".repeat(KEY_BYTES + 1), Vec::new()).await.unwrap_err();
        assert!(long.text.contains(&format!("{KEY_BYTES} bytes")), "{long:?}");
        let together =
            Refusal::new(Code::TooBig, format!("all keys and values together must not exceed {TOTAL_BYTES} bytes"));
        assert_eq!(keys.set("a".to_owned(), vec![0; TOTAL_BYTES]).await, Err(together.clone()));
        keys.set("a".to_owned(), vec![0; TOTAL_BYTES - 1]).await.unwrap();
        keys.set("a".to_owned(), vec![1; TOTAL_BYTES - 1]).await.unwrap();
        assert_eq!(keys.set("b".to_owned(), Vec::new()).await, Err(together));
        keys.delete("a").await.unwrap();
        for index in 0..KEYS {
            keys.set(index.to_string(), Vec::new()).await.unwrap();
        }
        assert!(keys.set("more".to_owned(), Vec::new()).await.unwrap_err().text.contains("256 keys"));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_decode_or_do_not(bytes: Vec<u8>) {
            for magic in [MAGIC, MAGIC_1] {
            let mut file = magic.to_vec();
            file.extend(&bytes);
            if let Some(map) = decode(&file) {
                let again = decode(&encode(&map));
                proptest::prop_assert_eq!(again, Some(map));
            }
            }
        }
    }
}
