//! Values on their way into statements and out of rows.

use super::SqlError;

/// A parameter of a statement, or a value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Param {
    /// NULL.
    Null,
    /// An integer.
    Int(i64),
    /// A float.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

/// Makes a list of [`Param`] from values.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::Param::from($value)),*] };
}

impl From<i64> for Param {
    fn from(v: i64) -> Param {
        Param::Int(v)
    }
}
impl From<bool> for Param {
    fn from(v: bool) -> Param {
        Param::Int(i64::from(v))
    }
}
impl From<f64> for Param {
    fn from(v: f64) -> Param {
        Param::Real(v)
    }
}
impl From<&str> for Param {
    fn from(v: &str) -> Param {
        Param::Text(v.to_owned())
    }
}
impl From<String> for Param {
    fn from(v: String) -> Param {
        Param::Text(v)
    }
}
impl From<&String> for Param {
    fn from(v: &String) -> Param {
        Param::Text(v.clone())
    }
}
impl From<&[u8]> for Param {
    fn from(v: &[u8]) -> Param {
        Param::Blob(v.to_vec())
    }
}
impl From<Vec<u8>> for Param {
    fn from(v: Vec<u8>) -> Param {
        Param::Blob(v)
    }
}
impl<T: Into<Param>> From<Option<T>> for Param {
    fn from(v: Option<T>) -> Param {
        v.map_or(Param::Null, Into::into)
    }
}

/// A result row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row(pub Vec<Param>);

impl Row {
    /// An integer.
    pub fn int(&self, column: usize) -> Result<i64, SqlError> {
        self.opt_int(column)?.ok_or(SqlError::Column(column))
    }
    /// A flag, stored as an integer.
    pub fn flag(&self, column: usize) -> Result<bool, SqlError> {
        Ok(self.int(column)? != 0)
    }
    /// A float; an integer is one too.
    pub fn real(&self, column: usize) -> Result<f64, SqlError> {
        match self.0.get(column) {
            Some(Param::Real(v)) => Ok(*v),
            Some(Param::Int(v)) => Ok(*v as f64),
            _ => Err(SqlError::Column(column)),
        }
    }
    /// Text.
    pub fn text(&self, column: usize) -> Result<&str, SqlError> {
        self.opt_text(column)?.ok_or(SqlError::Column(column))
    }
    /// Bytes.
    pub fn blob(&self, column: usize) -> Result<&[u8], SqlError> {
        self.opt_blob(column)?.ok_or(SqlError::Column(column))
    }
    /// An integer or NULL.
    pub fn opt_int(&self, column: usize) -> Result<Option<i64>, SqlError> {
        match self.0.get(column) {
            Some(Param::Int(v)) => Ok(Some(*v)),
            Some(Param::Null) => Ok(None),
            _ => Err(SqlError::Column(column)),
        }
    }
    /// Text or NULL.
    pub fn opt_text(&self, column: usize) -> Result<Option<&str>, SqlError> {
        match self.0.get(column) {
            Some(Param::Text(v)) => Ok(Some(v)),
            Some(Param::Null) => Ok(None),
            _ => Err(SqlError::Column(column)),
        }
    }
    /// Bytes or NULL.
    pub fn opt_blob(&self, column: usize) -> Result<Option<&[u8]>, SqlError> {
        match self.0.get(column) {
            Some(Param::Blob(v)) => Ok(Some(v)),
            Some(Param::Null) => Ok(None),
            _ => Err(SqlError::Column(column)),
        }
    }
}
