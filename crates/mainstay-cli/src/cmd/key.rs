//! `mainstay key`

use std::io::Read as _;
use std::process::ExitCode;

use mainstay_server::auth::{KeyHash, NewKey};
use mainstay_server::config::{Config, Environment, Flags};
use serde_json::json;

use crate::args::{KeyAction, KeyArgs};
use crate::exit::Failure;
use crate::out;

/// The longest key that is read.
const KEY_MAX: u64 = 64 * 1024;

pub(crate) fn run(args: &KeyArgs) -> Result<ExitCode, Failure> {
    match &args.action {
        KeyAction::New { name, role, user, organisation, json } => {
            let (user, organisation) = (user.as_deref(), organisation.as_deref());
            new(name, role.as_str(), user, organisation, *json)
        }
        KeyAction::Hash => hash(),
    }
}

fn new(
    name: &str,
    role: &str,
    user: Option<&str>,
    organisation: Option<&str>,
    json: bool,
) -> Result<ExitCode, Failure> {
    let made = NewKey::make()
        .map_err(|_| Failure::environment("the system gives no random bits for a key"))?;
    let mut toml = format!(
        "[[auth.key]]\nname = {}\nhash = \"{}\"\nrole = \"{role}\"\n",
        quoted("name", name)?,
        made.hash
    );
    for (field, text) in [("user", user), ("organisation", organisation)] {
        if let Some(text) = text {
            toml.push_str(&format!("{field} = {}\n", quoted(field, text)?));
        }
    }
    // What the server would say of it.
    Config::parse(&toml, None, &Flags::default(), &Environment::new())
        .map_err(|problems| Failure::usage(problems.to_string()))?;
    let key = made.key.expose();
    if json {
        let hash = made.hash.to_string();
        out::line(&json!({ "key": key, "hash": hash, "toml": toml }).to_string());
    } else {
        out::line(key);
        out::error("it is shown this once; the server needs these lines in its configuration:");
        out::line(&format!("\n{}", toml.trim_end()));
    }
    Ok(ExitCode::SUCCESS)
}

/// A text as TOML writes it.
fn quoted(field: &str, text: &str) -> Result<String, Failure> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(Failure::usage(format!("--{field} is empty or has control characters")));
    }
    Ok(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

fn hash() -> Result<ExitCode, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(KEY_MAX).read_to_string(&mut text);
    read.map_err(|error| Failure::environment(format!("no key can be read: {error}")))?;
    let key = text.trim_end_matches(['\r', '\n']);
    if key.is_empty() || key.contains(['\r', '\n']) {
        return Err(Failure::usage("standard input has no key, or more than one line"));
    }
    out::line(&KeyHash::of(key).to_string());
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn texts_are_quoted_as_toml_reads_them() {
        assert_eq!(quoted("user", r#"a "b" \ é"#).unwrap(), r#""a \"b\" \\ é""#);
        assert!(quoted("user", "a\nb").is_err() && quoted("user", "").is_err());
    }
}
