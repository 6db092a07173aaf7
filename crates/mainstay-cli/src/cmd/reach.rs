//! How the WebSockets of a command are reached: whom they trust, what they show, which proxy.

use std::path::Path;

use mainstay::core::config::ConfigError;
use mainstay::link::websocket::WebSocketConfig;
use mainstay::link::{Identity, Proxy, Roots, TlsConfig};
use mainstay_server::config::read_pem;

use crate::args::{IdentityArgs, ReachArgs};
use crate::exit::Failure;

/// Puts what the arguments say into `config`.
pub(super) fn reach(args: &ReachArgs, config: &mut WebSocketConfig) -> Result<(), Failure> {
    if let Some(path) = &args.ca_file {
        config.tls.roots = Roots::Pem(read("--ca-file", path)?);
    }
    if let Some(url) = &args.proxy {
        config.stream.proxy = proxy(url)?;
    }
    Ok(())
}

/// What is shown to a server that asks for a certificate; the command line has both files or none.
pub(super) fn identity(args: &IdentityArgs, config: &mut WebSocketConfig) -> Result<(), Failure> {
    if let (Some(certificate), Some(key)) = (&args.cert_file, &args.key_file) {
        let (certificate, key) = (read("--cert-file", certificate)?, read("--key-file", key)?);
        config.tls.identity = Some(Identity::pem(certificate, key));
    }
    Ok(())
}

fn read(flag: &str, path: &Path) -> Result<String, Failure> {
    let refuse = |error| format!("{flag} {}: {error}", path.display());
    read_pem(path).map_err(|error| Failure::usage(refuse(error)))
}

/// A password does not belong on a command line, where everybody on the machine can see it.
fn proxy(url: &str) -> Result<Proxy, Failure> {
    if url == "none" {
        return Ok(Proxy::none());
    }
    if url.contains('@') {
        let instead = "--proxy must not contain a user or a password: put it into HTTPS_PROXY";
        return Err(Failure::usage(instead));
    }
    Proxy::parse(url)
        .map_err(|error| Failure::usage(format!("--proxy: allowed: {}, or none", error.allowed)))
}

/// Why WebSockets cannot be reached as `tls` says, in words of the command line; none when the error
/// is about something else.
pub(super) fn unfit(error: &ConfigError, tls: &TlsConfig) -> Option<String> {
    let flag = match error.field.as_str() {
        "tls.roots" if tls.roots == Roots::Platform => {
            return Some(format!("no certificates to trust: {}: see --ca-file", error.value));
        }
        "tls.roots" => "--ca-file",
        "tls.identity.certificate" => "--cert-file",
        "tls.identity.key" => "--key-file",
        _ => return None,
    };
    Some(format!("{flag} names a file that cannot be used, allowed: {}", error.allowed))
}
