//! What clients say about themselves, kept within limits.

use std::fmt;

use serde_json::Value;

use super::config::LimitsConfig;

/// Why metadata is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotKept {
    /// It is no object.
    NoObject,
    /// It nests deeper than this.
    TooDeep(u32),
    /// It has a key that it must not have.
    Forbidden(String),
}

/// Checks an object that a client said about itself.
pub(crate) fn check(text: &str, limits: &LimitsConfig) -> Result<(), NotKept> {
    if text.is_empty() {
        return Ok(());
    }
    let Ok(value @ Value::Object(_)) = serde_json::from_str(text) else {
        return Err(NotKept::NoObject);
    };
    walk(&value, limits, limits.metadata_depth)
}

fn walk(value: &Value, limits: &LimitsConfig, left: u32) -> Result<(), NotKept> {
    let deeper = || left.checked_sub(1).ok_or(NotKept::TooDeep(limits.metadata_depth));
    match value {
        Value::Object(fields) => {
            let left = deeper()?;
            for (key, value) in fields {
                let is_it = |forbidden: &String| forbidden.eq_ignore_ascii_case(key);
                if limits.metadata_forbidden.iter().any(is_it) {
                    return Err(NotKept::Forbidden(key.clone()));
                }
                walk(value, limits, left)?;
            }
            Ok(())
        }
        Value::Array(items) => {
            let left = deeper()?;
            items.iter().try_for_each(|item| walk(item, limits, left))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

impl fmt::Display for NotKept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoObject => f.write_str("metadata is an object of JSON"),
            Self::TooDeep(most) => write!(f, "metadata nests at most {most} deep"),
            Self::Forbidden(key) => write!(f, "metadata must not have the key {key:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_kept_within_its_limits() {
        let limits = LimitsConfig { metadata_depth: 3, ..LimitsConfig::default() };
        let check = |text: &str| check(text, &limits);
        for fine in ["", "{}", r#"{"a":{"b":[1,"password",null]}}"#, r#"{"passwords":1}"#] {
            assert_eq!(check(fine), Ok(()), "{fine}");
        }
        for other in ["[]", "1", "null", "{", r#"{"a":1} x"#] {
            assert_eq!(check(other), Err(NotKept::NoObject), "{other}");
        }
        assert_eq!(check(r#"{"a":{"b":{"c":{}}}}"#), Err(NotKept::TooDeep(3)));
        assert_eq!(check(r#"{"a":[[[]]]}"#), Err(NotKept::TooDeep(3)));
        let hidden = check(r#"{"a":[{"PassWord":"x"}]}"#);
        assert_eq!(hidden, Err(NotKept::Forbidden("PassWord".into())));
    }
}
