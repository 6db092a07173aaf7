//! Reads what services answer.

use std::time::SystemTime;

use chittyid::{ChecksumStatus, ChittyId, EntityType, Profiles};
use mainstay::http::retry_after;
use reqwest::StatusCode;
use serde_json::Value;

use crate::ApiKey;
use crate::error::{Error, LimitedBy, Said};
use crate::page::{Page, is_page};
use crate::request::{Health, Info, Minted};
use crate::send::Answer;

/// The names that services give to the field of an id, in the order in which they are asked.
const ID_FIELDS: [&str; 3] = ["chittyId", "chitty_id", "id"];
/// The longest sentence of a service that is shown, in characters.
const MESSAGE_MAX: usize = 300;

/// Reads answers to calls that were made with this key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) accepted: Profiles,
    pub(crate) key: Option<&'a ApiKey>,
}

impl Reader<'_> {
    /// The JSON of an answer that says that it worked.
    pub(crate) fn good(&self, answer: &Answer) -> Result<Value, Error> {
        let status = answer.status;
        let speaks = [StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS].contains(&status);
        if status.is_redirection() {
            return Err(redirected(answer));
        }
        if !speaks && let Some(page) = self.page(answer) {
            return Err(Error::Page(page));
        }
        if !status.is_success() {
            return Err(self.refusal(answer));
        }
        serde_json::from_slice(&answer.body).map_err(|error| {
            let length = answer.body.len();
            Error::Malformed { what: format!("{length} bytes that are no JSON ({error})").into() }
        })
    }

    /// The page for people that it is, without the key, which pages may repeat.
    fn page(&self, answer: &Answer) -> Option<Page> {
        let mut page = answer.page()?;
        page.title = page.title.map(|title| self.shown(&title, title.chars().count()));
        Some(page)
    }

    /// The id that was given.
    pub(crate) fn minted(&self, answer: &Answer, entity: EntityType) -> Result<Minted, Error> {
        let json = self.good(answer)?;
        let repeated = answer.headers.get("idempotency-replayed").is_some_and(|it| it == "true");
        self.one(&json, entity, repeated, answer)
    }

    /// The ids that were given, as many as were asked for, in that order.
    pub(crate) fn batch(
        &self,
        answer: &Answer,
        entities: &[EntityType],
    ) -> Result<Vec<Minted>, Error> {
        let json = self.good(answer)?;
        let repeated = answer.headers.get("idempotency-replayed").is_some_and(|it| it == "true");
        let list = |name: &str| json.get(name).and_then(Value::as_array).filter(|l| !l.is_empty());
        let Some(items) = list("results").or_else(|| list("chittyIds")) else {
            return Err(self.nothing(&json, answer));
        };
        if items.len() != entities.len() {
            let (found, asked) = (items.len(), entities.len());
            let what = format!("{found} ids, where {asked} were asked for").into();
            return Err(Error::Malformed { what });
        }
        let pairs = items.iter().zip(entities);
        pairs.map(|(item, entity)| self.one(item, *entity, repeated, answer)).collect()
    }

    /// One id, in an object or as it is.
    fn one(
        &self,
        json: &Value,
        entity: EntityType,
        repeated: bool,
        answer: &Answer,
    ) -> Result<Minted, Error> {
        let found = json.as_str().or_else(|| id_of(json)).filter(|id| !id.is_empty());
        let Some(found) = found else { return Err(self.nothing(json, answer)) };
        let id = self.accept(found)?;
        let text = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(Minted {
            id,
            entity,
            timestamp: text("timestamp"),
            version: text("version"),
            metadata: json.get("metadata").filter(|it| !it.is_null()).cloned(),
            repeated,
        })
    }

    /// The id, if it is one that is accepted.
    fn accept(&self, found: &str) -> Result<ChittyId, Error> {
        let accepted = self.accepted;
        let id = chittyid::parse(found, accepted).map_err(|_| Error::FormatMismatch {
            detected: chittyid::detect(found),
            accepted,
            found: self.shown(found, 64),
        })?;
        match id.checksum() {
            ChecksumStatus::Mismatch { .. } => Err(Error::Checksum(id)),
            ChecksumStatus::Valid | ChecksumStatus::NotDefined | ChecksumStatus::NeedsContext => {
                Ok(id)
            }
        }
    }

    /// What an answer without an id means: some services say 200 and mean an error.
    fn nothing(&self, json: &Value, answer: &Answer) -> Error {
        let says_no =
            json.get("success") == Some(&Value::Bool(false)) || json.get("error").is_some();
        if says_no { Error::Service(self.said(answer, Some(json))) } else { Error::NoId }
    }

    /// What an answer with a bad status means.
    fn refusal(&self, answer: &Answer) -> Error {
        let json = serde_json::from_slice(&answer.body).ok();
        let said = self.said(answer, json.as_ref());
        match said.status {
            401 => Error::Unauthorized(said),
            403 => Error::Forbidden(said),
            404 | 410 => Error::NotFound(said),
            409 => Error::Conflict(said),
            429 => {
                let retry_after = said.retry_after;
                Error::RateLimited { by: LimitedBy::Service, retry_after, said: Some(said) }
            }
            408 | 421 | 425 => Error::Service(said),
            400..500 => Error::Refused(said),
            _ => Error::Service(said),
        }
    }

    fn said(&self, answer: &Answer, json: Option<&Value>) -> Said {
        let field = |name: &str| json?.get(name);
        let text = |name: &str| field(name).and_then(Value::as_str);
        // Most services say {error, message}; some say {error: {code, message}}.
        let inner = field("error").filter(|error| error.is_object());
        let within = |name: &str| inner?.get(name)?.as_str();
        let code = text("error").or_else(|| within("code")).or_else(|| text("code"));
        let message = text("message").or_else(|| within("message")).or_else(|| text("detail"));
        let plain = json.is_none().then(|| String::from_utf8_lossy(&answer.body));
        let is_markup = is_page("", &answer.body);
        let plain = plain.filter(|plain| !plain.trim().is_empty() && !is_markup);
        let message = message.map(str::to_owned).or_else(|| plain.map(|plain| plain.into_owned()));
        Said {
            status: answer.status.as_u16(),
            code: code.map(|code| self.shown(code, 64)),
            message: message.map(|message| self.shown(&message, MESSAGE_MAX)),
            retry_after: retry_after(&answer.headers, SystemTime::now()),
        }
    }

    /// `text` as it may be shown: without the key, without what breaks a line of a log, not long.
    fn shown(&self, text: &str, most: usize) -> Box<str> {
        let text = match self.key {
            Some(key) => text.replace(key.expose(), "[key]"),
            None => text.to_owned(),
        };
        let mut symbols = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
        let mut shown: String = symbols.by_ref().take(most).collect();
        if symbols.next().is_some() {
            shown.push('…');
        }
        shown.into()
    }

    /// What the service says of an id: whether it is valid, and what for or why not.
    pub(crate) fn verdict(&self, answer: &Answer, asked: &str) -> Result<Ruling, Error> {
        let status = answer.status;
        // Some services answer 400 or 404 to an id that is not valid; none may say *valid* so.
        let may_refuse = matches!(status.as_u16(), 400 | 404 | 410 | 422);
        let json = if may_refuse {
            serde_json::from_slice(&answer.body).unwrap_or_default()
        } else {
            self.good(answer)?
        };
        let valid = json.get("valid").and_then(Value::as_bool);
        match valid {
            Some(false) => {
                let text = |name: &str| json.get(name).and_then(Value::as_str);
                let why = text("error").or_else(|| text("message")).unwrap_or("not valid");
                Ok(Ruling::Invalid(self.shown(why, MESSAGE_MAX)))
            }
            Some(true) if status.is_success() => {
                if id_of(&json).is_some_and(|id| id != asked) {
                    let what = "a verdict on another id".into();
                    return Err(Error::Malformed { what });
                }
                let text = |name: &str| json.get(name).and_then(Value::as_str);
                let entity = text("entity").or_else(|| text("entityType"));
                let entity = entity.and_then(|entity| entity.parse().ok());
                let issued_at = text("issuedAt").map(|at| self.shown(at, 64));
                Ok(Ruling::Valid { entity, issued_at })
            }
            Some(true) | None if may_refuse => Err(self.good(answer).err().unwrap_or(Error::NoId)),
            Some(true) | None => Err(Error::Malformed { what: "an answer without `valid`".into() }),
        }
    }

    pub(crate) fn info(&self, answer: &Answer, id: ChittyId) -> Result<Info, Error> {
        let json = self.good(answer)?;
        if id_of(&json).is_some_and(|found| found != id.as_str()) {
            return Err(Error::Malformed { what: "facts about another id".into() });
        }
        let text = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(Info {
            id,
            entity: text("entity").and_then(|entity| entity.parse().ok()),
            issued_at: text("issuedAt"),
            name: text("name"),
            metadata: json.get("metadata").filter(|it| !it.is_null()).cloned(),
            answer: json,
        })
    }

    pub(crate) fn health(&self, answer: &Answer) -> Result<Health, Error> {
        if let Some(page) = self.page(answer) {
            return Err(Error::Page(page));
        }
        let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let text = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(Health {
            is_healthy: answer.status.is_success(),
            status: answer.status.as_u16(),
            says: text("status"),
            version: text("version"),
            answer: json,
        })
    }
}

