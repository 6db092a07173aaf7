use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::json;

use super::*;

const NOW: u64 = 1_800_000_000;
const SECRET: &str = "a secret of at least thirty-two bytes";

/// A token for anna of acme, by a key that was made once and thrown away: who checks it needs the
/// public half alone.
const BY_RSA: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InJzYS0xIn0.eyJzdWIiOiJhbm5hIiwib3JnIjoiYWNtZSIsImV4cCI6NDEwMjQ0NDgwMCwiaXNzIjoiaHR0cHM6Ly9pZC5leGFtcGxlIiwiYXVkIjoibWFpbnN0YXkifQ.cwuEoPRo8XZ_vgFvah7ics7pd4cdduqgckFW42Xg4V0HWNQFTvcEuQWV38YXSuCU1-FjaQbrmprS_8YAawuRwznKnLBjN28XCSV1coueDdzUK3NJm_k4dsxW1L1rksAOZAA0U5qu70PodWBpob1etf94dTZVll2BAnBQL0rKo5q-SpIlagkBf7qEU0W3SFuGIdOWEwjw5-42tvpmIEMzi2uR8vamqDdf-rSRfCA44W1XCgsSJABaqh4xQGJTFVDuY42ao-qV_Zl3dz39kKlc72JnzcPQcsK5ZyD64OT_i12_G5hP0_UXa8QyfSsEbg6eurEC4Y0M8FHWVOBrSfMh6w";
const RSA_N: &str = "jhphZ_pecsZGGERUpjJmI3KiUOVt7rXwU9AyZf4FXfi755JCRHlgDGSSvcQON6eb3bpebVCMdWQYDBKduEqaDmkQTWMXQ8skwPolI5WDBnfotzkT_cShEhQZVjnKBloVfBUhPp7cI5A0T8dyeM0J21zPFrOO9w9To5rYTpNFx_OBwyzHmU1-83gYO0YdUZ_qoXBvbNm-QbAsW6ruVX93Zg5OEfcrsEf--oXdsQf6_7sAib8wx-CxSthotFLSf7tTiYDCw-T8nBsHv0gEIVFHMQJ1XBFbDyXdtdNIHHQw3CFdBjYSPLVdaDQjTZ-tGgntKf2HX5AF7026jMSiMKGlrQ";
const RSA_PEM: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAjhphZ/pecsZGGERUpjJm
I3KiUOVt7rXwU9AyZf4FXfi755JCRHlgDGSSvcQON6eb3bpebVCMdWQYDBKduEqa
DmkQTWMXQ8skwPolI5WDBnfotzkT/cShEhQZVjnKBloVfBUhPp7cI5A0T8dyeM0J
21zPFrOO9w9To5rYTpNFx/OBwyzHmU1+83gYO0YdUZ/qoXBvbNm+QbAsW6ruVX93
Zg5OEfcrsEf++oXdsQf6/7sAib8wx+CxSthotFLSf7tTiYDCw+T8nBsHv0gEIVFH
MQJ1XBFbDyXdtdNIHHQw3CFdBjYSPLVdaDQjTZ+tGgntKf2HX5AF7026jMSiMKGl
rQIDAQAB
-----END PUBLIC KEY-----";

