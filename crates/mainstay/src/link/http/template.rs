//! Text with places for what was captured.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Reads texts such as `/orders/{{id}}`.
pub(super) struct Template;

/// What steps have captured so far, by name. It may be secret.
pub(super) type Captured = BTreeMap<String, String>;

/// The longest value.
const VALUE_MAX: usize = 4 * 1024;

/// How a value stands in its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is.
    Plain,
    /// As one segment of a path, or one value of a query.
    Path,
    /// As inside a JSON string.
    Json,
}

impl Template {
    pub(super) fn is_name(text: &str) -> bool {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        (1..=32).contains(&text.len()) && text.bytes().all(fits)
    }

    /// Whether the value may be captured: dots alone would lead elsewhere in a path, however they are
    /// encoded.
    pub(super) fn is_value(text: &str) -> bool {
        let dots = text.bytes().all(|byte| byte == b'.');
        text.len() <= VALUE_MAX && (text.is_empty() || !dots)
    }

    /// The names in `text`. Braces around anything else are text.
    pub(super) fn names(text: &str) -> impl Iterator<Item = &str> {
        pieces(text).filter_map(|piece| match piece {
            Piece::Name(name) => Some(name),
            Piece::Text(_) => None,
        })
    }

    /// `text` with values in place of their names.
    pub(super) fn fill(text: &str, captured: &Captured, form: Form) -> String {
        let mut filled = String::with_capacity(text.len());
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Name(name) => {
                    let value = captured.get(name).map(String::as_str).unwrap_or_default();
                    write(&mut filled, value, form);
                }
            }
        }
        filled
    }
}

enum Piece<'a> {
    Text(&'a str),
    Name(&'a str),
}

fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let name = |at: usize| {
            let (name, _) = rest.get(at + 2..)?.split_once("}}")?;
            Template::is_name(name).then_some(name)
        };
        if let Some(name) = rest.starts_with("{{").then(|| name(0)).flatten() {
            rest = &rest[name.len() + 4..];
            return Some(Piece::Name(name));
        }
        let opens = |at: &usize| rest.get(*at..).is_some_and(|rest| rest.starts_with("{{"));
        let end = (1..rest.len()).filter(opens).find(|at| name(*at).is_some());
        let (text, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after;
        Some(Piece::Text(text))
    })
}

fn write(into: &mut String, value: &str, form: Form) {
    match form {
        Form::Plain => into.push_str(value),
        Form::Path => {
            for byte in value.bytes() {
                if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
                    into.push(char::from(byte));
                } else {
                    write!(into, "%{byte:02X}").expect("writing to a string cannot fail");
                }
            }
        }
        Form::Json => {
            let quoted = serde_json::Value::from(value).to_string();
            into.push_str(&quoted[1..quoted.len() - 1]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn captured() -> Captured {
        [("id", "a/b"), ("q", "x\"y\n")].map(|(k, v)| (k.into(), v.into())).into()
    }

    #[test]
    fn values_stand_where_their_names_stood_in_the_form_of_their_text() {
        for (text, form, wanted) in [
            ("/o/{{id}}?q={{q}}", Form::Path, "/o/a%2Fb?q=x%22y%0A"),
            ("{\"a\":\"{{q}}\"}", Form::Json, "{\"a\":\"x\\\"y\\n\"}"),
            ("Bearer {{id}}", Form::Plain, "Bearer a/b"),
            ("{{{id}}}", Form::Plain, "{a/b}"),
            ("{{}} {{a b}} {{id", Form::Plain, "{{}} {{a b}} {{id"),
            ("{{nobody}}!", Form::Plain, "!"),
        ] {
            assert_eq!(Template::fill(text, &captured(), form), wanted, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_lost_whatever_it_is(text in ".*") {
            let names: Vec<&str> = Template::names(&text).collect();
            let own = names.iter().map(|name| ((*name).into(), format!("{{{{{name}}}}}"))).collect();
            prop_assert_eq!(Template::fill(&text, &own, Form::Plain), text);
        }

        #[test]
        fn no_value_can_leave_its_place_in_a_path(value in ".*") {
            prop_assume!(Template::is_value(&value));
            let own = [("v".to_owned(), value)].into();
            let filled = Template::fill("/a/{{v}}/b", &own, Form::Path);
            let url = reqwest::Url::parse(&format!("http://h{filled}")).unwrap();
            prop_assert_eq!(url.path_segments().unwrap().count(), 3);
            prop_assert!(url.query().is_none() && url.fragment().is_none());
        }
    }
}
