//! The pages for people: the dashboard at `/`, and the status page where it is wanted.
//!
//! They are part of the binary. Nothing in them is secret, so that they are answered without
//! credentials; what they show they ask of the API, with the credentials of whoever looks at them.
//! A path that is neither is answered as if there were no pages.

use std::sync::{Arc, LazyLock};

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use ring::digest::{SHA256, digest};

use crate::api::guard::trusted;
use crate::state::Shared;

/// Everything comes from here, and nothing is in the page itself.
const POLICY: &str = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// A file of the dashboard, as it is and smaller.
struct File {
    path: &'static str,
    kind: &'static str,
    plain: &'static [u8],
    gzip: Option<&'static [u8]>,
}

macro_rules! built {
    ($name:literal) => {
        include_bytes!(concat!("../../../dashboard/dist/", $name))
    };
}

const HTML: &str = "text/html; charset=utf-8";

static FILES: [File; 4] = [
    File { path: "/", kind: HTML, plain: built!("index.html"), gzip: None },
    File {
        path: "/dashboard/app.js",
        kind: "text/javascript; charset=utf-8",
        plain: built!("app.js"),
        gzip: Some(built!("app.js.gz")),
    },
    File {
        path: "/dashboard/app.css",
        kind: "text/css; charset=utf-8",
        plain: built!("app.css"),
        gzip: Some(built!("app.css.gz")),
    },
    File {
        path: "/dashboard/icon.svg",
        kind: "image/svg+xml",
        plain: built!("icon.svg"),
        gzip: None,
    },
];

/// A name for each file that changes with what is in it.
static TAGS: LazyLock<[HeaderValue; 4]> = LazyLock::new(|| {
    FILES.each_ref().map(|file| {
        let hash = digest(&SHA256, file.plain);
        let hex: String = hash.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        HeaderValue::from_str(&format!("W/\"{hex}\"")).unwrap_or(HeaderValue::from_static("W/\"\""))
    })
});

/// What is asked for.
pub(crate) enum Page {
    /// This, as it is.
    File(Response),
    /// The status page, which has to be made.
    Status,
    /// Neither.
    None,
}

/// The page that is asked for, if it is one of these.
pub(crate) fn page(shared: &Shared, request: &Request) -> Page {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Page::None;
    }
    let (path, headers) = (request.uri().path(), request.headers());
    if path == "/status" && shared.status_page.is_wanted() {
        // What it says is not for pages of other sites that a browser shows.
        return match trusted(shared, request) {
            Ok(()) => Page::Status,
            Err(error) => Page::File(error.into_response()),
        };
    }
    let Some(index) = FILES.iter().position(|file| file.path == path) else { return Page::None };
    // Programs that ask for `/` are told what there is, as for any path that is not there.
    if path == "/" && !names(headers, &ACCEPT, "text/html") {
        return Page::None;
    }
    Page::File(file(&FILES[index], &TAGS[index], headers))
}

/// The status page.
pub(crate) async fn status(shared: &Arc<Shared>) -> Response {
    let text = shared.status_page.show(shared).await;
    secured(text.to_string(), HTML, "no-store")
}

fn file(file: &File, tag: &HeaderValue, headers: &HeaderMap) -> Response {
    let is_known = headers.get(IF_NONE_MATCH).is_some_and(|known| known == tag);
    let packed = file.gzip.filter(|_| names(headers, &ACCEPT_ENCODING, "gzip"));
    let body = if is_known { &[][..] } else { packed.unwrap_or(file.plain) };
    let mut response = secured(body, file.kind, "no-cache");
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let out = response.headers_mut();
    out.insert(ETAG, tag.clone());
    if file.gzip.is_some() {
        out.insert(VARY, HeaderValue::from_static("accept-encoding"));
    }
    if packed.is_some() && !is_known {
        out.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// An answer with what browsers are told about every page.
fn secured(body: impl Into<Body>, kind: &'static str, cache: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, cache),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    (headers, body.into()).into_response()
}

/// Whether a list of a header has this word.
fn names(headers: &HeaderMap, header: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(header).iter().filter_map(|value| value.to_str().ok());
    let mut words = values.flat_map(|value| value.split(','));
    words.any(|found| {
        let (name, rest) = found.split_once(';').unwrap_or((found, ""));
        name.trim().eq_ignore_ascii_case(word) && rest.replace(' ', "") != "q=0"
    })
}
