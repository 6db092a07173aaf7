use super::{Command, Do, Peer, next, open};
use mainstay::link::ConnectError;
use mainstay::link::websocket::{
    Classify, Handshake, Reaction, Receipt, SendStatus, WebSocketConfig,
};

#[tokio::test]
async fn messages_go_there_and_come_back() {
    let peer = Peer::start(Do::Echo).await;
    let (socket, mut incoming) = open(WebSocketConfig::new(peer.url()));
    socket.connect().await.unwrap();
    for n in 0..100 {
        let SendStatus::Sent(seq) = socket.send(n.to_string()).await else { panic!("it is open") };
        assert_eq!(seq.0, n + 1);
    }
    for n in 0..100 {
        assert_eq!(next(&mut incoming).await, n.to_string());
    }
    assert_eq!((socket.stats().sent, socket.stats().received), (100, 100));
    socket.shutdown().await;
    assert_eq!(incoming.recv().await, None);
    peer.until("the server saw it close", |peer| peer.open() == 0).await;
}

#[tokio::test]
async fn w27_what_is_sent_while_down_waits_and_keeps_its_order() {
    let peer = Peer::start(Do::Listen).await;
    let (socket, _incoming) = open(WebSocketConfig::new(peer.url()));
    socket.connect().await.unwrap();
    peer.tell(Command::Reset);
    let mut watch = socket.link().watch();
    watch.wait_for(|view| !view.healthy).await.unwrap();
    let mut wanted = Vec::new();
    for n in 0..50 {
        let status = socket.try_send(n.to_string());
        assert!(status.seq().is_some(), "{status:?}");
        wanted.push(n.to_string());
    }
    peer.until("all arrived", |peer| peer.heard().last().is_some_and(|last| last == "49")).await;
    let heard = peer.heard();
    // Some may have gone into the connection that was being reset; none is out of order or twice.
    assert_eq!(heard[..], wanted[wanted.len() - heard.len()..]);
}

#[tokio::test]
async fn a_receipt_tells_that_a_message_was_written() {
    let peer = Peer::start(Do::Listen).await;
    let (socket, _incoming) = open(WebSocketConfig::new(peer.url()));
    let SendStatus::Buffered(seq) = socket.try_send("early") else { panic!("it is down") };
    assert_eq!(socket.receipt(seq), None);
    socket.connect().await.unwrap();
    assert_eq!(socket.flushed(seq).await, Receipt::Written);
    peer.until("it arrived", |peer| peer.heard() == ["early"]).await;
}

#[tokio::test]
async fn what_an_ending_means_holds_during_the_handshake_too() {
    let peer = Peer::start(Do::Close(4_900)).await;
    let mut config = WebSocketConfig::new(peer.url());
    config.handshake = Some(Handshake::new(|mut opening| async move {
        opening.recv().await?;
        Ok(opening)
    }));
    config.classify = Some(Classify::by(|_| Reaction::Fail));
    let (socket, _incoming) = open(config);
    let error = socket.connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Failed { terminal: true, .. }), "{error:?}");
    assert_eq!(peer.attempts(), 1);
}

#[tokio::test]
async fn the_places_of_a_peer_are_shown_without_secrets_and_must_differ() {
    let more = |urls: &[&str]| {
        let mut config = WebSocketConfig::new("ws://127.0.0.1:1/feed?key=hush");
        config.more_urls = urls.iter().map(|url| (*url).to_owned()).collect();
        config
    };
    let (socket, _incoming) = open(more(&["ws://127.0.0.1:2/feed?key=hush"]));
    let shown = socket.endpoints().into_iter().map(|(url, view)| (url, view.current));
    let wanted =
        [("ws://127.0.0.1:1/feed".to_owned(), true), ("ws://127.0.0.1:2/feed".to_owned(), false)];
    assert_eq!(shown.collect::<Vec<_>>(), wanted);
    let (socket, _incoming) = open(more(&[]));
    assert_eq!(socket.endpoints().len(), 1);
    assert!(socket.endpoints()[0].1.current);
    let error = more(&["ws://127.0.0.1:1/feed?key=hush"]).validate().unwrap_err();
    assert_eq!(error.field, "more_urls");
    assert!(!error.to_string().contains("hush"));
}
