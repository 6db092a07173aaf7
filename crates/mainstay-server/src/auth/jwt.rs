use std::fmt;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet, KeyAlgorithm};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::Value;

use super::{DEFAULT_ORGANISATION, Identity, Role, ring_provider};
use crate::config::Secret;

/// The longest token that is looked at.
const TOKEN_MAX: usize = 8 << 10;
/// The longest name of a user or organisation.
const NAME_MAX: usize = 256;

/// Whose tokens are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JwtConfig {
    /// The secret of HS256.
    pub secret: Option<Secret>,
    /// A public key of RS256 or ES256, as PEM.
    pub public_key: Option<String>,
    /// A set of keys (RFC 7517), as JSON.
    pub jwks: Option<String>,
    /// What `iss` must say. Default anything.
    pub issuer: Option<String>,
    /// What `aud` must say. Default anything.
    pub audience: Option<String>,
    /// By how much clocks may differ, in seconds. Default 60.
    pub leeway_secs: u64,
    /// The claim that names a role. Default none: everybody is a client.
    pub role_claim: Option<String>,
}

/// The keys that tokens are checked with.
pub struct JwtKeys {
    keys: Vec<JwtKey>,
    config: JwtConfig,
}

struct JwtKey {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

/// Why keys cannot be used: whoever wrote the configuration must act.
#[derive(Debug)]
#[non_exhaustive]
pub enum JwtKeysError {
    /// The PEM holds no public key of RSA or P-256.
    PublicKey,
    /// The set is no JSON Web Key Set.
    Jwks(serde_json::Error),
    /// The set has no key that can be used: RSA, P-256 or a secret.
    NoKey,
    /// The secret is too short to be one: 32 bytes at least.
    Secret,
}

/// Why a token does not hold: whoever shows it must get another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JwtError {
    /// It is no token, or larger than any.
    Malformed,
    /// It is signed in a way, or with a key, that is not known here.
    UnknownKey,
    /// The signature is not the key's.
    Signature,
    /// It has expired.
    Expired,
    /// It does not hold yet.
    NotYet,
    /// It is from somebody else, or for somebody else.
    Foreign,
    /// A claim that must be there is not, or is none.
    Claim(&'static str),
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    sub: Option<String>,
    #[serde(default)]
    org: Option<String>,
    #[serde(default)]
    exp: Option<u64>,
    #[serde(default)]
    nbf: Option<u64>,
    #[serde(flatten)]
    others: serde_json::Map<String, Value>,
}

/// Whether that could be a token: three parts, none of them empty.
pub(super) fn looks_like_one(shown: &str) -> bool {
    let mut parts = shown.split('.');
    let three = parts.by_ref().take(3).filter(|part| !part.is_empty()).count() == 3;
    three && parts.next().is_none()
}

impl JwtKeys {
    /// The keys of a configuration; none when it names none.
    ///
    /// # Errors
    ///
    /// [`JwtKeysError`]
    pub fn new(config: &JwtConfig) -> Result<Option<Self>, JwtKeysError> {
        ring_provider::install();
        let mut keys = Vec::new();
        if let Some(secret) = &config.secret {
            if secret.expose().len() < 32 {
                return Err(JwtKeysError::Secret);
            }
            let key = DecodingKey::from_secret(secret.expose().as_bytes());
            keys.push(JwtKey { id: None, algorithm: Algorithm::HS256, key });
        }
        if let Some(pem) = &config.public_key {
            keys.push(public_key(pem.as_bytes()).ok_or(JwtKeysError::PublicKey)?);
        }
        if let Some(jwks) = &config.jwks {
            let set: JwkSet = serde_json::from_str(jwks).map_err(JwtKeysError::Jwks)?;
            let before = keys.len();
            keys.extend(set.keys.iter().filter_map(of_set));
            if keys.len() == before {
                return Err(JwtKeysError::NoKey);
            }
        }
        Ok((!keys.is_empty()).then(|| Self { keys, config: config.clone() }))
    }

    /// Who shows this token at `now`, in seconds since 1970.
    pub(super) fn identify(&self, token: &str, now: u64) -> Result<Identity, JwtError> {
        if token.len() > TOKEN_MAX {
            return Err(JwtError::Malformed);
        }
        let header = decode_header(token).map_err(|_| JwtError::Malformed)?;
        let fits = |key: &&JwtKey| {
            let is_named = header.kid.is_none() || key.id.is_none() || key.id == header.kid;
            key.algorithm == header.alg && is_named
        };
        let mut why = JwtError::UnknownKey;
        for key in self.keys.iter().filter(fits) {
            match decode::<Claims>(token, &key.key, &self.validation(key.algorithm)) {
                Ok(data) => return self.identity(data.claims, now),
                Err(error) => why = reason(error.kind()),
            }
        }
        Err(why)
    }

