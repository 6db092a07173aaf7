//! The standard health check of gRPC: one request of one field, one answer of one field.

use ::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use bytes::Buf as _;
use http_body_util::{BodyExt as _, Limited};
use mainstay_core::policy::outcome::Outcome;
use reqwest::{RequestBuilder, StatusCode};

use super::super::transport::DialError;
use super::sending::send;
use super::{Elapsed, HttpTransport, UnderWay, failed, unexpected};

/// The longest answer that is read: it has a field of one byte.
const ANSWER_MAX: usize = 4 * 1024;
const PATH: &str = "/grpc.health.v1.Health/Check";

impl HttpTransport {
    pub(super) async fn ask_grpc(
        &self,
        index: usize,
        service: &str,
    ) -> Result<Result<(), DialError>, Elapsed> {
        let request = match self.grpc(index, service).await {
            Ok(request) => request,
            Err(error) => return Ok(Err(error)),
        };
        self.shared.tally.requests.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let under_way = UnderWay::new(&self.shared.tally.in_flight);
        let response = match send(request).await {
            Ok(response) => response,
            Err(error) if error.is_timeout() && !error.is_connect() => return Err(Elapsed),
            Err(error) => return Ok(Err(failed(error.without_url()))),
        };
        self.note(response.extensions());
        let (parts, body) = ::http::Response::from(response).into_parts();
        if parts.status != StatusCode::OK {
            let what = format!("the peer answered {} in place of gRPC", parts.status);
            let outcome = unexpected(parts.status, &parts.headers);
            return Ok(Err(DialError::new(outcome, what)));
        }
        let Ok(collected) = Limited::new(body, ANSWER_MAX).collect().await else {
            return Ok(Err(DialError::new(Outcome::TRANSIENT, "the peer's answer broke off")));
        };
        drop(under_way);
        // An answer without a message has its status where the headers are.
        let trailers = collected.trailers().unwrap_or(&parts.headers).clone();
        Ok(judge(&trailers, &collected.to_bytes()))
    }

    async fn grpc(&self, index: usize, service: &str) -> Result<RequestBuilder, DialError> {
        let url = self.shared.places.at(index, PATH);
        let request = self.client()?.post(url).body(question(service));
        let request = request
            .header(CONTENT_TYPE, HeaderValue::from_static("application/grpc"))
            .header("te", HeaderValue::from_static("trailers"));
        self.with_bearer(request).await
    }
}

/// `HealthCheckRequest { service = 1 }`, with what gRPC puts before a message.
fn question(service: &str) -> Vec<u8> {
    let mut message = Vec::with_capacity(service.len() + 8);
    if !service.is_empty() {
        message.push(0x0A);
        put_varint(&mut message, service.len() as u64);
        message.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut framed = vec![0];
    framed.extend_from_slice(&length.to_be_bytes());
    framed.append(&mut message);
    framed
}

/// What the answer says.
fn judge(trailers: &HeaderMap, body: &[u8]) -> Result<(), DialError> {
    let status = trailers.get("grpc-status").and_then(|value| value.to_str().ok()?.parse().ok());
    match status {
        Some(0) => {}
        Some(code) => return Err(refused(code)),
        None => return Err(DialError::new(Outcome::TRANSIENT, "the peer does not speak gRPC")),
    }
    let (what, outcome) = match serving(body) {
        Some(1) => return Ok(()),
        Some(0) => ("UNKNOWN", Outcome::TRANSIENT),
        Some(2) => ("NOT_SERVING", Outcome::TRANSIENT),
        Some(3) => ("SERVICE_UNKNOWN", Outcome::TRANSIENT),
        Some(_) | None => ("nothing that is known", Outcome::TRANSIENT),
    };
    Err(DialError::new(outcome, format!("the peer says {what}, expected SERVING")))
}

fn refused(code: u16) -> DialError {
    let (name, outcome) = match code {
        4 => ("DEADLINE_EXCEEDED", Outcome::TRANSIENT),
        // A service that is not there yet may come.
        5 => ("NOT_FOUND: it knows no such service", Outcome::TRANSIENT),
        7 => ("PERMISSION_DENIED", Outcome::Refused),
        8 => ("RESOURCE_EXHAUSTED", Outcome::TRANSIENT),
        12 => ("UNIMPLEMENTED: it has no health check", Outcome::Permanent),
        13 => ("INTERNAL", Outcome::TRANSIENT),
        14 => ("UNAVAILABLE", Outcome::TRANSIENT),
        16 => ("UNAUTHENTICATED", Outcome::Refused),
        _ => ("an error", Outcome::TRANSIENT),
    };
    DialError::new(outcome, format!("the peer answered with gRPC status {code} ({name})"))
}

/// The status in `HealthCheckResponse { status = 1 }`; a message without the field says 0. Fields
/// that are not known are passed over.
fn serving(mut body: &[u8]) -> Option<u64> {
    if body.len() < 5 || body.get_u8() != 0 {
        return None;
    }
    let length = usize::try_from(body.get_u32()).ok()?;
    let mut message = body.get(..length)?;
    let mut status = 0;
    while !message.is_empty() {
        let key = take_varint(&mut message)?;
        match key & 7 {
            0 => {
                let value = take_varint(&mut message)?;
                if key >> 3 == 1 {
                    status = value;
                }
            }
            1 => message = message.get(8..)?,
            2 => {
                let length = usize::try_from(take_varint(&mut message)?).ok()?;
                message = message.get(length..)?;
            }
            5 => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

fn put_varint(into: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        into.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    into.push(number.to_le_bytes()[0]);
}

fn take_varint(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = from.split_first()?;
        *from = rest;
        number |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn messages_are_the_bytes_that_the_standard_says() {
        assert_eq!(question(""), [0, 0, 0, 0, 0]);
        assert_eq!(question("pay"), [0, 0, 0, 0, 5, 0x0A, 3, b'p', b'a', b'y']);
        for (bytes, wanted) in [
            (&[0, 0, 0, 0, 2, 8, 1][..], Some(1)),
            (&[0, 0, 0, 0, 0], Some(0)),
            (&[0, 0, 0, 0, 5, 0x12, 1, 9, 8, 2], Some(2)),
            (&[1, 0, 0, 0, 2, 8, 1], None),
            (&[0, 0, 0, 0, 3, 8, 1], None),
            (&[0, 0, 0], None),
            (&[0, 0, 0, 0, 2, 8, 0x80], None),
        ] {
            assert_eq!(serving(bytes), wanted, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut framed = vec![0];
            framed.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_be_bytes());
            framed.extend_from_slice(&bytes);
            let _ = (serving(&bytes), serving(&framed));
        }

        #[test]
        fn numbers_are_read_as_they_are_written(number: u64) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, number);
            prop_assert_eq!(take_varint(&mut &bytes[..]), Some(number));
        }
    }
}
