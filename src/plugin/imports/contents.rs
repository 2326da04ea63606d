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
    drafts: BTreeMap<u64, Vec<u8>>,
    /// Of the guest's own making, drafts included.
    bytes: usize,
    inline: usize,
    /// The last draft. Never used again, so that the handle of a draft of an earlier call has nothing.
    last: u64,
}

/// A content that a guest is making. The bytes are with the contents of the call: a guest that keeps its handles keeps no memory of the host.
#[derive(Debug)]
pub struct Draft(u64);

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
        // It is there anyway, for as long as the call: whoever reads one for the guest has admitted it.
        self.known.insert(digest.clone(), content.clone());
        Shown::Stored(digest, length as u64)
    }

    /// Makes room for a content that is read for the guest.
    ///
    /// # Errors
    /// If the contents of this call get too many bytes.
    pub fn admit(&mut self, length: usize) -> Result<(), Refusal> {
        if self.bytes + length > CALL_BYTES {
            return Err(Refusal::new(
                Code::TooBig,
                format!("the contents of a call can have at most {CALL_BYTES} bytes together"),
            ));
        }
        self.bytes += length;
        Ok(())
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

    /// A new draft.
    pub fn draft(&mut self) -> Draft {
        self.last += 1;
        Draft(self.last)
    }

    /// Adds to a draft.
    ///
    /// # Errors
    /// If it gets longer than a file may be, or if the contents of this call get too many bytes.
    pub fn append(&mut self, draft: &Draft, bytes: &[u8]) -> Result<(), Refusal> {
        let limit = LARGEST_FILE as usize;
        if self.drafts.get(&draft.0).map_or(0, Vec::len) + bytes.len() > limit {
            return Err(Refusal::new(Code::TooBig, format!("a content can have at most {limit} bytes")));
        }
        self.admit(bytes.len())?;
        self.drafts.entry(draft.0).or_default().extend_from_slice(bytes);
        Ok(())
    }

    /// Ends a draft; answers its digest and length.
    pub fn finish(&mut self, draft: &Draft) -> (String, u64) {
        let content = Bytes::from(self.drafts.remove(&draft.0).unwrap_or_default());
        let (digest, length) = (hex::encode(Sha256::digest(&content)), content.len());
        self.known.insert(digest.clone(), content);
        (digest, length as u64)
    }

    /// Gives a draft up.
    pub fn discard(&mut self, draft: &Draft) {
        let content = self.drafts.remove(&draft.0).unwrap_or_default();
        self.bytes = self.bytes.saturating_sub(content.len());
    }

    /// Forgets all contents: the call has ended.
    pub fn clear(&mut self) {
        *self = Self { last: self.last, ..Self::default() };
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
    fn drafts_are_bounded_together_and_end_with_the_call() {
        let mut contents = Contents::default();
        let draft = contents.draft();
        contents.append(&draft, b"a").unwrap();
        contents.append(&draft, b"b").unwrap();
        let (digest, size) = contents.finish(&draft);
        assert_eq!((contents.find(&digest).unwrap(), size), (Bytes::from("ab"), 2));
        let most = vec![1; LARGEST_FILE as usize];
        contents.append(&draft, &most).unwrap();
        assert_eq!(contents.append(&draft, b"x").unwrap_err().code, Code::TooBig);
        // However many drafts there are: eight of 8 MiB, less the two bytes.
        let drafts: Vec<_> = (0..7).map(|_| contents.draft()).collect();
        for draft in &drafts[..6] {
            contents.append(draft, &most).unwrap();
        }
        let refused = contents.append(&drafts[6], &most).unwrap_err();
        assert!(refused.text.contains("67108864 bytes together"), "{refused:?}");
        contents.append(&drafts[6], &most[2..]).unwrap();
        contents.discard(&drafts[0]);
        contents.append(&drafts[6], b"xy").unwrap();
        contents.clear();
        assert!(contents.drafts.is_empty() && contents.known.is_empty());
        let later = contents.draft();
        contents.append(&later, b"later").unwrap();
        assert_eq!(contents.finish(&drafts[1]).1, 0, "a handle of an earlier call has nothing");
        assert_eq!(contents.finish(&later).1, 5);
    }
}
