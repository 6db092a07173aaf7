use super::file::File;
use super::links::At;
use super::place::Document;
use super::problem::Problems;
use super::secret::Secret;
use super::socket::read_pem;
use crate::tls::TlsFiles;

/// What the file alone says about the listener.
pub(super) struct Listen {
    pub(super) tls: Option<TlsFiles>,
    pub(super) origins: Vec<String>,
    pub(super) status_page: bool,
}

pub(super) fn build(file: &File, document: &Document<'_>, problems: &mut Problems) -> Listen {
    Listen {
        tls: tls(file, document, problems),
        origins: origins(file, document, problems),
        status_page: file.server.status_page,
    }
}

/// The certificate of the listener, if the file names one.
fn tls(file: &File, document: &Document<'_>, problems: &mut Problems) -> Option<TlsFiles> {
    let at = At { document, path: "server".into(), label: "server".into() };
    let (certificate, key) = match (&file.server.tls_cert_file, &file.server.tls_key_file) {
        (None, None) => return None,
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(_), None) => {
            at.refuse("tls_cert_file", "needs tls_key_file too".into(), problems);
            return None;
        }
        (None, Some(_)) => {
            at.refuse("tls_key_file", "needs tls_cert_file too".into(), problems);
            return None;
        }
    };
    let mut read = |field: &str, name: &String| {
        let path = document.beside(name);
        let text = read_pem(&path);
        text.map_err(|error| {
            let message = format!("is {:?}: {error}", path.display().to_string());
            at.refuse(field, message, problems);
        })
    };
    let (certificate, key) = (read("tls_cert_file", certificate), read("tls_key_file", key));
    let files = TlsFiles { certificate: certificate.ok()?, key: Secret::new(key.ok()?) };
    if let Err(error) = files.acceptor() {
        at.refuse("tls_cert_file", format!("and tls_key_file hold {error}"), problems);
        return None;
    }
    Some(files)
}

/// The pages that may connect, besides the server's own.
fn origins(file: &File, document: &Document<'_>, problems: &mut Problems) -> Vec<String> {
    let at = At { document, path: "server".into(), label: "server".into() };
    for origin in &file.server.allowed_origins {
        let rest = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        let is_one =
            rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(['/', '?', '#', '@']));
        if !is_one && origin != "*" {
            let allowed = "an origin such as https://app.example.org, or \"*\" for any";
            at.refuse("allowed_origins", format!("has {origin:?}, allowed: {allowed}"), problems);
        }
    }
    file.server.allowed_origins.clone()
}