/// What a service said of an id.
#[derive(Debug)]
pub(crate) enum Ruling {
    Valid { entity: Option<EntityType>, issued_at: Option<Box<str>> },
    Invalid(Box<str>),
}

fn id_of(json: &Value) -> Option<&str> {
    ID_FIELDS.iter().find_map(|name| json.get(name)).and_then(Value::as_str)
}

fn redirected(answer: &Answer) -> Error {
    let to = answer.headers.get("location").and_then(|to| to.to_str().ok());
    // Only where to: the rest may hold what somebody put into it.
    let to = to.and_then(|to| reqwest::Url::parse(to).ok());
    let to = to.map(|to| to.origin().ascii_serialization().into());
    Error::Redirected { status: answer.status.as_u16(), to }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use reqwest::header::HeaderMap;
    use serde_json::json;

    const ASKED: &str = "CT-A-CHI-1234-I-24-A-0";

    /// JSON that is nearly what services answer.
    fn nearly() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            Just(json!(ASKED)),
            Just(json!("03-1-USA-5537-P-2602-0-38")),
            ".{0,12}".prop_map(Value::from),
        ];
        let name = prop_oneof![
            Just("chittyId"),
            Just("chitty_id"),
            Just("id"),
            Just("valid"),
            Just("error"),
            Just("message"),
            Just("success"),
            Just("results"),
            Just("chittyIds"),
            Just("entity"),
        ];
        leaf.prop_recursive(3, 24, 6, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec((name.clone(), inner), 0..6).prop_map(|fields| {
                    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
                }),
            ]
        })
    }

    fn answer(status: u16, body: Vec<u8>) -> Answer {
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, headers: HeaderMap::new(), body }
    }

    const READER: Reader<'static> = Reader { accepted: Profiles::CLIENT_V1, key: None };

    proptest! {
        #[test]
        fn no_answer_brings_an_id_that_is_not_accepted_or_a_verdict_that_it_does_not_give(
            status in prop_oneof![Just(200_u16), Just(201), 100_u16..600],
            json in nearly(),
        ) {
            let answer = answer(status, json.to_string().into_bytes());
            if let Ok(minted) = READER.minted(&answer, EntityType::Fact) {
                prop_assert!((200..300).contains(&status));
                prop_assert_eq!(minted.id.as_str(), ASKED);
            }
            let entities = [EntityType::Fact; 2];
            if let Ok(minted) = READER.batch(&answer, &entities) {
                prop_assert!(minted.len() == 2 && minted.iter().all(|one| one.id.as_str() == ASKED));
            }
            if let Ok(Ruling::Valid { .. }) = READER.verdict(&answer, ASKED) {
                prop_assert!((200..300).contains(&status) && json["valid"] == json!(true));
            }
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(
            status in 100_u16..600,
            body in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let answer = answer(status, body);
            prop_assert!(READER.minted(&answer, EntityType::Fact).is_err());
            let is_valid = matches!(READER.verdict(&answer, ASKED), Ok(Ruling::Valid { .. }));
            prop_assert!(!is_valid);
            let told = READER.good(&answer).err().map(|error| error.to_string());
            prop_assert!(told.is_none_or(|told| !told.contains(char::is_control)));
        }
    }
}
