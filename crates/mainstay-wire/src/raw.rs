use core::fmt;

use serde_json::value::RawValue;

use crate::decode::{DecodeError, Problem, nesting, syntax};
use crate::{META_MAX, NESTING_MAX};

/// Any JSON value, kept as the text it came as.
///
/// Its `Debug` shows how long it is, and not what it says.
#[derive(Clone)]
pub struct Raw(Box<RawValue>);

impl Raw {
    /// Keeps `text`, which must be one JSON value; white space around it goes.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Syntax`] when it is none, [`DecodeError::TooDeep`] when no frame could hold
    /// it.
    pub fn new(text: &str) -> Result<Self, DecodeError> {
        nesting(text, NESTING_MAX - 1)?;
        let value = RawValue::from_string(text.into()).map_err(|error| syntax(&error))?;
        Ok(Self(value))
    }

    /// `text` as a JSON string.
    ///
    /// ```
    /// assert_eq!(mainstay_wire::Raw::text("it's").as_str(), r#""it's""#);
    /// ```
    ///
    /// # Panics
    ///
    /// Never: any text is a JSON string.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self(serde_json::value::to_raw_value(text).expect("any text is a JSON string"))
    }

    /// The JSON.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// What stands in a frame that was checked as a whole.
    pub(crate) fn checked(value: &RawValue) -> Self {
        Self(value.to_owned())
    }
}

impl PartialEq for Raw {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Raw {}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Raw({} bytes)", self.as_str().len())
    }
}

/// What a client says about itself beyond its name: a JSON object of at most [`META_MAX`] bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta(Raw);

impl Meta {
    /// Keeps `object`.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Field`] when it is no object or too large.
    pub fn new(object: Raw) -> Result<Self, DecodeError> {
        let named = |problem| DecodeError::Field { path: "hello.meta".into(), problem };
        Self::of(object).map_err(named)
    }

    pub(crate) fn of(object: Raw) -> Result<Self, Problem> {
        if !object.as_str().starts_with('{') {
            Err(Problem::Not("an object"))
        } else if object.as_str().len() > META_MAX {
            Err(Problem::Not("at most 4096 bytes"))
        } else {
            Ok(Self(object))
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}
