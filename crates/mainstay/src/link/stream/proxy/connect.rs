//! HTTP `CONNECT` (RFC 9110, 9.3.6).

use std::io;

use mainstay_core::policy::outcome::Outcome;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::DialError;
use super::super::authority::Authority;
use super::Server;

/// Bytes that the head of the proxy's answer may have.
const HEAD_MAX: usize = 8 * 1024;

/// Fields that it may have.
const FIELDS_MAX: usize = 64;

pub(super) async fn tunnel(
    mut stream: TcpStream,
    proxy: &Server,
    target: &Authority,
    credentials: Option<&str>,
) -> Result<TcpStream, DialError> {
    let broke = |error: io::Error| {
        proxy.error(Outcome::TRANSIENT, target, "broke off before the tunnel to").because(error)
    };
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
    if let Some(credentials) = credentials {
        request.push_str(&format!("Proxy-Authorization: {credentials}\r\n"));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await.map_err(broke)?;
    let mut head = Vec::with_capacity(512);
    loop {
        if stream.read_buf(&mut head).await.map_err(broke)? == 0 {
            return Err(broke(io::ErrorKind::UnexpectedEof.into()));
        }
        match parse(&head) {
            Answer::Partial if head.len() < HEAD_MAX => {}
            Answer::Complete { status, bytes } => {
                return judge(proxy, target, status, head.len() - bytes).map(|()| stream);
            }
            Answer::Partial | Answer::Junk => {
                let what = "does not speak HTTP, asked for";
                return Err(proxy.error(Outcome::TRANSIENT, target, what));
            }
        }
    }
}

enum Answer {
    Partial,
    Complete { status: u16, bytes: usize },
    Junk,
}

fn parse(head: &[u8]) -> Answer {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    match (response.parse(head), response.code) {
        (Ok(httparse::Status::Complete(bytes)), Some(status)) => Answer::Complete { status, bytes },
        (Ok(httparse::Status::Partial), _) => Answer::Partial,
        (Ok(httparse::Status::Complete(_)), None) | (Err(_), _) => Answer::Junk,
    }
}

/// What `status` says, with `more` bytes after the head.
fn judge(proxy: &Server, target: &Authority, status: u16, more: usize) -> Result<(), DialError> {
    let outcome = match status {
        // The peer waits for us to speak first: nobody else can have sent these bytes.
        200..=299 if more > 0 => {
            return Err(proxy.error(Outcome::TRANSIENT, target, "spoke in place of"));
        }
        200..=299 => return Ok(()),
        401 | 403 | 407 => Outcome::Refused,
        405 | 501 => Outcome::Permanent,
        _ => Outcome::TRANSIENT,
    };
    Err(proxy.error(outcome, target, &format!("answered {status} for")))
}
