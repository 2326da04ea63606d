//! Takes the engine's log stream apart.
//!
//! Without a terminal each piece of output has a header of eight bytes: the stream, three zeros and the length (big endian). A terminal's output has no
//! headers. Chunks of the connection may cut both anywhere. Pieces that lie whole in one chunk are handed on without being copied.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

use crate::engine::Output;

/// Length of a frame's header.
const HEADER: usize = 8;

/// A frame longer than this is handed on in pieces as they arrive, so that a lying header can't make us collect for ever. Log drivers cut at 16 KiB.
const LONGEST: usize = 256 * 1024;

/// A frame, or a part of a long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) output: Output,
    pub(super) bytes: Bytes,
    /// Whether it goes on with the frame of the piece before.
    pub(super) continues: bool,
}

/// The stream is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadStream {
    #[error("`{0:02x?}` is not a frame header")]
    Header([u8; HEADER]),
    #[error("{0}")]
    Engine(String),
    #[error("the connection was cut inside a frame")]
    Cut,
}

/// Bytes in, frames out.
#[derive(Debug)]
pub(super) struct Frames {
    form: Form,
    partial: BytesMut,
}

#[derive(Debug)]
enum Form {
    /// Raw: chunks are frames.
    Terminal,
    /// Raw, and each line begins with its time: lines are frames.
    TerminalLines,
    /// With headers; between two frames.
    Header,
    /// With headers; so many bytes of the payload are missing, and whether some were handed on already.
    Payload(Stream, usize, bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Of(Output),
    /// The engine tells of a failure inside the stream.
    Failure,
}

impl Frames {
    pub(super) fn new(tty: bool, timestamps: bool) -> Self {
        let form = match (tty, timestamps) {
            (true, false) => Form::Terminal,
            (true, true) => Form::TerminalLines,
            (false, _) => Form::Header,
        };
        Self { form, partial: BytesMut::new() }
    }

    /// Takes one chunk and appends the frames that it completes.
    pub(super) fn push(&mut self, mut chunk: Bytes, frames: &mut VecDeque<Piece>) -> Result<(), BadStream> {
        while !chunk.is_empty() {
            match self.form {
                Form::Terminal => frames.push_back(terminal(std::mem::take(&mut chunk))),
                Form::TerminalLines => self.line(&mut chunk, frames),
                Form::Header => self.header(&mut chunk)?,
                Form::Payload(stream, missing, continues) => {
                    self.payload(stream, missing, continues, &mut chunk, frames)?
                }
            }
        }
        Ok(())
    }

    /// Whether the stream may end here.
    pub(super) fn between(&self) -> Result<(), BadStream> {
        match self.form {
            Form::Terminal | Form::TerminalLines => Ok(()),
            Form::Header if self.partial.is_empty() => Ok(()),
            Form::Header | Form::Payload(..) => Err(BadStream::Cut),
        }
    }

    /// Nothing more will come: hands on a last line without its end.
    pub(super) fn end(&mut self, frames: &mut VecDeque<Piece>) {
        if matches!(self.form, Form::TerminalLines) && !self.partial.is_empty() {
            frames.push_back(terminal(self.partial.split().freeze()));
        }
    }

    fn line(&mut self, chunk: &mut Bytes, frames: &mut VecDeque<Piece>) {
        let end = memchr::memchr(b'\n', chunk).map_or(chunk.len(), |at| at + 1);
        let whole = chunk.get(end.wrapping_sub(1)) == Some(&b'\n');
        let piece = chunk.split_to(end);
        if whole && self.partial.is_empty() {
            frames.push_back(terminal(piece));
            return;
        }
        self.partial.extend_from_slice(&piece);
        if whole || self.partial.len() >= LONGEST {
            frames.push_back(terminal(self.partial.split().freeze()));
        }
    }

    fn header(&mut self, chunk: &mut Bytes) -> Result<(), BadStream> {
        let mut header = [0; HEADER];
        if self.partial.is_empty() && chunk.len() >= HEADER {
            chunk.copy_to_slice(&mut header);
        } else {
            let more = chunk.split_to(chunk.len().min(HEADER - self.partial.len()));
            self.partial.extend_from_slice(&more);
            if self.partial.len() < HEADER {
                return Ok(());
            }
            self.partial.copy_to_slice(&mut header);
        }
        let [stream, 0, 0, 0, a, b, c, d] = header else { return Err(BadStream::Header(header)) };
        let stream = match stream {
            0 | 1 => Stream::Of(Output::Stdout),
            2 => Stream::Of(Output::Stderr),
            3 => Stream::Failure,
            _ => return Err(BadStream::Header(header)),
        };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        self.form = if length == 0 { Form::Header } else { Form::Payload(stream, length, false) };
        Ok(())
    }

