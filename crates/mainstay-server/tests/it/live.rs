//! How everything is, told as it changes.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::admin::asking::{ADMIN, CLIENT, OPERATOR, ask, ask_as, id, register, with_keys};
use crate::running::{PATIENCE, Running, start};

const NONE: Value = Value::Null;
const LIVE: &str = "/api/v1/monitor/live";

/// A stream with ids that are texts.
struct Stream(BufReader<TcpStream>);

#[derive(Debug, Default)]
struct Told {
    id: String,
    event: String,
    data: Value,
}

async fn listen(running: &Running, path: &str, headers: &str) -> Stream {
    let mut stream = TcpStream::connect(&running.address).await.unwrap();
    let address = &running.address;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut stream = Stream(BufReader::new(stream));
    let first = stream.line().await.unwrap();
    assert!(first.starts_with("HTTP/1.1 200"), "{first}");
    while !stream.line().await.unwrap().is_empty() {}
    stream
}

impl Stream {
    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = timeout(PATIENCE, self.0.read_line(&mut line)).await.expect("it comes").unwrap();
        (read > 0).then(|| line.trim_end().to_owned())
    }

    async fn next(&mut self) -> Option<Told> {
        let mut told = Told::default();
        let mut line = self.line().await?;
        loop {
            if let Some(text) = line.strip_prefix("id: ") {
                text.clone_into(&mut told.id);
            } else if let Some(name) = line.strip_prefix("event: ") {
                name.clone_into(&mut told.event);
            } else if let Some(data) = line.strip_prefix("data: ") {
                told.data = serde_json::from_str(data).unwrap();
            }
            // The fields may stand in any order; lengths of chunks stand in between.
            if !told.id.is_empty() && !told.event.is_empty() && !told.data.is_null() {
                return Some(told);
            }
            line = self.line().await?;
        }
    }

    /// The next thing that sets this row.
    async fn sets(&mut self, topic: &str, row: &str) -> Told {
        loop {
            let told = self.next().await.expect("it goes on");
            assert_eq!(told.event, "delta", "{told:?}");
            if !told.data["topics"][topic]["set"][row].is_null() {
                return told;
            }
        }
    }
}

const LINK: &str = "[[link]]\nname = \"nowhere\"\nurl = \"http://127.0.0.1:9/health\"\n";