fn token(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let part = |value: &Value| B64.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let signature = B64.encode(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

fn by_secret(secret: &str, claims: &Value) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
    let sign = |message: &[u8]| ring::hmac::sign(&key, message).as_ref().to_vec();
    token(&json!({"alg": "HS256"}), claims, sign)
}

fn keys(config: JwtConfig) -> JwtKeys {
    JwtKeys::new(&config).unwrap().unwrap()
}

fn secret_keys() -> JwtKeys {
    keys(JwtConfig { secret: Some(Secret::new(SECRET)), ..JwtConfig::default() })
}

#[test]
fn user_and_organisation_come_from_the_claims() {
    let claims = json!({"sub": "anna", "org": "acme", "exp": NOW + 60});
    let anna = secret_keys().identify(&by_secret(SECRET, &claims), NOW).unwrap();
    assert_eq!((anna.user.as_deref(), &*anna.organisation), (Some("anna"), "acme"));
    assert_eq!((anna.role, anna.expires_at), (Role::Client, Some(NOW + 60)));
    let claims = json!({"sub": "anna", "exp": NOW + 60, "role": "admin"});
    let anna = secret_keys().identify(&by_secret(SECRET, &claims), NOW).unwrap();
    assert_eq!(&*anna.organisation, "default");
    assert_eq!(anna.role, Role::Client, "no claim makes an admin unless the configuration says so");
}

#[test]
fn a_claim_names_a_role_where_the_configuration_says_so() {
    let role_claim = Some("mainstay_role".to_owned());
    let secret = Some(Secret::new(SECRET));
    let keys = keys(JwtConfig { secret, role_claim, ..JwtConfig::default() });
    let role = |role: &str| {
        let claims = json!({"sub": "a", "exp": NOW + 1, "mainstay_role": role});
        keys.identify(&by_secret(SECRET, &claims), NOW).map(|who| who.role)
    };
    assert_eq!(role("operator"), Ok(Role::Operator));
    assert_eq!(role("root"), Err(JwtError::Claim("role")));
}

#[test]
fn times_are_checked_with_the_leeway_of_the_configuration() {
    let secret = Some(Secret::new(SECRET));
    let keys = keys(JwtConfig { secret, leeway_secs: 30, ..JwtConfig::default() });
    let at = |claims: Value, now| keys.identify(&by_secret(SECRET, &claims), now).err();
    let until = json!({"sub": "a", "exp": NOW});
    assert_eq!(at(until.clone(), NOW + 29), None);
    assert_eq!(at(until, NOW + 30), Some(JwtError::Expired));
    let from = json!({"sub": "a", "exp": NOW + 999, "nbf": NOW + 31});
    assert_eq!(at(from.clone(), NOW), Some(JwtError::NotYet));
    assert_eq!(at(from, NOW + 1), None);
    assert_eq!(at(json!({"sub": "a", "exp": u64::MAX}), NOW), None);
}

#[test]
fn what_must_be_there_must_be_there() {
    let refused = |claims: Value| secret_keys().identify(&by_secret(SECRET, &claims), NOW).err();
    assert_eq!(refused(json!({"sub": "a"})), Some(JwtError::Claim("exp")));
    assert_eq!(refused(json!({"exp": NOW + 1})), Some(JwtError::Claim("sub")));
    assert_eq!(refused(json!({"sub": "", "exp": NOW + 1})), Some(JwtError::Claim("sub")));
    let long = "x".repeat(257);
    assert_eq!(refused(json!({"sub": long, "exp": NOW + 1})), Some(JwtError::Claim("sub")));
    assert_eq!(
        refused(json!({"sub": "a", "org": "a\n", "exp": NOW + 1})),
        Some(JwtError::Claim("org"))
    );
    for text in ["", "a.b.c", "not a token", &"x.".repeat(9_000)] {
        assert_eq!(secret_keys().identify(text, NOW).err(), Some(JwtError::Malformed));
    }
}

#[test]
fn nobody_chooses_how_a_signature_is_checked() {
    let claims = json!({"sub": "eve", "exp": NOW + 60});
    let keys = secret_keys();
    let wrong = by_secret("another secret of thirty-two bytes...", &claims);
    assert_eq!(keys.identify(&wrong, NOW).err(), Some(JwtError::Signature));
    let none = token(&json!({"alg": "none"}), &claims, |_| Vec::new());
    assert_eq!(keys.identify(&none, NOW).err(), Some(JwtError::Malformed));
    let weaker = token(&json!({"alg": "HS512"}), &claims, |_| vec![0; 64]);
    assert_eq!(keys.identify(&weaker, NOW).err(), Some(JwtError::UnknownKey));
    // The public key is public: it is no secret to sign with.
    let public = self::keys(JwtConfig { public_key: Some(RSA_PEM.into()), ..JwtConfig::default() });
    let confused = by_secret(RSA_PEM, &claims);
    assert_eq!(public.identify(&confused, NOW).err(), Some(JwtError::UnknownKey));
}

#[test]
fn a_token_by_rsa_holds_with_a_pem_and_with_a_set_of_keys() {
    let set = json!({"keys": [
        {"kty": "RSA", "kid": "other", "alg": "RS256", "n": "AQAB", "e": "AQAB"},
        {"kty": "RSA", "kid": "rsa-1", "alg": "RS256", "n": RSA_N, "e": "AQAB"},
    ]});
    let issuer = Some("https://id.example".to_owned());
    let audience = Some("mainstay".to_owned());
    for config in [
        JwtConfig { public_key: Some(RSA_PEM.into()), ..JwtConfig::default() },
        JwtConfig { jwks: Some(set.to_string()), issuer, audience, ..JwtConfig::default() },
    ] {
        let anna = keys(config).identify(BY_RSA, NOW).unwrap();
        assert_eq!((anna.user.as_deref(), &*anna.organisation), (Some("anna"), "acme"));
    }
    let (head, signature) = BY_RSA.rsplit_once('.').unwrap();
    let forged = format!("{head}.{}", signature.replacen('c', "d", 1));
    let public = keys(JwtConfig { public_key: Some(RSA_PEM.into()), ..JwtConfig::default() });
    assert_eq!(public.identify(&forged, NOW).err(), Some(JwtError::Signature));
}

#[test]
fn a_token_for_others_is_foreign() {
    let public_key = Some(RSA_PEM.to_owned());
    let issuer = Some("https://other.example".to_owned());
    let foreign = keys(JwtConfig { public_key, issuer, ..JwtConfig::default() });
    assert_eq!(foreign.identify(BY_RSA, NOW).err(), Some(JwtError::Foreign));
    let secret = Some(Secret::new(SECRET));
    let audience = Some("mainstay".to_owned());
    let strict = keys(JwtConfig { secret, audience, ..JwtConfig::default() });
    let silent = by_secret(SECRET, &json!({"sub": "a", "exp": NOW + 1}));
    assert_eq!(strict.identify(&silent, NOW).err(), Some(JwtError::Foreign));
}

#[test]
fn a_token_by_p_256_holds() {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random)
        .unwrap();
    let point = pair.public_key().as_ref();
    let (x, y) = point[1..].split_at(32);
    let set = json!({"keys": [
        {"kty": "EC", "crv": "P-256", "kid": "e", "x": B64.encode(x), "y": B64.encode(y)},
    ]});
    let keys = keys(JwtConfig { jwks: Some(set.to_string()), ..JwtConfig::default() });
    let claims = json!({"sub": "anna", "exp": NOW + 60});
    let sign = |message: &[u8]| pair.sign(&random, message).unwrap().as_ref().to_vec();
    let named = |kid: &str| token(&json!({"alg": "ES256", "kid": kid}), &claims, sign);
    assert_eq!(keys.identify(&named("e"), NOW).unwrap().user.as_deref(), Some("anna"));
    assert_eq!(keys.identify(&named("f"), NOW).err(), Some(JwtError::UnknownKey));
}

#[test]
fn keys_that_are_none_are_refused() {
    let refused = |config: JwtConfig| JwtKeys::new(&config).unwrap_err().to_string();
    let secret = Some(Secret::new("short"));
    assert!(refused(JwtConfig { secret, ..JwtConfig::default() }).contains("32 bytes"));
    let public_key = Some("-----BEGIN NOTHING-----".to_owned());
    assert!(refused(JwtConfig { public_key, ..JwtConfig::default() }).contains("PEM"));
    let set = |text: &str| JwtConfig { jwks: Some(text.into()), ..JwtConfig::default() };
    assert!(refused(set("{}")).contains("JSON Web Key Set"));
    assert!(refused(set(r#"{"keys":[]}"#)).contains("no key"));
    assert!(JwtKeys::new(&JwtConfig::default()).unwrap().is_none());
}
