//! SOCKS 5 (RFC 1928, 1929).

use mainstay_core::policy::outcome::Outcome;
use tokio::net::TcpStream;
use tokio_socks::tcp::Socks5Stream;
use tokio_socks::{Error, TargetAddr};

use super::super::DialError;
use super::super::authority::Authority;
use super::Server;

pub(super) async fn tunnel(
    stream: TcpStream,
    proxy: &Server,
    target: &Authority,
    credentials: Option<&(String, String)>,
) -> Result<TcpStream, DialError> {
    // A name goes to the proxy as it is: nothing of it is shown to the resolver of this machine.
    let to = match target.address() {
        Some(address) => TargetAddr::Ip((address, target.port()).into()),
        None => TargetAddr::Domain(target.host().into(), target.port()),
    };
    let made = match credentials {
        None => Socks5Stream::connect_with_socket(stream, to).await,
        Some((user, password)) => {
            Socks5Stream::connect_with_password_and_socket(stream, to, user, password).await
        }
    };
    made.map(Socks5Stream::into_inner)
        .map_err(|error| proxy.error(outcome(&error), target, "made no tunnel to").because(error))
}

fn outcome(error: &Error) -> Outcome {
    match error {
        Error::NoAcceptableAuthMethods
        | Error::PasswordAuthFailure(_)
        | Error::AuthorizationRequired
        | Error::IdentdAuthFailure
        | Error::InvalidUserIdAuthFailure
        | Error::ConnectionNotAllowedByRuleset => Outcome::Refused,
        Error::CommandNotSupported
        | Error::AddressTypeNotSupported
        | Error::InvalidTargetAddress(_)
        | Error::InvalidAuthValues(_) => Outcome::Permanent,
        Error::Io(_)
        | Error::ParseError(_)
        | Error::ProxyServerUnreachable
        | Error::InvalidResponseVersion
        | Error::UnknownAuthMethod
        | Error::GeneralSocksServerFailure
        | Error::NetworkUnreachable
        | Error::HostUnreachable
        | Error::ConnectionRefused
        | Error::TtlExpired
        | Error::UnknownError
        | Error::InvalidReservedByte
        | Error::UnknownAddressType => Outcome::TRANSIENT,
    }
}
