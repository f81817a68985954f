//! The shape of requests, walked before they are decoded.
//!
//! A decoder that sets aside room for as many elements as a length claims can be made to ask for gigabytes by a request
//! of twenty bytes. So each request is walked first: every length must be there, every array's elements too, and the
//! elements of all arrays together are bounded. What passes costs no more memory than its bytes times a small factor.
//!
//! Shapes are written as one line a request ([`super::shapes`]): fields parted by spaces, `i1 i2 i4 i8` integers of so
//! many bytes, `id` a UUID, `s` a string, `b` bytes, `[…]` an array of structs, `s*` one of plain values, `{…}` a struct
//! that may be null; before it and a colon, the versions that have the field: `3+`, `0-7`. In flexible versions (KIP-482)
//! lengths are varints and each struct ends with tagged fields.

/// Elements of all arrays of a request together.
pub(super) const ELEMENTS_MAX: u32 = 500_000;

/// Nested arrays: the deepest shape has four.
const DEPTH_MAX: u8 = 8;

/// Versions of an API.
type Versions = (i16, i16);

/// A request's shape.
#[derive(Debug)]
pub(crate) struct Shape {
    /// From which version on it is flexible.
    flexible: Option<i16>,
    fields: Vec<Field>,
}

#[derive(Debug)]
struct Field {
    versions: Versions,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// So many bytes.
    Fixed(usize),
    Text,
    Bytes,
    /// Of structs.
    Array(Vec<Field>),
    /// Of plain values.
    Values(Box<Kind>),
    Optional(Vec<Field>),
}

/// Why a request is not what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Misshapen {
    #[error("it ends early")]
    Short,
    #[error("a length is negative")]
    Negative,
    #[error("it has more elements than allowed")]
    Elements,
    #[error("it is nested too deep")]
    Depth,
}

impl Shape {
    /// Reads a shape's line.
    ///
    /// # Panics
    /// Where it is none: lines are ours, and each is read in a test.
    pub fn new(flexible: Option<i16>, line: &str) -> Shape {
        let mut words = Words(line);
        let fields = words.fields(None);
        Shape { flexible, fields }
    }

    /// Walks a request's body. What stands behind its end is nobody's: librdkafka's Metadata of version 13 has bytes there,
    /// and Kafka does not look.
    pub fn walk(&self, body: &[u8], version: i16) -> Result<(), Misshapen> {
        let is_flexible = self.flexible.is_some_and(|from| version >= from);
        let mut walk = Walk { rest: body, version, is_flexible, elements: 0 };
        walk.fields(&self.fields, 0)
    }
}

/// A shape's line as it is read.
struct Words<'a>(&'a str);

impl Words<'_> {
    fn fields(&mut self, until: Option<char>) -> Vec<Field> {
        let mut fields = Vec::new();
        loop {
            self.0 = self.0.trim_start();
            let Some(next) = self.0.chars().next() else {
                assert!(until.is_none(), "a shape ends early");
                return fields;
            };
            if Some(next) == until {
                self.0 = &self.0[1..];
                return fields;
            }
            let versions = self.versions();
            let kind = if let Some(rest) = self.0.strip_prefix('[') {
                self.0 = rest;
                Kind::Array(self.fields(Some(']')))
            } else if let Some(rest) = self.0.strip_prefix('{') {
                self.0 = rest;
                Kind::Optional(self.fields(Some('}')))
            } else {
                let end = self.0.find([' ', ']', '}']).unwrap_or(self.0.len());
                let (word, rest) = self.0.split_at(end);
                self.0 = rest;
                let (word, is_array) = word.strip_suffix('*').map_or((word, false), |word| (word, true));
                let kind = match word {
                    "i1" => Kind::Fixed(1),
                    "i2" => Kind::Fixed(2),
                    "i4" => Kind::Fixed(4),
                    "i8" => Kind::Fixed(8),
                    "id" => Kind::Fixed(16),
                    "s" => Kind::Text,
                    "b" => Kind::Bytes,
                    other => panic!("no shape has {other:?}"),
                };
                if is_array { Kind::Values(Box::new(kind)) } else { kind }
            };
            fields.push(Field { versions, kind });
        }
    }

    fn versions(&mut self) -> Versions {
        let end = self.0.find([' ', ']', '}', '[', '{', ':']).unwrap_or(self.0.len());
        let Some(rest) = self.0[end..].strip_prefix(':') else { return (0, i16::MAX) };
        let said = &self.0[..end];
        self.0 = rest;
        let number = |text: &str| text.parse().expect("a version");
        match (said.strip_suffix('+'), said.split_once('-')) {
            (Some(from), _) => (number(from), i16::MAX),
            (None, Some((from, to))) => (number(from), number(to)),
            (None, None) => panic!("no shape has versions {said:?}"),
        }
    }
}

