use jiff::Timestamp;

use super::error::ApiError;

/// A time of a request: RFC 3339, or milliseconds since 1970.
pub(super) fn moment(field: &str, text: Option<&str>, usual: u64) -> Result<u64, ApiError> {
    let Some(text) = text else { return Ok(usual) };
    let number = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok());
    let found = number.flatten().or_else(|| {
        let stamp = text.parse::<Timestamp>().ok()?;
        // Before 1970 there was nothing.
        Some(u64::try_from(stamp.as_millisecond()).unwrap_or(0))
    });
    found.ok_or_else(|| {
        let allowed = "a time such as 2026-11-21T10:00:00Z, or milliseconds since 1970";
        ApiError::BadRequest(format!("`{field}` is {text:?}, allowed: {allowed}"))
    })
}

/// How much of a list is asked for.
pub(super) fn limit(asked: Option<usize>, usual: usize, most: usize) -> Result<usize, ApiError> {
    let limit = asked.unwrap_or(usual);
    if (1..=most).contains(&limit) {
        return Ok(limit);
    }
    Err(ApiError::BadRequest(format!("`limit` is {limit}, allowed: 1 to {most}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_in_either_form() {
        let read = |text| moment("from", Some(text), 7).ok();
        assert_eq!(moment("from", None, 7).ok(), Some(7));
        assert_eq!(read("1795255827021"), Some(1_795_255_827_021));
        assert_eq!(read("1994-11-06T08:49:37.25Z"), Some(784_111_777_250));
        assert_eq!(read("1994-11-06T09:49:37+01:00"), Some(784_111_777_000));
        assert_eq!(read("1960-01-01T00:00:00Z"), Some(0));
        for wrong in ["", "now", "-1", "2026-11-21", "99999999999999999999999"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_limit_is_within_bounds() {
        assert_eq!(limit(None, 100, 1000).ok(), Some(100));
        assert_eq!(limit(Some(1000), 100, 1000).ok(), Some(1000));
        for wrong in [0, 1001] {
            assert!(limit(Some(wrong), 100, 1000).is_err());
        }
    }
}
