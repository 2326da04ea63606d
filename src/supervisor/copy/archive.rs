//! Tar archives in pieces: what is in them is held once, and never moved.

use std::io::Result;
use std::path::Path;

use bytes::Bytes;

use crate::clock::since_epoch;

/// A tar archive is a sequence of blocks of so many bytes.
const BLOCK: usize = 512;

/// Fills up the last block of a file; two blocks of it end an archive.
const ZEROS: Bytes = Bytes::from_static(&[0; 2 * BLOCK]);

/// An archive that ends before it begins.
pub fn empty() -> Vec<Bytes> {
    vec![ZEROS]
}

/// Permission bits, owner and group.
#[derive(Debug, Clone, Copy)]
pub struct Rights {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

/// An archive that is being made.
pub struct Archive {
    heads: tar::Builder<Vec<u8>>,
    pieces: Vec<Bytes>,
    now: u64,
}

impl Archive {
    pub fn new() -> Self {
        Self { heads: tar::Builder::new(Vec::new()), pieces: Vec::new(), now: since_epoch().as_secs() }
    }

    pub fn file(&mut self, path: &str, rights: Rights, content: Bytes) -> Result<()> {
        let mut header = self.header(tar::EntryType::Regular, rights);
        header.set_size(content.len() as u64);
        // The head alone: the content follows as a piece of its own.
        self.heads.append_data(&mut header, path, std::io::empty())?;
        let rest = content.len() % BLOCK;
        if !content.is_empty() {
            self.cut();
            self.pieces.push(content);
        }
        if rest > 0 {
            self.pieces.push(ZEROS.slice(..BLOCK - rest));
        }
        Ok(())
    }

    pub fn directory(&mut self, path: &str, rights: Rights) -> Result<()> {
        let mut header = self.header(tar::EntryType::Directory, rights);
        self.heads.append_data(&mut header, format!("{path}/"), std::io::empty())
    }

    pub fn link(&mut self, path: &str, rights: Rights, target: &Path) -> Result<()> {
        let mut header = self.header(tar::EntryType::Symlink, rights);
        self.heads.append_link(&mut header, path, target)
    }

    fn header(&self, kind: tar::EntryType, rights: Rights) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        header.set_mode(rights.mode);
        header.set_uid(rights.uid.into());
        header.set_gid(rights.gid.into());
        header.set_mtime(self.now);
        header
    }

    /// Ends the piece with the heads.
    fn cut(&mut self) {
        let heads = std::mem::take(self.heads.get_mut());
        if !heads.is_empty() {
            self.pieces.push(Bytes::from(heads));
        }
    }

    pub fn finish(mut self) -> Vec<Bytes> {
        self.cut();
        self.pieces.push(ZEROS);
        // The builder would add an end of its own, to nothing.
        std::mem::take(&mut self.pieces)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn what_is_packed_comes_out_again() {
        let long = format!("{}/{}", "d".repeat(90), "f".repeat(90));
        let rights = |mode| Rights { mode, uid: 1000, gid: 3_000_000_000 };
        let contents = [Vec::new(), vec![1; 511], vec![2; 512], vec![3; 513]];
        let mut archive = Archive::new();
        archive.directory("dir", rights(0o700)).unwrap();
        for (n, content) in contents.iter().enumerate() {
            archive.file(&format!("dir/{n}"), rights(0o640), content.clone().into()).unwrap();
        }
        archive.file(&long, rights(0o4755), Bytes::from_static(b"x")).unwrap();
        archive.link("dir/link", rights(0o777), Path::new("../to")).unwrap();
        archive.link("dir/far", rights(0o777), Path::new(&long)).unwrap();
        let whole = archive.finish().concat();
        assert_eq!(whole.len() % BLOCK, 0);

        let mut found = Vec::new();
        for entry in tar::Archive::new(whole.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            let header = entry.header();
            assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (1000, 3_000_000_000));
            let path = entry.path().unwrap().to_str().unwrap().to_owned();
            let link = entry.link_name().unwrap().map(|link| link.to_str().unwrap().to_owned());
            found.push((path, header.mode().unwrap(), content, link));
        }
        let mut expected = vec![("dir/".to_owned(), 0o700, Vec::new(), None)];
        let files = contents.into_iter().enumerate();
        expected.extend(files.map(|(n, content)| (format!("dir/{n}"), 0o640, content, None)));
        expected.push((long.clone(), 0o4755, b"x".to_vec(), None));
        expected.push(("dir/link".to_owned(), 0o777, Vec::new(), Some("../to".to_owned())));
        expected.push(("dir/far".to_owned(), 0o777, Vec::new(), Some(long)));
        assert_eq!(found, expected);
        assert_eq!(tar::Archive::new(empty().concat().as_slice()).entries().unwrap().count(), 0);
    }
}
