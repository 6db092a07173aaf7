//! `mainstay id inspect`

use std::process::ExitCode;

use chittyid::{ChecksumStatus, ChittyId, Error, Profile, Profiles, parse};
use serde_json::{Value, json};

use super::meaning::{self, PLACES};
use crate::args::InspectArgs;
use crate::exit::ok_if;
use crate::out;

pub(super) fn run(args: &InspectArgs) -> ExitCode {
    let text = args.id.as_str();
    match parse(text, Profiles::ALL) {
        Ok(id) => {
            if args.json {
                out::line(&as_json(&id).to_string());
            } else {
                as_text(&id);
            }
            ok_if(!id.checksum().is_mismatch())
        }
        Err(error) => {
            if args.json {
                let reasons = reasons(text, error);
                let reasons: Value =
                    reasons.into_iter().map(|(name, why)| (name, json!(why))).collect();
                let (error, at) = (error.to_string(), place(error));
                let line = json!({
                    "id": text, "valid": false, "error": error, "at": at, "profiles": reasons,
                });
                out::line(&line.to_string());
            } else {
                refused(text, error);
            }
            ok_if(false)
        }
    }
}

/// Other profiles that the same text has.
fn others(id: &ChittyId) -> Vec<&'static str> {
    let fits = |profile: &Profile| {
        *profile != id.profile() && parse(id.as_str(), Profiles::from(*profile)).is_ok()
    };
    Profile::ALL.into_iter().filter(fits).map(Profile::name).collect()
}

fn as_text(id: &ChittyId) {
    let profile = id.profile();
    out::line(&format!("{id}\n"));
    out::line(&format!("profile   {profile}: {}", meaning::origin(profile)));
    let others = others(id);
    if !others.is_empty() {
        out::line(&format!("fits too  {}", others.join(", ")));
    }
    let entities: Vec<&str> = meaning::kinds(id).iter().map(|entity| entity.name()).collect();
    if !entities.is_empty() {
        out::line(&format!("entity    {}", entities.join(", or ")));
    }
    out::line(&format!("checksum  {}\n", checksum(id)));
    for (field, place) in PLACES {
        let Some(value) = id.field(field) else { continue };
        let name = field.name(profile);
        let line = match meaning::of(id, field) {
            Some(meaning) => format!("{place:<5} {value:<10} {name}: {meaning}"),
            None => format!("{place:<5} {value:<10} {name}"),
        };
        out::line(&line);
    }
}

fn checksum(id: &ChittyId) -> String {
    match id.checksum() {
        ChecksumStatus::Valid => "right".into(),
        ChecksumStatus::Mismatch { expected, found } => {
            format!("wrong: its check digits are {found:02}, and must be {expected:02}")
        }
        ChecksumStatus::NotDefined => "none is defined for this profile".into(),
        ChecksumStatus::NeedsContext => "cannot be checked without what the id was made for".into(),
    }
}

fn as_json(id: &ChittyId) -> Value {
    let fields: Vec<Value> = PLACES
        .into_iter()
        .filter_map(|(field, place)| {
            let (value, name) = (id.field(field)?, field.name(id.profile()));
            let meaning = meaning::of(id, field);
            Some(json!({ "place": place, "name": name, "value": value, "meaning": meaning }))
        })
        .collect();
    let checksum = match id.checksum() {
        ChecksumStatus::Valid => json!({ "status": "valid" }),
        ChecksumStatus::Mismatch { expected, found } => {
            json!({ "status": "mismatch", "expected": expected, "found": found })
        }
        ChecksumStatus::NotDefined => json!({ "status": "not_defined" }),
        ChecksumStatus::NeedsContext => json!({ "status": "needs_context" }),
    };
    let entities: Vec<&str> = meaning::kinds(id).iter().map(|entity| entity.name()).collect();
    json!({
        "id": id.as_str(), "valid": !id.checksum().is_mismatch(), "profile": id.profile().name(),
        "fits_too": others(id), "entities": entities, "checksum": checksum, "fields": fields,
    })
}

/// Where a text stops to be an id.
fn place(error: Error) -> Option<usize> {
    match error {
        Error::NonAscii { at, .. }
        | Error::Whitespace { at, .. }
        | Error::Lowercase { at, .. }
        | Error::Character { at, .. }
        | Error::FieldTooLong { at, .. } => Some(at),
        Error::Incomplete { length, .. } => Some(length),
        Error::Empty | Error::TooLong { .. } | Error::Profile { .. } | _ => None,
    }
}

/// Why it is none of each profile, where that differs.
fn reasons(text: &str, error: Error) -> Vec<(String, String)> {
    let depends = matches!(
        error,
        Error::Incomplete { .. } | Error::Character { .. } | Error::FieldTooLong { .. }
    );
    let all = Profile::ALL.into_iter().filter(|_| depends);
    let reason = |profile: Profile| {
        let error = parse(text, Profiles::from(profile)).err()?;
        Some((profile.name().to_owned(), error.to_string()))
    };
    all.filter_map(reason).collect()
}

fn refused(text: &str, error: Error) {
    let is_plain = text.is_ascii() && !text.contains(char::is_control) && text.len() <= 100;
    if is_plain {
        out::line(text);
        if let Some(at) = place(error) {
            out::line(&format!("{}^", " ".repeat(at)));
        }
    }
    out::line(&format!("no id: {error}"));
    let reasons = reasons(text, error);
    if !reasons.is_empty() {
        out::line("");
    }
    for (name, why) in reasons {
        out::line(&format!("{name:<18} {why}"));
    }
}
