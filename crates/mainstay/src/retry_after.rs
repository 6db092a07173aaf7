//! How long a server asks to be left alone.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::RETRY_AFTER;

/// Header names that carry milliseconds, as some services send beside or instead of `Retry-After`.
const MILLIS: [&str; 2] = ["retry-after-ms", "x-ms-retry-after-ms"];
/// Longer wishes than a year are mistakes.
const LONGEST_SECS: u64 = 365 * 24 * 3600;

/// The wish in `headers`: `retry-after-ms`, `x-ms-retry-after-ms`, or `Retry-After` in seconds or as
/// a date. A date that has passed is no wait at all; what cannot be read is no wish.
///
/// `now` is the wall clock, against which a date is measured.
#[must_use]
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let millis = MILLIS.iter().find_map(|name| retry_after_millis(text(name)?));
    millis.or_else(|| seconds_or_date(headers.get(RETRY_AFTER)?.to_str().ok()?, now))
}

/// A wish in milliseconds, as gRPC's `grpc-retry-pushback-ms` and the headers above write it.
/// `None` when it cannot be read or is negative, which in gRPC means: do not retry.
#[must_use]
pub fn retry_after_millis(text: &str) -> Option<Duration> {
    let millis: u64 = text.trim().parse().ok()?;
    (millis <= LONGEST_SECS * 1000).then(|| Duration::from_millis(millis))
}

fn seconds_or_date(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds: u64 = text.parse().ok()?;
        return (seconds <= LONGEST_SECS).then(|| Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let wait = date.duration_since(now).unwrap_or(Duration::ZERO);
    (wait.as_secs() <= LONGEST_SECS).then_some(wait)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    /// Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110's examples.
    const DATE: u64 = 784_111_777;

    fn wish(name: &'static str, value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        retry_after(&headers, SystemTime::UNIX_EPOCH + Duration::from_secs(DATE - 30))
    }

    #[test]
    fn r10_seconds_dates_and_milliseconds_are_understood() {
        assert_eq!(wish("retry-after", "120"), Some(Duration::from_secs(120)));
        assert_eq!(wish("retry-after", " 0 "), Some(Duration::ZERO));
        assert_eq!(wish("retry-after-ms", "1500"), Some(Duration::from_millis(1500)));
        let ahead = Some(Duration::from_secs(30));
        assert_eq!(wish("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"), ahead);
        assert_eq!(wish("retry-after", "Sunday, 06-Nov-94 08:49:37 GMT"), ahead);
        assert_eq!(wish("retry-after", "Sun Nov  6 08:49:37 1994"), ahead);
    }

    #[test]
    fn r10_a_date_in_the_past_is_no_wait() {
        assert_eq!(wish("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
    }

    #[test]
    fn r10_what_cannot_be_read_is_no_wish() {
        for garbage in ["", "soon", "-5", "1.5", "99999999999999999999", "31536001", "1e3"] {
            assert_eq!(wish("retry-after", garbage), None, "{garbage:?}");
        }
        assert_eq!(retry_after_millis("-1"), None, "gRPC: do not retry");
    }

    proptest::proptest! {
        #[test]
        fn r10_any_header_is_read_or_ignored_without_a_panic(bytes: Vec<u8>) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let mut headers = HeaderMap::new();
                headers.insert(RETRY_AFTER, value);
                let wish = retry_after(&headers, SystemTime::now());
                proptest::prop_assert!(wish.is_none_or(|wish| wish.as_secs() <= LONGEST_SECS));
            }
        }
    }
}
