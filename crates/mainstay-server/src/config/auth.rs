use std::sync::Arc;
use std::time::Duration;

use super::file::{AuthSection, File, JwtSection, KeySection};
use super::links::At;
use super::named::{Names, fit};
use super::place::Document;
use super::problem::Problems;
use super::socket::read_pem;
use super::{Environment, KEYS_MAX};
use crate::auth::{ApiKey, Auth, JwtConfig, JwtKeys, Keys, Role};

/// Who is let in besides whoever shows `server.token`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthConfig {
    /// The keys of the file.
    pub keys: Vec<ApiKey>,
    /// Whose tokens are taken.
    pub jwt: JwtConfig,
    /// Whether clients may connect without credentials where others must show some. Default no.
    pub anonymous_clients: bool,
}

/// The most a clock may differ.
const LEEWAY_MAX: Duration = Duration::from_secs(600);
const LEEWAY: Duration = Duration::from_secs(60);

impl AuthConfig {
    /// Whether it lets anybody in by credentials.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let JwtConfig { secret, public_key, jwks, .. } = &self.jwt;
        self.keys.is_empty() && secret.is_none() && public_key.is_none() && jwks.is_none()
    }

    /// The credentials in force with it. It was checked when it was read: what cannot be used then
    /// is left out.
    #[must_use]
    pub fn build(&self) -> Auth {
        Auth {
            token: None,
            keys: Keys::new(&self.keys),
            jwt: JwtKeys::new(&self.jwt).unwrap_or_default(),
            anonymous_clients: self.anonymous_clients,
        }
    }
}

pub(super) fn build(
    file: &File,
    document: &Document<'_>,
    environment: &Environment,
    problems: &mut Problems,
) -> AuthConfig {
    let AuthSection { anonymous_clients, jwt, key } = &file.auth;
    AuthConfig {
        keys: keys(key, document, problems),
        jwt: jwt
            .as_ref()
            .and_then(|section| tokens(section, document, environment, problems))
            .unwrap_or_default(),
        anonymous_clients: anonymous_clients.unwrap_or(false),
    }
}

fn keys(sections: &[KeySection], document: &Document<'_>, problems: &mut Problems) -> Vec<ApiKey> {
    if !fit("auth.key", (sections.len(), KEYS_MAX), document, problems) {
        return Vec::new();
    }
    let mut names = Names::of("auth.key");
    let mut keys = Vec::new();
    for (index, section) in sections.iter().enumerate() {
        let name = section.name.as_str();
        let at = names.at(document, index, name, problems);
        let Ok(hash) = section.hash.expose().parse() else {
            // It may be the key itself, by mistake.
            let message = "is not shown because it may be the key, allowed: sha256: and 64 \
                           hexadecimal digits, as `mainstay key` writes it";
            at.refuse("hash", message.into(), problems);
            continue;
        };
        let owned = |text: &Option<String>| text.as_deref().map(Arc::from);
        keys.push(ApiKey {
            name: name.into(),
            hash,
            role: section.role.unwrap_or(Role::Client),
            user: owned(&section.user),
            organisation: owned(&section.organisation),
        });
    }
    keys
}

fn tokens(
    section: &JwtSection,
    document: &Document<'_>,
    environment: &Environment,
    problems: &mut Problems,
) -> Option<JwtConfig> {
    let at = At { document, path: "auth.jwt".into(), label: "auth.jwt".into() };
    let secret = match &section.secret_env {
        Some(name) => Some(at.variable("secret_env", name, environment, problems)?),
        None => None,
    };
    let mut read = |field: &str, name: &Option<String>| -> Result<Option<String>, ()> {
        let Some(name) = name else { return Ok(None) };
        let path = document.beside(name);
        match read_pem(&path) {
            Ok(text) => Ok(Some(text)),
            Err(why) => {
                let message = format!("is {:?}: {why}", path.display().to_string());
                at.refuse(field, message, problems);
                Err(())
            }
        }
    };
    let public_key = read("public_key_file", &section.public_key_file);
    let jwks = read("jwks_file", &section.jwks_file);
    let leeway = section.leeway.unwrap_or(LEEWAY);
    if leeway > LEEWAY_MAX {
        at.refuse("leeway", "is too long, allowed: 0 to \"10m\"".into(), problems);
    }
    let config = JwtConfig {
        secret,
        public_key: public_key.ok()?,
        jwks: jwks.ok()?,
        issuer: section.issuer.clone(),
        audience: section.audience.clone(),
        leeway_secs: leeway.as_secs(),
        role_claim: section.role_claim.clone(),
    };
    let (field, problem) = match JwtKeys::new(&config) {
        Ok(Some(_)) => return Some(config),
        Ok(None) => {
            let allowed = "one of secret_env, public_key_file, jwks_file";
            ("", format!("names no key, allowed: {allowed}"))
        }
        Err(error) => {
            let field = match (&config.public_key, &config.jwks) {
                (Some(_), None) => "public_key_file",
                (_, Some(_)) => "jwks_file",
                (None, None) => "secret_env",
            };
            (field, format!("holds {error}"))
        }
    };
    let (path, label) = match field {
        "" => ("auth.jwt".to_owned(), "auth.jwt".to_owned()),
        field => (format!("auth.jwt.{field}"), format!("auth.jwt.{field}")),
    };
    problems.add(document.problem(&path, &label, problem));
    None
}
