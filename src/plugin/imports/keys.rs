//! A plugin's key-value store: one small file, written whole, so that it is either the old or the new one whatever happens.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use tokio::sync::Mutex;
use tracing::warn;

/// The first bytes of the file; the number is the format's.
const MAGIC: &[u8] = b"outrigger-state 1\n";

/// Most keys.
const KEYS: usize = 256;
/// Longest key, in bytes.
const KEY_BYTES: usize = 128;
/// All keys and values together, in bytes.
const TOTAL_BYTES: usize = 1 << 20;

type Map = BTreeMap<String, Vec<u8>>;

/// One plugin's keys, read when they are first asked for.
#[derive(Debug)]
pub struct Keys {
    file: Option<PathBuf>,
    map: Mutex<Option<Map>>,
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
    /// Where the file can't be read.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        let mut map = self.map.lock().await;
        Ok(self.loaded(&mut map).await?.get(key).cloned())
    }

    /// Sets a key and writes the file.
    ///
    /// # Errors
    /// Where it would grow beyond its limits, or can't be written; it is then as before.
    pub async fn set(&self, key: String, value: Vec<u8>) -> Result<(), String> {
        if key.is_empty() || key.len() > KEY_BYTES {
            return Err(format!("a key must have 1 to {KEY_BYTES} bytes"));
        }
        let mut slot = self.map.lock().await;
        let map = self.loaded(&mut slot).await?;
        let others: usize = map.iter().filter(|(k, _)| **k != key).map(|(k, v)| k.len() + v.len()).sum();
        if !map.contains_key(&key) && map.len() >= KEYS {
            return Err(format!("the limit of {KEYS} keys is reached"));
        }
        if others + key.len() + value.len() > TOTAL_BYTES {
            return Err(format!("all keys and values together must not exceed {TOTAL_BYTES} bytes"));
        }
        let before = map.insert(key.clone(), value);
        if let Err(error) = self.save(map).await {
            match before {
                Some(value) => map.insert(key, value),
                None => map.remove(&key),
            };
            return Err(error);
        }
        Ok(())
    }

    /// Removes a key and writes the file.
    ///
    /// # Errors
    /// Where it can't be written.
    pub async fn delete(&self, key: &str) -> Result<(), String> {
        let mut slot = self.map.lock().await;
        let map = self.loaded(&mut slot).await?;
        let Some(before) = map.remove(key) else { return Ok(()) };
        if let Err(error) = self.save(map).await {
            map.insert(key.to_owned(), before);
            return Err(error);
        }
        Ok(())
    }

    async fn loaded<'a>(&self, slot: &'a mut Option<Map>) -> Result<&'a mut Map, String> {
        if slot.is_none() {
            *slot = Some(self.load().await?);
        }
        Ok(slot.get_or_insert_default())
    }

    async fn load(&self) -> Result<Map, String> {
        let Some(file) = &self.file else { return Ok(Map::new()) };
        let content = match tokio::fs::read(file).await {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Map::new()),
            Err(error) => return Err(format!("cannot read `{}`: {error}", file.display())),
        };
        if let Some(map) = decode(&content) {
            return Ok(map);
        }
        let aside = file.with_extension("damaged");
        warn!(file = %file.display(), kept = %aside.display(), "the saved state of the plugin is damaged; the plugin starts with an empty state");
        tokio::fs::rename(file, &aside).await.map_err(|error| format!("`{}`: {error}", file.display()))?;
        Ok(Map::new())
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
    for (key, value) in map {
        for part in [key.as_bytes(), value] {
            // Limited to a mebibyte by `set`.
            out.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
            out.extend(part);
        }
    }
    out
}

fn decode(content: &[u8]) -> Option<Map> {
    let mut rest = content.strip_prefix(MAGIC)?;
    let mut part = || -> Option<Option<&[u8]>> {
        if rest.is_empty() {
            return Some(None);
        }
        let (length, tail) = rest.split_first_chunk::<4>()?;
        let (part, tail) = tail.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        rest = tail;
        Some(Some(part))
    };
    let mut map = Map::new();
    while let Some(key) = part()? {
        let key = std::str::from_utf8(key).ok()?.to_owned();
        map.insert(key, part()??.to_vec());
    }
    Some(map)
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
        assert_eq!(again.get("a").await, Ok(Some(vec![0, 1, 2])));
        assert_eq!(again.get("b").await, Ok(None));

        std::fs::write(&file, b"outrigger-state 1\n\xff\xff\xff\xff").unwrap();
        let damaged = Keys::new(Some(file.clone()));
        assert_eq!(damaged.get("a").await, Ok(None));
        assert!(file.with_extension("damaged").exists());
    }

    #[tokio::test]
    async fn limits_hold() {
        let keys = Keys::new(None);
        let long = keys.set("k".repeat(KEY_BYTES + 1), Vec::new()).await.unwrap_err();
        assert!(long.contains(&format!("{KEY_BYTES} bytes")), "{long}");
        let together = format!("all keys and values together must not exceed {TOTAL_BYTES} bytes");
        assert_eq!(keys.set("a".to_owned(), vec![0; TOTAL_BYTES]).await, Err(together.clone()));
        keys.set("a".to_owned(), vec![0; TOTAL_BYTES - 1]).await.unwrap();
        keys.set("a".to_owned(), vec![1; TOTAL_BYTES - 1]).await.unwrap();
        assert_eq!(keys.set("b".to_owned(), Vec::new()).await, Err(together));
        keys.delete("a").await.unwrap();
        for index in 0..KEYS {
            keys.set(index.to_string(), Vec::new()).await.unwrap();
        }
        assert!(keys.set("more".to_owned(), Vec::new()).await.unwrap_err().contains("256 keys"));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_decode_or_do_not(bytes: Vec<u8>) {
            let mut file = MAGIC.to_vec();
            file.extend(bytes);
            if let Some(map) = decode(&file) {
                let again = decode(&encode(&map));
                proptest::prop_assert_eq!(again, Some(map));
            }
        }
    }
}
