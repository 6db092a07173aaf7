//! The pages for people.

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::admin::asking::{OPERATOR, ask, ask_as, with_keys};
use crate::running::{PATIENCE, Running, config, start};

const NONE: Value = Value::Null;
const HTML: &str = "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\nHost: 127.0.0.1\r\n";
const PROGRAM: &str = "Accept: */*\r\nHost: 127.0.0.1\r\n";

/// The first line and headers, in small letters, and the rest.
async fn get(running: &Running, path: &str, headers: &str) -> (String, String) {
    let answer = running.get(path, headers).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_ascii_lowercase(), body.to_owned())
}

#[tokio::test]
async fn browsers_get_the_dashboard_and_programs_what_they_always_got() {
    let running = start("").await;
    let (head, body) = get(&running, "/", HTML).await;
    assert!(head.starts_with("http/1.1 200") && head.contains("text/html"), "{head}");
    assert!(body.contains("<title>Mainstay</title>"), "{body}");
    for header in [
        "content-security-policy: default-src 'self'; object-src 'none'",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
    ] {
        assert!(head.contains(header), "{head}");
    }
    assert!(!body.contains("<style") && !body.contains("<script>"), "nothing stands inline");
    let (head, body) = get(&running, "/", PROGRAM).await;
    assert!(head.starts_with("http/1.1 404") && body.contains("NOT_FOUND"), "{head}");
    let refused = "Accept: text/html;q=0, application/json\r\nHost: 127.0.0.1\r\n";
    assert!(get(&running, "/", refused).await.0.starts_with("http/1.1 404"));
    assert_eq!(ask(&running, "POST", "/", &NONE).await.status, 404);
}

#[tokio::test]
async fn files_are_small_known_again_and_need_no_credentials() {
    let running = with_keys("").await;
    for (path, kind) in [
        ("/", "text/html"),
        ("/dashboard/app.js", "text/javascript"),
        ("/dashboard/app.css", "text/css"),
        ("/dashboard/icon.svg", "image/svg+xml"),
    ] {
        let (head, body) = get(&running, path, HTML).await;
        assert!(head.starts_with("http/1.1 200") && head.contains(kind), "{path}: {head}");
        assert!(!body.is_empty() && !head.contains("content-encoding"), "{path}");
        let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
        // Tags are compared as they are: they must not be made small.
        let tag = tag.replace("w/", "W/");
        let known = format!("{HTML}If-None-Match: {tag}\r\n");
        let (head, body) = get(&running, path, &known).await;
        assert!(head.starts_with("http/1.1 304") && body.is_empty(), "{path}: {head}");
    }
    for path in ["/dashboard/app.js", "/dashboard/app.css"] {
        let (head, body) = packed(&running, path).await;
        assert!(head.contains("content-encoding: gzip\r\n"), "{head}");
        assert!(head.contains("vary: accept-encoding\r\n"), "{head}");
        assert!(body.starts_with(&[0x1F, 0x8B]));
    }
    // What is no page is still behind the guard, and programs are asked who they are.
    assert!(get(&running, "/", PROGRAM).await.0.starts_with("http/1.1 401"));
    assert!(get(&running, "/dashboard/other.js", HTML).await.0.starts_with("http/1.1 401"));
}

/// The head, in small letters, and the bytes of an answer that may be packed.
async fn packed(running: &Running, path: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(&running.address).await.unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: br, gzip;q=0.9\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    let head = String::from_utf8(answer[..end].to_vec()).unwrap().to_ascii_lowercase();
    (head, answer.split_off(end))
}

const LINKS: &str = "[[link]]\nname = \"payments\"\nurl = \"http://127.0.0.1:9/secret-path\"\n";

#[tokio::test]
async fn the_status_page_is_off_until_it_is_wanted_and_tells_names_alone() {
    let running = start(LINKS).await;
    assert!(get(&running, "/status", HTML).await.0.starts_with("http/1.1 404"));
    let wanted = format!("[server]\nstatus_page = true\n{LINKS}");
    running.handle.reload(&config(&wanted)).await.unwrap();
    let (head, body) = get(&running, "/status", HTML).await;
    assert!(head.starts_with("http/1.1 200") && head.contains("no-store"), "{head}");
    assert!(body.contains("payments"), "{body}");
    assert!(!body.contains("127.0.0.1") && !body.contains("secret-path"), "{body}");
    assert!(!body.contains("<script") && !body.contains("style="), "{body}");
    let keys = with_keys("[server]\nstatus_page = true").await;
    assert!(get(&keys, "/status", HTML).await.0.starts_with("http/1.1 200"));
}

#[tokio::test]
async fn settings_are_told_with_their_source_and_without_secrets() {
    let text = "[server]\nshutdown_deadline = \"7s\"\n[sessions.limits]\nrate = 55";
    let running = with_keys(text).await;
    let answer = ask_as(&running, OPERATOR, "GET", "/api/v1/settings", &NONE).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let settings = answer.body["settings"].as_array().unwrap();
    let of = |name: &str| settings.iter().find(|one| one["name"] == name).unwrap();
    assert_eq!(of("server.shutdown_deadline")["value"], "7s");
    assert_eq!(of("sessions.limits.rate")["value"], "55");
    assert!(of("sessions.limits.rate")["source"].as_str().unwrap().ends_with(":4"));
    assert_eq!(of("sessions.limits.burst")["source"], "default");
    assert_eq!(of("auth.key")["value"], "3 keys");
    assert_eq!(of("server.listen")["source"], "flag --listen");
    assert!(!answer.body.to_string().contains("msk_"), "{:?}", answer.body);
}
