//! Contents of files by digest, so that a guest need not have a long file in its memory.

use std::collections::BTreeMap;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::hooks::limits::{INLINE_BYTES, LARGEST_FILE};
use crate::plugin::imports::{Code, Refusal};

/// All contents of one call together, in bytes.
const CALL_BYTES: usize = 64 << 20;

/// Contents that a guest may have inline in one call, in bytes; all others are by digest, however short.
const INLINE_CALL_BYTES: usize = 1 << 20;

/// The contents of one call of a guest.
#[derive(Debug, Default)]
pub struct Contents {
    known: BTreeMap<String, Bytes>,
    bytes: usize,
    inline: usize,
}

/// A content that a guest is making.
#[derive(Debug, Default)]
pub struct Draft(Vec<u8>);

/// A content as a guest gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// All bytes.
    Inline(Vec<u8>),
    /// By digest, with the number of bytes.
    Stored(String, u64),
}

impl Contents {
    /// Shows a content to the guest. `digest` is its SHA-256 in hexadecimal, if it is known already.
    pub fn show(&mut self, content: &Bytes, digest: Option<&str>) -> Shown {
        let length = content.len();
        if length <= INLINE_BYTES && self.inline + length <= INLINE_CALL_BYTES {
            self.inline += length;
            return Shown::Inline(content.to_vec());
        }
        let digest = digest.map_or_else(|| hex::encode(Sha256::digest(content)), str::to_owned);
        // The host's own contents are there anyway: they cost nothing, and are bounded by those who read them.
        self.known.insert(digest.clone(), content.clone());
        Shown::Stored(digest, length as u64)
    }

    /// The content of this digest.
    ///
    /// # Errors
    /// If the guest has not been shown it in this call.
    pub fn find(&self, digest: &str) -> Result<Bytes, Refusal> {
        self.known.get(digest).cloned().ok_or_else(|| {
            let digest: String = digest.chars().filter(|c| !c.is_control()).take(64).collect();
            Refusal::new(Code::NotFound, format!("there is no content `{digest}` in this call"))
        })
    }

    /// A part of a content.
    ///
    /// # Errors
    /// As [`find`](Self::find), or if more is wanted than a call may have.
    pub fn read(&self, digest: &str, offset: u64, length: u32) -> Result<Vec<u8>, Refusal> {
        let length = length as usize;
        if length > INLINE_BYTES {
            return Err(Refusal::new(Code::TooBig, format!("a call can read at most {INLINE_BYTES} bytes")));
        }
        let content = self.find(digest)?;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        let to = from.saturating_add(length).min(content.len());
        Ok(content.slice(from..to).to_vec())
    }

    /// Adds to a draft.
    ///
    /// # Errors
    /// If it gets longer than a file may be.
    pub fn append(&self, draft: &mut Draft, bytes: &[u8]) -> Result<(), Refusal> {
        let limit = LARGEST_FILE as usize;
        if draft.0.len() + bytes.len() > limit {
            return Err(Refusal::new(Code::TooBig, format!("a content can have at most {limit} bytes")));
        }
        draft.0.extend_from_slice(bytes);
        Ok(())
    }

    /// Ends a draft; answers its digest and length.
    ///
    /// # Errors
    /// If the contents of this call get too many bytes.
    pub fn finish(&mut self, draft: &mut Draft) -> Result<(String, u64), Refusal> {
        if self.bytes + draft.0.len() > CALL_BYTES {
            return Err(Refusal::new(
                Code::TooBig,
                format!("the new contents of a call can have at most {CALL_BYTES} bytes together"),
            ));
        }
        let content = Bytes::from(std::mem::take(&mut draft.0));
        let (digest, length) = (hex::encode(Sha256::digest(&content)), content.len());
        if self.known.insert(digest.clone(), content).is_none() {
            self.bytes += length;
        }
        Ok((digest, length as u64))
    }

    /// Forgets all contents: the call has ended.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_contents_are_read_in_ranges() {
        let mut contents = Contents::default();
        let long = Bytes::from((0..200_000_u32).map(|i| (i % 251) as u8).collect::<Vec<_>>());
        let Shown::Stored(digest, size) = contents.show(&long, None) else { panic!("it is longer than 64 KiB") };
        assert_eq!((digest.as_str(), size), (hex::encode(Sha256::digest(&long)).as_str(), 200_000));
        let mut read = Vec::new();
        while let part = contents.read(&digest, read.len() as u64, INLINE_BYTES as u32).unwrap()
            && !part.is_empty()
        {
            read.extend(part);
        }
        assert_eq!(read, long);
        assert_eq!(contents.read(&digest, 199_999, 10).unwrap(), [long[199_999]]);
        assert_eq!(contents.read(&digest, u64::MAX, 10).unwrap(), Vec::<u8>::new());
        assert_eq!(contents.read(&digest, 0, INLINE_BYTES as u32 + 1).unwrap_err().code, Code::TooBig);
        contents.clear();
        assert_eq!(contents.read(&digest, 0, 1).unwrap_err().code, Code::NotFound);
    }

    #[test]
    fn many_short_contents_do_not_fill_the_guest() {
        let mut contents = Contents::default();
        let short = Bytes::from(vec![7; INLINE_BYTES]);
        let shown: Vec<_> = (0..20).map(|_| contents.show(&short, None)).collect();
        let inline = shown.iter().filter(|shown| matches!(shown, Shown::Inline(_))).count();
        assert_eq!(inline, INLINE_CALL_BYTES / INLINE_BYTES);
        assert_eq!(contents.find(&hex::encode(Sha256::digest(&short))).unwrap(), short);
    }

    #[test]
    fn drafts_are_bounded() {
        let mut contents = Contents::default();
        let mut draft = Draft::default();
        contents.append(&mut draft, b"a").unwrap();
        contents.append(&mut draft, b"b").unwrap();
        let (digest, size) = contents.finish(&mut draft).unwrap();
        assert_eq!((contents.find(&digest).unwrap(), size), (Bytes::from("ab"), 2));
        let most = vec![1; LARGEST_FILE as usize];
        contents.append(&mut draft, &most).unwrap();
        assert_eq!(contents.append(&mut draft, b"x").unwrap_err().code, Code::TooBig);
        let mut made = 1;
        loop {
            if let Err(refusal) = contents.finish(&mut draft) {
                assert_eq!(refusal.code, Code::TooBig);
                break;
            }
            made += 1;
            contents.append(&mut draft, &most[made..]).unwrap();
        }
        assert_eq!(made, 9, "eight of 8 MiB, and two bytes");
    }
}