    /// What the library checks; times are checked here, where the clock is an argument.
    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.set_required_spec_claims(&["exp"]);
        match &self.config.audience {
            Some(audience) => {
                validation.set_audience(&[audience]);
                validation.required_spec_claims.insert("aud".into());
            }
            None => validation.validate_aud = false,
        }
        if let Some(issuer) = &self.config.issuer {
            validation.set_issuer(&[issuer]);
            validation.required_spec_claims.insert("iss".into());
        }
        validation
    }

    fn identity(&self, claims: Claims, now: u64) -> Result<Identity, JwtError> {
        let leeway = self.config.leeway_secs;
        let exp = claims.exp.ok_or(JwtError::Claim("exp"))?;
        if exp.saturating_add(leeway) <= now {
            return Err(JwtError::Expired);
        }
        if claims.nbf.is_some_and(|from| from > now.saturating_add(leeway)) {
            return Err(JwtError::NotYet);
        }
        let user = claims.sub.filter(|user| is_name(user)).ok_or(JwtError::Claim("sub"))?;
        let organisation = claims.org.unwrap_or_else(|| DEFAULT_ORGANISATION.into());
        if !is_name(&organisation) {
            return Err(JwtError::Claim("org"));
        }
        let role = match self.config.role_claim.as_ref().and_then(|name| claims.others.get(name)) {
            Some(role) => Role::deserialize(role).map_err(|_| JwtError::Claim("role"))?,
            None => Role::Client,
        };
        Ok(Identity {
            name: "jwt".into(),
            role,
            user: Some(user.into()),
            organisation: organisation.into(),
            expires_at: Some(exp.saturating_add(leeway)),
        })
    }
}

/// Whether that can be the name of a user or an organisation.
fn is_name(text: &str) -> bool {
    (1..=NAME_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Of RSA or P-256, whichever it is.
fn public_key(pem: &[u8]) -> Option<JwtKey> {
    let rsa = DecodingKey::from_rsa_pem(pem).ok().map(|key| (Algorithm::RS256, key));
    let either =
        rsa.or_else(|| DecodingKey::from_ec_pem(pem).ok().map(|key| (Algorithm::ES256, key)));
    either.map(|(algorithm, key)| JwtKey { id: None, algorithm, key })
}

/// A key of a set, if it is of a kind that is used here.
fn of_set(jwk: &Jwk) -> Option<JwtKey> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library's own list, which grows")]
    let algorithm = match jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(_) => Algorithm::ES256,
        AlgorithmParameters::OctetKey(_) => Algorithm::HS256,
        _ => return None,
    };
    let said = jwk.common.key_algorithm;
    let is_ours =
        |said| matches!(said, KeyAlgorithm::RS256 | KeyAlgorithm::ES256 | KeyAlgorithm::HS256);
    if said.is_some_and(|said| !is_ours(said)) {
        return None;
    }
    let key = DecodingKey::from_jwk(jwk).ok()?;
    Some(JwtKey { id: jwk.common.key_id.clone(), algorithm, key })
}

fn reason(kind: &ErrorKind) -> JwtError {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library's own list, which grows")]
    match kind {
        ErrorKind::InvalidSignature => JwtError::Signature,
        ErrorKind::InvalidIssuer | ErrorKind::InvalidAudience => JwtError::Foreign,
        ErrorKind::MissingRequiredClaim(name) => match name.as_str() {
            "aud" | "iss" => JwtError::Foreign,
            _ => JwtError::Claim("exp"),
        },
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidKeyFormat => JwtError::UnknownKey,
        _ => JwtError::Malformed,
    }
}

impl fmt::Debug for JwtKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JwtKeys({})", self.keys.len())
    }
}

impl fmt::Display for JwtKeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PublicKey => "no public key of RSA or P-256 in PEM",
            Self::Jwks(_) => "no JSON Web Key Set",
            Self::NoKey => "no key in it can be used: RSA (RS256), P-256 (ES256), secrets (HS256)",
            Self::Secret => "a secret of fewer than 32 bytes",
        })
    }
}

impl std::error::Error for JwtKeysError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Jwks(error) => Some(error),
            Self::PublicKey | Self::NoKey | Self::Secret => None,
        }
    }
}

impl fmt::Display for JwtError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("it is no token"),
            Self::UnknownKey => f.write_str("it is signed with a key that is not known here"),
            Self::Signature => f.write_str("its signature is wrong"),
            Self::Expired => f.write_str("it has expired"),
            Self::NotYet => f.write_str("it does not hold yet"),
            Self::Foreign => f.write_str("its issuer or audience is another"),
            Self::Claim(name) => write!(f, "its claim `{name}` is missing or makes no sense"),
        }
    }
}

impl std::error::Error for JwtError {}

#[cfg(test)]
mod tests;