#[tokio::test]
async fn a_listener_gets_everything_and_then_what_changes() {
    let running = start(LINK).await;
    let kim = id(&register(&running, "kim", "acme").await);
    let mut live = listen(&running, LIVE, "").await;
    let first = live.next().await.unwrap();
    assert_eq!(first.event, "snapshot");
    let topics = &first.data["topics"];
    assert!(first.data["at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(topics["links"]["nowhere"]["name"], "nowhere");
    assert_eq!(topics["worst"][&kim]["user"], "kim");
    assert!(topics["gates"].is_object() && topics["alerts"].is_object());
    assert!(topics["summary"]["now"]["sentence"].is_string(), "{topics}");
    let lee = id(&register(&running, "lee", "acme").await);
    let told = live.sets("worst", &lee).await;
    let worst = &told.data["topics"]["worst"];
    assert!(worst["set"][&kim].is_null(), "what has not changed is not told: {worst}");
    assert_eq!(
        ask(&running, "DELETE", &format!("/api/v1/sessions/{lee}"), &NONE).await.status,
        204
    );
    loop {
        let told = live.next().await.unwrap();
        let gone = told.data["topics"]["worst"]["gone"].as_array();
        if gone.is_some_and(|gone| gone.contains(&json!(lee))) {
            return;
        }
    }
}

#[tokio::test]
async fn whoever_comes_back_gets_what_it_missed_and_after_a_gap_everything() {
    let running = start("").await;
    let mut live = listen(&running, LIVE, "").await;
    let first = live.next().await.unwrap();
    let kim = id(&register(&running, "kim", "acme").await);
    live.sets("worst", &kim).await;
    drop(live);
    // While nobody listens, too.
    let lee = id(&register(&running, "lee", "acme").await);
    let shown = format!("Last-Event-ID: {}\r\n", first.id);
    let mut again = listen(&running, LIVE, &shown).await;
    again.sets("worst", &kim).await;
    again.sets("worst", &lee).await;
    let mut asked = listen(&running, &format!("{LIVE}?last_event_id={}", first.id), "").await;
    asked.sets("worst", &kim).await;
    // A place of another process, or none at all.
    for foreign in ["00000000-1", "x", "18446744073709551615"] {
        let mut anew = listen(&running, &format!("{LIVE}?last_event_id={foreign}"), "").await;
        let told = anew.next().await.unwrap();
        assert_eq!(told.event, "snapshot", "{foreign}");
        assert!(told.data["topics"]["worst"][&lee].is_object());
    }
}

#[tokio::test]
async fn thousands_of_changes_a_second_are_told_four_times_a_second() {
    let running = start("").await;
    let mut sessions = Vec::new();
    for n in 0..40 {
        sessions.push(id(&register(&running, &format!("user-{n}"), "acme").await));
    }
    let mut live = listen(&running, LIVE, "").await;
    assert_eq!(live.next().await.unwrap().event, "snapshot");
    let began = Instant::now();
    let counting = tokio::spawn(async move {
        let (mut deltas, mut rows) = (0_u32, 0_usize);
        loop {
            let told = live.next().await.expect("it goes on");
            deltas += 1;
            let set = told.data["topics"]["worst"]["set"].as_object();
            rows += set.map_or(0, serde_json::Map::len);
            let over = set.and_then(|set| set.values().find(|row| row["user"] == "over"));
            if over.is_some() {
                return (deltas, rows, began.elapsed());
            }
        }
    });
    // 200 rounds over 40 sessions are 8 000 changes, in 4 s where the machine keeps up.
    for round in 0..200_u32 {
        let beat = |(n, session): (usize, &String)| json!({ "session": session, "rtt_ms": 1 + (round as usize * 7 + n) % 90 });
        let beats: Vec<Value> = sessions.iter().enumerate().map(beat).collect();
        let answer = ask(&running, "POST", "/api/v1/heartbeats", &json!({ "beats": beats })).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    register(&running, "over", "acme").await;
    let (deltas, rows, took) = timeout(PATIENCE, counting).await.expect("it ends").unwrap();
    let most = took.as_millis().div_ceil(250) + 1;
    assert!(u128::from(deltas) <= most, "{deltas} deltas in {took:?}");
    assert!(deltas >= 2 && rows >= 80, "{deltas} deltas with {rows} rows in {took:?}");
}

#[tokio::test]
async fn a_websocket_is_told_the_same() {
    let running = start(LINK).await;
    let url = format!("ws://{}{LIVE}/ws", running.address);
    let (mut socket, _) = connect_async(url.as_str()).await.unwrap();
    let first = message(&mut socket).await;
    assert_eq!(first["event"], "snapshot");
    assert_eq!(first["data"]["topics"]["links"]["nowhere"]["name"], "nowhere");
    let kim = id(&register(&running, "kim", "acme").await);
    loop {
        let told = message(&mut socket).await;
        assert_eq!(told["event"], "delta");
        if !told["data"]["topics"]["worst"]["set"][&kim].is_null() {
            break;
        }
    }
    let place = first["id"].as_str().unwrap();
    let again = format!("{url}?last_event_id={place}");
    let (mut again, _) = connect_async(again.as_str()).await.unwrap();
    assert_eq!(message(&mut again).await["event"], "delta");
    // It ends in good order with the server.
    let ended = tokio::spawn(async move { while let Some(Ok(_)) = again.next().await {} });
    drop(socket);
    running.end().await;
    timeout(PATIENCE, ended).await.expect("it ends").unwrap();
}

async fn message<S>(socket: &mut tokio_tungstenite::WebSocketStream<S>) -> Value
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    loop {
        let next = timeout(PATIENCE, socket.next()).await.expect("it comes").unwrap().unwrap();
        if let Ok(text) = next.to_text()
            && !text.is_empty()
        {
            return serde_json::from_str(text).unwrap();
        }
    }
}

#[tokio::test]
async fn only_operators_may_look_and_everything_ends_with_the_server() {
    let running = with_keys("").await;
    for path in [LIVE, "/api/v1/monitor/live/ws", "/api/v1/settings"] {
        assert_eq!(ask(&running, "GET", path, &NONE).await.status, 401, "{path}");
        assert_eq!(ask_as(&running, CLIENT, "GET", path, &NONE).await.status, 403, "{path}");
    }
    let mut ended = Vec::new();
    for key in [ADMIN, OPERATOR] {
        let headers = format!("Authorization: Bearer {key}\r\n");
        let mut live = listen(&running, LIVE, &headers).await;
        assert_eq!(live.next().await.unwrap().event, "snapshot");
        ended.push(tokio::spawn(async move { while live.next().await.is_some() {} }));
        let url = format!("ws://{}{LIVE}/ws", running.address);
        let mut request = url.into_client_request().unwrap();
        let shown = format!("Bearer {key}").parse().unwrap();
        request.headers_mut().insert("authorization", shown);
        let (mut socket, _) = connect_async(request).await.unwrap();
        assert_eq!(message(&mut socket).await["event"], "snapshot");
    }
    running.end().await;
    for one in ended {
        timeout(PATIENCE, one).await.expect("it ends").unwrap();
    }
}
