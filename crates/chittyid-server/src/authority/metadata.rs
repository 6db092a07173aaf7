//! What may stand in an id's metadata. Pure.

use std::fmt;

use serde_json::{Map, Value};

/// The deepest that objects and lists may stand in each other.
const DEPTH_MAX: usize = 32;
/// Keys that some programs take for something else than data.
const FORBIDDEN: [&str; 3] = ["__proto__", "constructor", "prototype"];

/// What is wrong with metadata; whoever sent it must act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MetadataError {
    /// It is no object.
    NoObject,
    /// It is longer than it may be.
    TooLong {
        /// Its bytes as JSON.
        bytes: usize,
        /// The most allowed.
        max: usize,
    },
    /// It is deeper than it may be.
    TooDeep,
    /// It has a key that is not allowed, at any depth.
    Key(&'static str),
}

impl fmt::Display for MetadataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoObject => f.write_str("metadata must be an object"),
            Self::TooLong { bytes, max } => {
                write!(f, "metadata has {bytes} bytes as JSON, allowed: at most {max}")
            }
            Self::TooDeep => write!(f, "metadata is deeper than {DEPTH_MAX}"),
            Self::Key(key) => write!(f, "metadata has the key `{key}`, which is not allowed"),
        }
    }
}

impl std::error::Error for MetadataError {}

/// The metadata as it is kept; none when nothing was sent.
pub(super) fn checked(
    value: Option<Value>,
    max: usize,
) -> Result<Map<String, Value>, MetadataError> {
    let map = match value {
        None | Some(Value::Null) => return Ok(Map::new()),
        Some(Value::Object(map)) => map,
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            return Err(MetadataError::NoObject);
        }
    };
    let value = Value::Object(map);
    inside(&value, 1)?;
    let bytes = value.to_string().len();
    if bytes > max {
        return Err(MetadataError::TooLong { bytes, max });
    }
    let Value::Object(map) = value else { return Err(MetadataError::NoObject) };
    Ok(map)
}

fn inside(value: &Value, depth: usize) -> Result<(), MetadataError> {
    if depth > DEPTH_MAX && (value.is_object() || value.is_array()) {
        return Err(MetadataError::TooDeep);
    }
    match value {
        Value::Object(map) => map.iter().try_for_each(|(key, value)| {
            if let Some(key) = FORBIDDEN.into_iter().find(|forbidden| forbidden == key) {
                return Err(MetadataError::Key(key));
            }
            inside(value, depth + 1)
        }),
        Value::Array(list) => list.iter().try_for_each(|value| inside(value, depth + 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_is_taken_as_it_is() {
        for value in [json!({}), json!({ "created_by": "ann", "mock": [1, { "a": null }] })] {
            assert_eq!(checked(Some(value.clone()), 10_000).map(Value::Object), Ok(value));
        }
        assert_eq!(checked(None, 2), Ok(Map::new()));
        assert_eq!(checked(Some(Value::Null), 2), Ok(Map::new()));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for value in [json!("x"), json!(1), json!([{}]), json!(true)] {
            assert_eq!(checked(Some(value), 10_000), Err(MetadataError::NoObject));
        }
    }

    #[test]
    fn its_length_is_counted_in_bytes() {
        let text = |bytes: usize| json!({ "a": "x".repeat(bytes - 8) });
        assert!(checked(Some(text(10_000)), 10_000).is_ok());
        let error = MetadataError::TooLong { bytes: 10_001, max: 10_000 };
        assert_eq!(checked(Some(text(10_001)), 10_000), Err(error));
        assert!(checked(Some(json!({ "a": "ä" })), 9).is_err(), "two bytes");
    }

    #[test]
    fn keys_that_programs_trip_over_are_refused_at_any_depth() {
        for key in FORBIDDEN {
            assert_eq!(checked(Some(json!({ key: 1 })), 99), Err(MetadataError::Key(key)));
            let deep = json!({ "a": [{ "b": { key: 1 } }] });
            assert_eq!(checked(Some(deep), 99), Err(MetadataError::Key(key)));
        }
        assert!(checked(Some(json!({ "Constructor": "proto" })), 99).is_ok());
    }

    #[test]
    fn its_depth_is_limited() {
        let deep = |depth: usize| (1..depth).fold(json!({}), |inner, _| json!({ "a": inner }));
        assert!(checked(Some(deep(DEPTH_MAX)), 10_000).is_ok());
        assert_eq!(checked(Some(deep(DEPTH_MAX + 1)), 10_000), Err(MetadataError::TooDeep));
        let lists = (1..100).fold(json!([]), |inner, _| json!([inner]));
        assert_eq!(checked(Some(json!({ "a": lists })), 10_000), Err(MetadataError::TooDeep));
    }
}