/// A walk through a body.
struct Walk<'a> {
    rest: &'a [u8],
    version: i16,
    is_flexible: bool,
    elements: u32,
}

impl Walk<'_> {
    /// Walks a struct.
    fn fields(&mut self, fields: &[Field], depth: u8) -> Result<(), Misshapen> {
        if depth > DEPTH_MAX {
            return Err(Misshapen::Depth);
        }
        let version = self.version;
        let has = |field: &&Field| (field.versions.0..=field.versions.1).contains(&version);
        for field in fields.iter().filter(has) {
            self.value(&field.kind, depth)?;
        }
        if self.is_flexible { self.tags() } else { Ok(()) }
    }

    fn value(&mut self, kind: &Kind, depth: u8) -> Result<(), Misshapen> {
        match kind {
            Kind::Fixed(bytes) => self.skip(*bytes),
            Kind::Text => {
                let length = if self.is_flexible { self.compact()? } else { i64::from(self.i16()?) };
                self.skip_sized(length)
            }
            Kind::Bytes => {
                let length = if self.is_flexible { self.compact()? } else { i64::from(self.i32()?) };
                self.skip_sized(length)
            }
            Kind::Array(element) => (0..self.count()?).try_for_each(|_| self.fields(element, depth + 1)),
            Kind::Values(value) => (0..self.count()?).try_for_each(|_| self.value(value, depth + 1)),
            Kind::Optional(fields) => match self.byte()? as i8 {
                ..0 => Ok(()),
                _ => self.fields(fields, depth + 1),
            },
        }
    }

    /// How many elements follow.
    fn count(&mut self) -> Result<u32, Misshapen> {
        let count = if self.is_flexible { self.compact()? } else { i64::from(self.i32()?) };
        if count == -1 {
            return Ok(0);
        }
        let count = u32::try_from(count).map_err(|_| Misshapen::Negative)?;
        // Each takes a byte at least.
        if count as usize > self.rest.len() {
            return Err(Misshapen::Short);
        }
        self.elements = self.elements.saturating_add(count);
        if self.elements > ELEMENTS_MAX { Err(Misshapen::Elements) } else { Ok(count) }
    }

    fn tags(&mut self) -> Result<(), Misshapen> {
        let count = self.varint()?;
        // Each takes a tag and a length, so a wrong count ends the walk soon.
        for _ in 0..count {
            self.varint()?;
            let length = self.varint()?;
            self.skip(length as usize)?;
            self.elements += 1;
            if self.elements > ELEMENTS_MAX {
                return Err(Misshapen::Elements);
            }
        }
        Ok(())
    }

    fn skip(&mut self, bytes: usize) -> Result<(), Misshapen> {
        self.rest = self.rest.get(bytes..).ok_or(Misshapen::Short)?;
        Ok(())
    }

    fn skip_sized(&mut self, length: i64) -> Result<(), Misshapen> {
        match length {
            -1 => Ok(()),
            length => self.skip(usize::try_from(length).map_err(|_| Misshapen::Negative)?),
        }
    }

    fn byte(&mut self) -> Result<u8, Misshapen> {
        let (first, rest) = self.rest.split_first().ok_or(Misshapen::Short)?;
        self.rest = rest;
        Ok(*first)
    }

    fn i16(&mut self) -> Result<i16, Misshapen> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(Misshapen::Short)?;
        self.rest = rest;
        Ok(i16::from_be_bytes(*bytes))
    }

    fn i32(&mut self) -> Result<i32, Misshapen> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(Misshapen::Short)?;
        self.rest = rest;
        Ok(i32::from_be_bytes(*bytes))
    }

    /// A length of a flexible version: one more than it is, 0 for null.
    fn compact(&mut self) -> Result<i64, Misshapen> {
        Ok(i64::from(self.varint()?) - 1)
    }

    fn varint(&mut self) -> Result<u32, Misshapen> {
        let mut value = 0u64;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| Misshapen::Negative);
            }
        }
        Err(Misshapen::Negative)
    }
}
