//! Avro: the types of a schema, after its JSON declaration (Avro 1.12 specification, "Schema Declaration").

mod canonical;
mod compare;
mod decode;
mod encode;
mod parse;
mod patch;
#[cfg(test)]
mod tests;

pub(crate) use canonical::canonical;
pub(crate) use decode::float;

/// A type's place in [`Schema::types`].
type Id = usize;

/// A schema: its types, which may refer to themselves.
#[derive(Debug)]
pub(crate) struct Schema {
    types: Vec<Type>,
    root: Id,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Primitive {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
}

impl Primitive {
    const ALL: [(&'static str, Primitive); 8] = [
        ("null", Primitive::Null),
        ("boolean", Primitive::Boolean),
        ("int", Primitive::Int),
        ("long", Primitive::Long),
        ("float", Primitive::Float),
        ("double", Primitive::Double),
        ("bytes", Primitive::Bytes),
        ("string", Primitive::String),
    ];

    fn from_name(name: &str) -> Option<Primitive> {
        Primitive::ALL.iter().find(|(own, _)| *own == name).map(|(_, primitive)| *primitive)
    }
}

/// What a number or bytes stand for, as far as it changes how they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Logical {
    None,
    Decimal { scale: u32 },
    Date,
    TimestampMillis,
    TimestampMicros,
    TimestampNanos,
}

#[derive(Debug)]
enum Type {
    Primitive(Primitive, Logical),
    Array(Id),
    Map(Id),
    Union(Vec<Id>),
    Record {
        name: Name,
        fields: Vec<Field>,
    },
    Enum {
        name: Name,
        symbols: Vec<String>,
        default: Option<String>,
    },
    Fixed {
        name: Name,
        size: usize,
        logical: Logical,
    },
    /// A name whose definition is being read.
    Open,
}

impl Type {
    /// The name of a type that has one.
    fn name(&self) -> Option<&Name> {
        match self {
            Type::Record { name, .. } | Type::Enum { name, .. } | Type::Fixed { name, .. } => Some(name),
            _ => None,
        }
    }
}

/// A full name, and others that a reader takes too.
#[derive(Debug, Clone)]
struct Name {
    full: String,
    aliases: Vec<String>,
}

impl Name {
    /// The last part.
    fn simple(&self) -> &str {
        self.full.rsplit('.').next().unwrap_or_default()
    }

    /// True where a reader's type of this name takes a writer's of the other. Namespaces do not count, as in the Java
    /// implementation that registries are used to.
    fn takes(&self, writer: &Name) -> bool {
        self.simple() == writer.simple() || self.aliases.contains(&writer.full)
    }
}

#[derive(Debug)]
struct Field {
    name: String,
    aliases: Vec<String>,
    has_default: bool,
    of: Id,
}

impl Schema {
    fn get(&self, id: Id) -> &Type {
        self.types.get(id).unwrap_or(&Type::Open)
    }
}
