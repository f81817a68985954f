//! A stream of JSON objects, one behind the other, taken apart as it comes.

use bytes::{Buf, Bytes, BytesMut};

/// Why the stream cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadStream {
    /// Something that is no object.
    #[error("records are JSON objects, one behind the other")]
    NoObject,
    /// An object that is longer than may be.
    #[error("an object is too long")]
    TooLong,
    /// An object that has no end.
    #[error("the last object has no end")]
    Cut,
}

/// What of the stream has come and is not taken yet.
#[derive(Debug)]
pub(super) struct Objects {
    buffer: BytesMut,
    /// Bytes at the front that were looked at already.
    looked: usize,
    depth: u32,
    in_text: bool,
    is_escaped: bool,
    bytes_max: usize,
}

impl Objects {
    /// Of objects of at most so many bytes.
    pub fn new(bytes_max: usize) -> Objects {
        let buffer = BytesMut::new();
        Objects { buffer, looked: 0, depth: 0, in_text: false, is_escaped: false, bytes_max }
    }

    /// Takes a piece in.
    pub fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// Bytes that are held.
    pub fn held(&self) -> usize {
        self.buffer.len()
    }

    /// The next object that is whole. Whether it is JSON within is for its reader.
    pub fn next(&mut self) -> Result<Option<Bytes>, BadStream> {
        if self.depth == 0 {
            let blank = self.buffer.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            self.buffer.advance(blank);
            match self.buffer.first() {
                None => return Ok(None),
                Some(b'{') => {}
                Some(_) => return Err(BadStream::NoObject),
            }
        }
        let unseen = self.buffer.get(self.looked..).unwrap_or_default();
        for (at, byte) in unseen.iter().enumerate() {
            if self.in_text {
                match byte {
                    _ if self.is_escaped => self.is_escaped = false,
                    b'\\' => self.is_escaped = true,
                    b'"' => self.in_text = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_text = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            if self.depth == 0 {
                let end = self.looked + at + 1;
                self.looked = 0;
                if end > self.bytes_max {
                    return Err(BadStream::TooLong);
                }
                return Ok(Some(self.buffer.split_to(end).freeze()));
            }
        }
        self.looked = self.buffer.len();
        if self.looked > self.bytes_max { Err(BadStream::TooLong) } else { Ok(None) }
    }

    /// Whether the stream may end here.
    pub fn end(&self) -> Result<(), BadStream> {
        let is_blank = self.depth == 0 && self.buffer.iter().all(u8::is_ascii_whitespace);
        if is_blank { Ok(()) } else { Err(BadStream::Cut) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pieces: &[&str], bytes_max: usize) -> (Vec<String>, Result<(), BadStream>) {
        let mut objects = Objects::new(bytes_max);
        let mut found = Vec::new();
        for piece in pieces {
            objects.push(piece.as_bytes());
            loop {
                match objects.next() {
                    Ok(Some(object)) => found.push(String::from_utf8(object.to_vec()).expect("text")),
                    Ok(None) => break,
                    Err(bad) => return (found, Err(bad)),
                }
            }
        }
        (found, objects.end())
    }

    #[test]
    fn objects_are_found_however_the_stream_is_cut() {
        let stream = r#" {"a":"}{\"","b":[{},[1]]}{"c":"\\"}
            {} "#;
        let whole = [r#"{"a":"}{\"","b":[{},[1]]}"#, r#"{"c":"\\"}"#, "{}"];
        for size in 1..stream.len() {
            let pieces: Vec<&str> = stream
                .as_bytes()
                .chunks(size)
                .map(|piece| std::str::from_utf8(piece).expect("ASCII"))
                .collect();
            let (found, end) = all(&pieces, 100);
            assert_eq!((found, end), (whole.iter().map(|text| (*text).to_owned()).collect(), Ok(())));
        }
    }

    #[test]
    fn what_is_no_stream_of_objects() {
        for (pieces, found, why) in [
            (&["1"][..], 0, BadStream::NoObject),
            (&["{} x"], 1, BadStream::NoObject),
            (&["[{}]"], 0, BadStream::NoObject),
            (&["{}", r#"{"a":"#], 1, BadStream::Cut),
            (&["{}", r#"{"a":"}"#], 1, BadStream::Cut),
            (&["{", "          ", "          "], 0, BadStream::TooLong),
            (&[r#"{"a":"aaaaaaaaaaaaaaaaaaaaaaaaaa"}"#], 0, BadStream::TooLong),
        ] {
            let (objects, end) = all(pieces, 20);
            assert_eq!((objects.len(), end), (found, Err(why)), "{pieces:?}");
        }
    }
}