    fn payload(
        &mut self,
        stream: Stream,
        missing: usize,
        continues: bool,
        chunk: &mut Bytes,
        frames: &mut VecDeque<Piece>,
    ) -> Result<(), BadStream> {
        let piece = chunk.split_to(chunk.len().min(missing));
        let missing = missing - piece.len();
        let bytes = if self.partial.is_empty() && (missing == 0 || piece.len() >= LONGEST) {
            piece
        } else {
            self.partial.extend_from_slice(&piece);
            if missing > 0 && self.partial.len() < LONGEST {
                self.form = Form::Payload(stream, missing, continues);
                return Ok(());
            }
            self.partial.split().freeze()
        };
        self.form = if missing == 0 { Form::Header } else { Form::Payload(stream, missing, true) };
        match stream {
            Stream::Of(output) => frames.push_back(Piece { output, bytes, continues }),
            Stream::Failure => return Err(BadStream::Engine(String::from_utf8_lossy(&bytes).trim().to_owned())),
        }
        Ok(())
    }
}

fn terminal(bytes: Bytes) -> Piece {
    Piece { output: Output::Stdout, bytes, continues: false }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed(stream: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![stream, 0, 0, 0];
        bytes.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    fn decode(tty: bool, timestamps: bool, chunks: &[&[u8]]) -> Result<Vec<(Output, Vec<u8>)>, BadStream> {
        let mut frames = Frames::new(tty, timestamps);
        let mut out = VecDeque::new();
        for chunk in chunks {
            frames.push(Bytes::copy_from_slice(chunk), &mut out)?;
        }
        frames.between()?;
        frames.end(&mut out);
        Ok(out.into_iter().map(|frame| (frame.output, frame.bytes.to_vec())).collect())
    }

    #[test]
    fn cut_at_every_offset_it_is_the_same() {
        let mut bytes = framed(1, b"ten bytes\n");
        bytes.extend(framed(2, b"two\nlines\n"));
        bytes.extend(framed(1, b""));
        bytes.extend(framed(1, b"\x01\x00\x00\x00\x00\x00\x00\x03half"));
        let whole = decode(false, false, &[&bytes]).unwrap();
        assert_eq!(
            whole,
            [
                (Output::Stdout, b"ten bytes\n".to_vec()),
                (Output::Stderr, b"two\nlines\n".to_vec()),
                (Output::Stdout, b"\x01\x00\x00\x00\x00\x00\x00\x03half".to_vec()),
            ]
        );
        for cut in 0..bytes.len() {
            let (a, b) = bytes.split_at(cut);
            assert_eq!(decode(false, false, &[a, b]).unwrap(), whole, "cut at {cut}");
        }
    }

    proptest! {
        #[test]
        fn any_frames_in_any_chunks(
            payloads in prop::collection::vec((1u8..=2, prop::collection::vec(any::<u8>(), 0..60)), 0..8),
            size in 1usize..40,
        ) {
            let bytes: Vec<u8> = payloads.iter().flat_map(|(stream, payload)| framed(*stream, payload)).collect();
            let chunks: Vec<&[u8]> = bytes.chunks(size).collect();
            let got = decode(false, true, &chunks).unwrap();
            let want: Vec<_> = payloads
                .into_iter()
                .filter(|(_, payload)| !payload.is_empty())
                .map(|(stream, payload)| (if stream == 2 { Output::Stderr } else { Output::Stdout }, payload))
                .collect();
            prop_assert_eq!(got, want);
        }

        /// Neither headers that lie nor any other bytes make it panic, or collect more than one frame's worth.
        #[test]
        fn no_bytes_panic_or_collect_for_ever(
            parts in prop::collection::vec((0u8..=5, prop_oneof![0u32..40, any::<u32>()], prop::collection::vec(any::<u8>(), 0..60)), 0..8),
            size in 1usize..40,
            tty: bool,
            timestamps: bool,
        ) {
            let mut bytes = Vec::new();
            for (stream, length, payload) in parts {
                bytes.extend([stream, 0, 0, 0]);
                bytes.extend(length.to_be_bytes());
                bytes.extend(payload);
            }
            let (mut frames, mut out) = (Frames::new(tty, timestamps), VecDeque::new());
            for chunk in bytes.chunks(size) {
                if frames.push(Bytes::copy_from_slice(chunk), &mut out).is_err() {
                    break;
                }
                prop_assert!(frames.partial.len() < LONGEST);
            }
            let handed: usize = out.iter().map(|piece| piece.bytes.len()).sum();
            prop_assert!(handed <= bytes.len());
        }

        #[test]
        fn a_terminal_loses_nothing(bytes in prop::collection::vec(any::<u8>(), 0..200), size in 1usize..40, timestamps: bool) {
            let chunks: Vec<&[u8]> = bytes.chunks(size).collect();
            let got: Vec<u8> = decode(true, timestamps, &chunks).unwrap().into_iter().flat_map(|(_, b)| b).collect();
            prop_assert_eq!(got, bytes);
        }
    }

    #[test]
    fn a_terminal_with_timestamps_is_cut_at_line_ends() {
        let got = decode(true, true, &[b"1 a\r\n2 ", b"b\r\n3 c"]).unwrap();
        let lines: Vec<_> = got.iter().map(|(_, bytes)| bytes.as_slice()).collect();
        assert_eq!(lines, [&b"1 a\r\n"[..], b"2 b\r\n", b"3 c"]);
    }

    #[test]
    fn a_frame_without_measure_comes_in_pieces() {
        let payload = vec![b'x'; 3 * LONGEST];
        let got = decode(false, false, &framed(1, &payload).chunks(1000).collect::<Vec<_>>()).unwrap();
        assert!(got.len() > 2);
        assert!(got.iter().all(|(_, bytes)| bytes.len() < LONGEST + 1000));
        assert_eq!(got.iter().map(|(_, bytes)| bytes.len()).sum::<usize>(), payload.len());
    }

    /// Whoever counts frames must see that a part belongs to the one before.
    #[test]
    fn the_parts_of_a_long_frame_say_that_they_continue_it() {
        for chunk in [1000, LONGEST - 1, LONGEST, 2 * LONGEST + 8] {
            let mut bytes = framed(1, &vec![b'x'; 3 * LONGEST + 1]);
            bytes.extend(framed(2, b"next"));
            let mut frames = Frames::new(false, true);
            let mut out = VecDeque::new();
            bytes.chunks(chunk).for_each(|chunk| frames.push(Bytes::copy_from_slice(chunk), &mut out).unwrap());
            let next = out.pop_back().unwrap();
            assert_eq!((next.bytes.as_ref(), next.continues), (&b"next"[..], false));
            let first = out.pop_front().unwrap();
            assert!(!first.continues, "chunks of {chunk}");
            assert!(!out.is_empty() && out.iter().all(|piece| piece.continues), "chunks of {chunk}");
        }
    }

    /// A terminal's line that never ends is handed on in parts: nothing is collected for ever.
    #[test]
    fn an_endless_line_of_a_terminal_is_bounded() {
        let mut frames = Frames::new(true, true);
        let mut out = VecDeque::new();
        for pushed in 1..=(3 * LONGEST / 1000) {
            frames.push(Bytes::from(vec![b'x'; 1000]), &mut out).unwrap();
            assert!(frames.partial.len() < LONGEST + 1000, "after {pushed} chunks");
        }
        let handed_on: usize = out.iter().map(|piece| piece.bytes.len()).sum();
        assert!(handed_on >= 2 * LONGEST && out.iter().all(|piece| piece.bytes.len() < LONGEST + 1000));
    }

    #[test]
    fn what_is_no_frame_is_an_error() {
        assert_eq!(decode(false, false, &[b"raw text"]), Err(BadStream::Header(*b"raw text")));
        assert_eq!(decode(false, false, &[&framed(1, b"abc")[..9]]), Err(BadStream::Cut));
        assert_eq!(decode(false, false, &[&[1, 0]]), Err(BadStream::Cut));
        assert_eq!(decode(false, false, &[&framed(3, b"disk full\n")]), Err(BadStream::Engine("disk full".into())));
    }
}
