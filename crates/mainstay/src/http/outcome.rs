//! What an answer, or the lack of one, means.

use std::error::Error;
use std::time::SystemTime;

use http::{HeaderMap, Method, StatusCode};
use mainstay_core::policy::outcome::Outcome;

use crate::classify::io_outcome;
use crate::retry_after::retry_after;

/// What a status means.
///
/// | status | means |
/// |---|---|
/// | 2xx, 3xx, 304 | success |
/// | 408, 425, 500, 502, 504 | worth another try |
/// | 429, and 503 with a `Retry-After` | throttled, not before the hint |
/// | 503 without one | worth another try |
/// | 421 | worth another try at another endpoint |
/// | 501, 505, other 5xx | broken, and will be the same again |
/// | other 4xx | the peer is well and will say the same again |
///
/// The hint of 408, 425, 5xx counts too. `now` is the wall clock.
#[must_use]
pub fn status_outcome(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> Outcome {
    let hint = retry_after(headers, now);
    match status.as_u16() {
        100..400 => Outcome::Success,
        429 => Outcome::Throttled { hint },
        503 if hint.is_some() => Outcome::Throttled { hint },
        408 | 425 | 500 | 502 | 503 | 504 => Outcome::Transient { hint },
        421 => Outcome::Elsewhere,
        400..500 => Outcome::Refused,
        _ => Outcome::Permanent,
    }
}

/// What an error of reqwest means; `None` when it says nothing by itself and its source decides.
///
/// Timeouts and failures to connect, send or read are worth another try, unless a cause below says
/// otherwise (a certificate that is not trusted, a request that cannot be built).
#[must_use]
pub fn transport_outcome(error: &reqwest::Error) -> Option<Outcome> {
    if error.is_builder() {
        return Some(Outcome::Mistake);
    }
    if error.is_redirect() {
        return Some(Outcome::Permanent);
    }
    if let Some(status) = error.status() {
        return Some(status_outcome(status, &HeaderMap::new(), SystemTime::now()));
    }
    if error.is_timeout() {
        return Some(Outcome::TRANSIENT);
    }
    if is_tls(error) {
        return Some(Outcome::Permanent);
    }
    if let Some(io) = io_cause(error) {
        let outcome = io_outcome(io);
        if outcome != Outcome::Permanent {
            return Some(outcome);
        }
    }
    let on_the_wire = error.is_connect() || error.is_request() || error.is_body();
    Some(if on_the_wire { Outcome::TRANSIENT } else { Outcome::Permanent })
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        // An `io::Error` names as its source not what it wraps, but that one's source.
        let wrapped = (*error).downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        match wrapped {
            Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
            None => (*error).source(),
        }
    })
}

fn io_cause(error: &reqwest::Error) -> Option<&std::io::Error> {
    causes(error).find_map(|cause| cause.downcast_ref::<std::io::Error>())
}

/// Whether TLS refused the peer: trying again shows the same certificate.
pub(crate) fn is_tls(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| {
        matches!(
            cause.downcast_ref::<rustls::Error>(),
            Some(
                rustls::Error::InvalidCertificate(_)
                    | rustls::Error::InvalidCertRevocationList(_)
                    | rustls::Error::PeerIncompatible(_)
                    | rustls::Error::NoApplicationProtocol
            )
        )
    })
}

/// Whether a request may be sent twice: its method is idempotent by definition (RFC 9110), or it
/// carries an `Idempotency-Key`.
#[must_use]
pub fn is_idempotent(method: &Method, headers: &HeaderMap) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    ) || headers.contains_key("idempotency-key")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use std::time::Duration;

    fn outcome(status: u16, hint: Option<&'static str>) -> Outcome {
        let mut headers = HeaderMap::new();
        if let Some(hint) = hint {
            headers.insert("retry-after", HeaderValue::from_static(hint));
        }
        status_outcome(StatusCode::from_u16(status).unwrap(), &headers, SystemTime::now())
    }

    #[test]
    fn statuses_mean_what_the_table_says() {
        let five = Some(Duration::from_secs(5));
        let cases = [
            (200, None, Outcome::Success),
            (304, None, Outcome::Success),
            (400, None, Outcome::Refused),
            (404, Some("5"), Outcome::Refused),
            (408, None, Outcome::TRANSIENT),
            (421, None, Outcome::Elsewhere),
            (425, None, Outcome::TRANSIENT),
            (429, None, Outcome::THROTTLED),
            (429, Some("5"), Outcome::Throttled { hint: five }),
            (500, None, Outcome::TRANSIENT),
            (501, None, Outcome::Permanent),
            (502, None, Outcome::TRANSIENT),
            (503, None, Outcome::TRANSIENT),
            (503, Some("5"), Outcome::Throttled { hint: five }),
            (504, Some("5"), Outcome::Transient { hint: five }),
            (505, None, Outcome::Permanent),
        ];
        for (status, hint, expected) in cases {
            assert_eq!(outcome(status, hint), expected, "{status} {hint:?}");
        }
    }

    #[test]
    fn r18_only_idempotent_methods_and_keyed_requests_may_be_sent_twice() {
        let none = HeaderMap::new();
        assert!(is_idempotent(&Method::GET, &none) && is_idempotent(&Method::DELETE, &none));
        assert!(!is_idempotent(&Method::POST, &none) && !is_idempotent(&Method::PATCH, &none));
        let mut keyed = HeaderMap::new();
        keyed.insert("idempotency-key", HeaderValue::from_static("7"));
        assert!(is_idempotent(&Method::POST, &keyed));
    }
}
