use std::task::{Context, Poll};
use std::time::Duration;

use super::{Command, Do, Peer, open};
use mainstay::link::websocket::{
    Incoming, Message, RejectReason, Repeat, RequestError, Requests, RequestsConfig, WebSocket,
    WebSocketConfig,
};

fn requests(socket: &WebSocket, config: RequestsConfig) -> Requests {
    let number = |message: &Message| message.as_text()?.split_once(':')?.0.parse().ok();
    Requests::new(socket, config, number).unwrap()
}

/// Hands over what comes, and keeps what is nobody's reply.
fn feed(
    requests: &Requests,
    mut incoming: Incoming,
) -> tokio::sync::mpsc::UnboundedReceiver<String> {
    let (others, kept) = super::peer::channel();
    let requests = requests.clone();
    tokio::spawn(async move {
        while let Some(Ok(message)) = incoming.recv().await {
            if let Some(other) = requests.offer(message) {
                drop(others.send(other.as_text().unwrap().to_owned()));
            }
        }
    });
    kept
}

fn ask(number: u64) -> Message {
    format!("{number}:what").into()
}

#[tokio::test]
async fn w33_requests_find_their_replies_and_other_messages_are_handed_on() {
    let peer = Peer::start(Do::Echo).await;
    let (socket, incoming) = open(WebSocketConfig::new(peer.url()));
    let requests = requests(&socket, RequestsConfig::default());
    let mut others = feed(&requests, incoming);
    socket.connect().await.unwrap();
    let calls = (0..50).map(|_| requests.call(Repeat::Never, ask));
    let replies = futures_util::future::join_all(calls).await;
    for (n, reply) in replies.into_iter().enumerate() {
        assert_eq!(reply, Ok(ask(n as u64 + 1)));
    }
    drop(socket.send("no number").await);
    drop(socket.send("77:not yet asked").await);
    // Its request is long over.
    drop(socket.send("7:late").await);
    drop(socket.send("end").await);
    for wanted in ["no number", "77:not yet asked", "end"] {
        assert_eq!(others.recv().await.unwrap(), wanted);
    }
    assert_eq!(requests.pending(), 0);
}

#[tokio::test]
async fn w33_a_lost_connection_ends_each_request_once_or_sends_it_again() {
    let peer = Peer::start(Do::Listen).await;
    let (socket, incoming) = open(WebSocketConfig::new(peer.url()));
    let requests = requests(&socket, RequestsConfig::default());
    let _others = feed(&requests, incoming);
    socket.connect().await.unwrap();
    let spawn = |repeat| {
        let requests = requests.clone();
        tokio::spawn(async move { requests.call(repeat, ask).await })
    };
    let (once, again) = (spawn(Repeat::Never), spawn(Repeat::Idempotent));
    peer.until("both were asked", |peer| peer.heard().len() == 2).await;
    peer.will(Do::Echo);
    peer.tell(Command::Reset);
    assert_eq!(once.await.unwrap(), Err(RequestError::Lost));
    let reply = again.await.unwrap().unwrap();
    assert!(reply.as_text().unwrap().ends_with(":what"));
    assert_eq!(requests.pending(), 0);
}

#[tokio::test]
async fn w33_requests_are_bounded_in_number_and_time_and_leave_no_waiter() {
    let peer = Peer::start(Do::Listen).await;
    let (socket, incoming) = open(WebSocketConfig::new(peer.url()));
    let config = RequestsConfig { pending: 1, timeout: Duration::from_millis(50) };
    let requests = requests(&socket, config);
    let _others = feed(&requests, incoming);
    socket.connect().await.unwrap();
    let two = tokio::join!(requests.call(Repeat::Never, ask), requests.call(Repeat::Never, ask));
    assert_eq!(two, (Err(RequestError::TimedOut), Err(RequestError::TooMany)));
    let mut given_up = Box::pin(requests.call(Repeat::Never, ask));
    let look =
        |context: &mut Context<'_>| Poll::Ready(given_up.as_mut().poll(context).is_pending());
    assert!(std::future::poll_fn(look).await);
    assert_eq!(requests.pending(), 1);
    drop(given_up);
    assert_eq!(requests.pending(), 0);
    let waiting = tokio::spawn({
        let requests = requests.clone();
        async move { requests.call(Repeat::Idempotent, ask).await }
    });
    // The first, the one that was given up, and this.
    peer.until("it was asked", |peer| peer.heard().len() == 3).await;
    socket.shutdown().await;
    let error = waiting.await.unwrap().unwrap_err();
    assert!([RequestError::Lost, RequestError::TimedOut].contains(&error), "{error:?}");
    let rejected = RequestError::Rejected(RejectReason::Stopped);
    assert_eq!(requests.call(Repeat::Never, ask).await, Err(rejected));
}
