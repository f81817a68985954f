//! Names of subjects and contexts. `orders-value` is a subject of the default context; `:.staging:orders-value` one of the
//! context `.staging`.

use candor_gate::may_name;

use super::RegistryError;

/// Longest name, bytes.
const NAME_BYTES_MAX: usize = 512;

/// A context: `.` is the default one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Context(String);

impl Context {
    /// The default one.
    pub fn default_one() -> Context {
        Context(".".to_owned())
    }

    /// From `:.name:`, `.name` or `name`.
    pub fn parse(text: &str) -> Context {
        let name = text.trim_matches(':');
        match name.strip_prefix('.') {
            Some(_) => Context(name.to_owned()),
            None => Context(format!(".{name}")),
        }
    }

    /// Its name, with the dot.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// True for the default one.
    pub fn is_default(&self) -> bool {
        self.0 == "."
    }

    /// What stands before names in it: nothing in the default one.
    pub fn prefix(&self) -> String {
        if self.is_default() { String::new() } else { format!(":{}:", self.0) }
    }
}

/// Why a name is not taken; it is not repeated.
pub(super) fn struck() -> RegistryError {
    let message = "The specified subject is not a valid one: names are stored as they are, and this one holds \
                   payment data or a secret";
    RegistryError::new(42208, message)
}

/// A subject in its context.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    context: Context,
    name: String,
    full: String,
}

impl Subject {
    /// Reads a name that stands within `context`: one that names its own context has that.
    pub fn parse(text: &str, context: &Context) -> Result<Subject, RegistryError> {
        let (context, name) = split(text).unwrap_or_else(|| (context.clone(), text));
        let fits = !name.is_empty()
            && text.len() <= NAME_BYTES_MAX
            && !text.chars().any(char::is_control)
            && !matches!(name, "__GLOBAL" | "__EMPTY");
        if !fits {
            let message = format!("The specified subject '{}' is not a valid", text.escape_debug());
            return Err(RegistryError::new(
                42208,
                format!("{message}: 1 to {NAME_BYTES_MAX} bytes without control characters"),
            ));
        }
        let full = format!("{}{name}", context.prefix());
        Ok(Subject { context, name: name.to_owned(), full })
    }

    /// Checks the name of a subject that there is not yet: it is stored as it is.
    pub(super) fn check_new(&self) -> Result<(), RegistryError> {
        if may_name(&self.full) { Ok(()) } else { Err(struck()) }
    }

    /// Its context.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// With its context, but for the default one.
    pub fn full(&self) -> &str {
        &self.full
    }

    /// The topic that it is about, where it is named as serializers name subjects.
    pub fn topic(&self) -> &str {
        let name = self.name.as_str();
        name.strip_suffix("-value").or_else(|| name.strip_suffix("-key")).unwrap_or(name)
    }
}

/// The context and the name of `:.context:name`.
pub(super) fn split(text: &str) -> Option<(Context, &str)> {
    let (context, name) = text.strip_prefix(":.")?.split_once(':')?;
    Some((Context(format!(".{context}")), name))
}
