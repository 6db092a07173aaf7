//! The secret with which a session is resumed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mainstay::core::session::stream::Epoch;
use mainstay_registry::SessionId;
use mainstay_wire::Secret;
use ring::hmac;

/// What every token begins with: the version of its form.
const PREFIX: &str = "r1.";
const MAC: usize = 32;
/// Session, generation, epoch, time and the length of the user's name.
const FIXED: usize = 16 + 8 + 8 + 8 + 2;
/// The longest token that is looked at: two names of 256 bytes fit.
const TOKEN_MAX: usize = 1024;

/// Signs tokens and knows its own again.
#[derive(Debug)]
pub(crate) struct TokenKey(hmac::Key);

/// What a token says.
///
/// It names whose session it is, so that a server that has lost the session still knows whom it has
/// before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResumeToken {
    pub(crate) session: SessionId,
    pub(crate) generation: u64,
    /// The numbering of its messages.
    pub(crate) epoch: Epoch,
    /// When it was made, in milliseconds since 1970.
    pub(crate) issued_at: u64,
    pub(crate) user: Option<String>,
    pub(crate) organisation: String,
}

impl TokenKey {
    /// That of `secret`, which only servers of the same sessions know.
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    pub(crate) fn sign(&self, token: &ResumeToken) -> Secret {
        let mut bytes = Vec::with_capacity(FIXED + 64 + MAC);
        bytes.extend(token.session.to_bits().to_be_bytes());
        bytes.extend(token.generation.to_be_bytes());
        bytes.extend(token.epoch.0.to_be_bytes());
        bytes.extend(token.issued_at.to_be_bytes());
        // Names are limited long before this; no user is another thing than one without a name.
        let user = token.user.as_deref();
        let length =
            user.map_or(u16::MAX, |user| u16::try_from(user.len()).unwrap_or(u16::MAX - 1));
        bytes.extend(length.to_be_bytes());
        bytes.extend(user.unwrap_or_default().as_bytes());
        bytes.extend(token.organisation.as_bytes());
        let mac = hmac::sign(&self.0, &bytes);
        bytes.extend(mac.as_ref());
        Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// What a token says, if it is one of ours.
    pub(crate) fn verify(&self, token: &Secret) -> Option<ResumeToken> {
        let text = token.expose();
        if text.len() > TOKEN_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        let (said, mac) = bytes.split_at_checked(bytes.len().checked_sub(MAC)?)?;
        hmac::verify(&self.0, said, mac).ok()?;
        let (session, rest) = said.split_first_chunk::<16>()?;
        let (generation, rest) = rest.split_first_chunk::<8>()?;
        let (epoch, rest) = rest.split_first_chunk::<8>()?;
        let (issued_at, rest) = rest.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (user, organisation) = match u16::from_be_bytes(*length) {
            u16::MAX => (None, rest),
            length => {
                let (user, rest) = rest.split_at_checked(usize::from(length))?;
                (Some(text_of(user)?), rest)
            }
        };
        Some(ResumeToken {
            session: SessionId::from_bits(u128::from_be_bytes(*session)),
            generation: u64::from_be_bytes(*generation),
            epoch: Epoch(u64::from_be_bytes(*epoch)),
            issued_at: u64::from_be_bytes(*issued_at),
            user,
            organisation: text_of(organisation)?,
        })
    }
}

fn text_of(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(user: Option<&str>) -> ResumeToken {
        ResumeToken {
            session: SessionId::from_bits(7 << 80),
            generation: 3,
            epoch: Epoch(2),
            issued_at: 1_790_000_000_000,
            user: user.map(String::from),
            organisation: "acme".into(),
        }
    }

    #[test]
    fn what_was_signed_is_known_again() {
        let key = TokenKey::new(&[7; 32]);
        for user in [None, Some(""), Some("anna"), Some("ä".repeat(128).as_str())] {
            let token = token(user);
            assert_eq!(key.verify(&key.sign(&token)), Some(token));
        }
    }

    #[test]
    fn what_was_not_signed_here_is_not() {
        let key = TokenKey::new(&[7; 32]);
        let signed = key.sign(&token(Some("anna")));
        assert_eq!(TokenKey::new(&[8; 32]).verify(&signed), None);
        let text = signed.expose();
        for at in 0..text.len() {
            let mut forged = text.as_bytes().to_vec();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let forged = Secret::new(String::from_utf8(forged).unwrap());
            assert_eq!(key.verify(&forged), None, "at {at}");
        }
        for length in 0..text.len() {
            assert_eq!(key.verify(&Secret::new(&text[..length])), None, "{length} bytes");
        }
        assert_eq!(key.verify(&Secret::new(format!("r1.{}", "A".repeat(4_000)))), None);
    }
}
