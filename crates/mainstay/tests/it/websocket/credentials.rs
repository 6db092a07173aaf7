//! Who asks for credentials, when, and what their refusal means.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mainstay::link::websocket::{ProvideError, Provider, WebSocket, WebSocketConfig};
use mainstay::link::{ConnectError, FailReason, StateName};
use tokio::time::timeout;

use super::{Command, Do, Peer, open};

const PATIENCE: Duration = Duration::from_secs(60);
const SECRET: &str = "s3cr3t-t0ken";

/// Tokens with a number, and how often one was asked for.
fn counting(peer: &Peer) -> (WebSocketConfig, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let mut config = WebSocketConfig::new(peer.url());
    config.provider = Some(Provider::tokens(move |ask| {
        let n = count.fetch_add(1, Ordering::SeqCst) + 1;
        async move { Ok(format!("{SECRET}-{n}-{}-{}", ask.attempt, ask.refresh)) }
    }));
    (config, asked)
}

/// The tokens that the server saw: number, attempt, and whether they were asked for anew.
fn tokens(peer: &Peer) -> Vec<String> {
    let headers = peer.header("authorization").into_iter().flatten();
    headers.map(|value| value.trim_start_matches(&format!("Bearer {SECRET}-")).into()).collect()
}

async fn until(socket: &WebSocket, state: StateName) {
    let mut watch = socket.link().watch();
    let reached = watch.wait_for(|view| view.state == state);
    timeout(PATIENCE, reached).await.expect("it gets there").unwrap();
}

#[tokio::test]
async fn w38_the_provider_is_asked_once_for_every_attempt() {
    let peer = Peer::start(Do::Refuse(503, Vec::new())).await;
    let (config, asked) = counting(&peer);
    let (socket, _incoming) = open(config);
    socket.link().begin();
    peer.until("three attempts", |peer| peer.attempts() >= 3).await;
    peer.will(Do::Echo);
    until(&socket, StateName::Connected).await;
    let attempts = peer.attempts();
    assert_eq!(asked.load(Ordering::SeqCst), attempts);
    let wanted: Vec<_> = (1..=attempts).map(|n| format!("{n}-{n}-false")).collect();
    assert_eq!(tokens(&peer), wanted);
    // The next connection does not live on an old token.
    peer.tell(Command::Reset);
    peer.until("another attempt", |peer| peer.attempts() > attempts).await;
    socket.connect().await.unwrap();
    assert_eq!(tokens(&peer).last().unwrap(), &format!("{}-1-false", attempts + 1));
}

#[tokio::test]
async fn w38_whatever_says_that_credentials_are_no_good_asks_for_others_once() {
    for ending in
        [Do::Refuse(401, vec![]), Do::Refuse(403, vec![]), Do::Close(1008), Do::Close(4401)]
    {
        // Refused once, then taken.
        let peer = Peer::start(ending.clone().then(Do::Echo)).await;
        let (config, _) = counting(&peer);
        let (socket, _incoming) = open(config);
        socket.link().begin();
        peer.until("a second that is taken", |peer| tokens(peer).len() == 2).await;
        until(&socket, StateName::Connected).await;
        let seen = tokens(&peer);
        assert!(seen[0].ends_with("-false") && seen[1].ends_with("-true"), "{ending:?}: {seen:?}");
        // Refused twice: it is over, and nobody is asked again.
        let peer = Peer::start(ending.clone()).await;
        let (config, asked) = counting(&peer);
        let (socket, _incoming) = open(config);
        socket.link().begin();
        until(&socket, StateName::Failed).await;
        assert_eq!(socket.link().view().failed, Some(FailReason::CredentialsRefused));
        assert_eq!((asked.load(Ordering::SeqCst), peer.attempts()), (2, 2), "{ending:?}");
    }
}

#[tokio::test]
async fn w38_without_a_provider_one_refusal_is_not_the_end() {
    for ending in [Do::Refuse(401, vec![]), Do::Close(1008)] {
        let peer = Peer::start(ending.then(Do::Echo)).await;
        let (socket, _incoming) = open(WebSocketConfig::new(peer.url()));
        socket.link().begin();
        peer.until("it comes back", |peer| peer.attempts() == 2 && peer.open() == 1).await;
        until(&socket, StateName::Connected).await;
    }
}

#[tokio::test]
async fn w38_a_provider_that_fails_or_hangs_is_asked_again_and_one_that_refuses_is_not() {
    let peer = Peer::start(Do::Echo).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let mut config = WebSocketConfig::new(peer.url());
    config.provider_timeout = Duration::from_millis(50);
    config.provider = Some(Provider::tokens(move |_| {
        let n = count.fetch_add(1, Ordering::SeqCst);
        async move {
            match n {
                0 => Err(ProvideError::Temporary("the vault is shut".into())),
                1 => std::future::pending().await,
                _ => Ok("good".into()),
            }
        }
    }));
    let (socket, _incoming) = open(config);
    let error = socket.connect().await.unwrap_err();
    let ConnectError::Failed { terminal: false, error: Some(error), .. } = error else {
        panic!("{error:?}")
    };
    assert!(error.ends_with("the vault is shut"), "{error}");
    until(&socket, StateName::Connected).await;
    assert_eq!((asked.load(Ordering::SeqCst), peer.attempts()), (3, 1));

    let mut config = WebSocketConfig::new(peer.url());
    config.provider = Some(Provider::tokens(|_| async { Err(ProvideError::Unauthorized) }));
    let (socket, _incoming) = open(config);
    let error = socket.connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Failed { terminal: true, .. }), "{error:?}");
    assert_eq!(socket.link().view().state, StateName::Failed);
    assert_eq!(peer.attempts(), 1, "no socket was opened for it");
}

#[tokio::test]
async fn w38_a_token_is_never_shown() {
    let peer = Peer::start(Do::Refuse(401, Vec::new())).await;
    let (config, _) = counting(&peer);
    let shown = format!("{config:?}");
    let (socket, incoming) = open(config);
    let told = Arc::new(std::sync::Mutex::new(format!("{shown}{socket:?}{incoming:?}")));
    let notes = told.clone();
    let listener = socket.link().on("*", move |event| {
        let json = serde_json::to_string(event).unwrap();
        notes.lock().unwrap().push_str(&format!("{event:?}{json}"));
    });
    drop(listener.unwrap());
    let error = socket.connect().await.unwrap_err();
    until(&socket, StateName::Failed).await;
    let told = format!("{}{error:?}{error}{:?}", told.lock().unwrap(), socket.link().view());
    assert!(told.contains("401"), "{told}");
    assert!(!told.contains(SECRET), "{told}");
}
