use std::sync::Arc;
use std::time::Duration;

use mainstay::link::{
    Link, LinkConfig, LinkEvent, LinkOptions, StateName, TcpProbe, TcpTransport, What,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::broadcast::Receiver;

fn config() -> LinkConfig {
    let mut config = LinkConfig::default();
    config.reconnect.backoff.base = Duration::from_millis(10);
    config.reconnect.backoff.cap = Duration::from_millis(100);
    config
}

async fn opened() -> (TcpListener, TcpTransport, Link) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tcp = TcpTransport::new(listener.local_addr().unwrap().to_string());
    let options = LinkOptions::new("tcp").config(config());
    let link = Link::open(options, tcp.clone()).unwrap();
    (listener, tcp, link)
}

async fn next(events: &mut Receiver<Arc<LinkEvent>>, name: &str) -> Arc<LinkEvent> {
    let search = async {
        loop {
            let event = events.recv().await.unwrap();
            if event.is_called(name) {
                return event;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), search).await.expect(name)
}

#[tokio::test]
async fn a_peers_close_is_noticed_at_once_and_not_at_the_next_probe() {
    let (listener, _tcp, link) = opened().await;
    let mut events = link.subscribe();
    link.connect().await.unwrap();
    let (peer, _) = listener.accept().await.unwrap();
    let begun = std::time::Instant::now();
    drop(peer);
    let error = next(&mut events, "error").await.error.clone().unwrap();
    assert_eq!(&*error, "the peer closed the connection");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    next(&mut events, "onReconnected").await;
    assert_eq!(link.stats().total_health_checks, 0);
}

#[tokio::test]
async fn a_reset_is_noticed_at_once() {
    let (listener, _tcp, link) = opened().await;
    let mut events = link.subscribe();
    link.connect().await.unwrap();
    let (peer, _) = listener.accept().await.unwrap();
    peer.set_zero_linger().unwrap();
    drop(peer);
    next(&mut events, "error").await;
    next(&mut events, "connected").await;
}

#[tokio::test]
async fn a_close_behind_unread_data_is_noticed_and_the_data_stays() {
    let (listener, tcp, link) = opened().await;
    let mut events = link.subscribe();
    link.connect().await.unwrap();
    let stream = tcp.stream().unwrap();
    let (mut peer, _) = listener.accept().await.unwrap();
    peer.write_all(b"last words").await.unwrap();
    drop(peer);
    next(&mut events, "error").await;
    let mut buffer = [0_u8; 32];
    stream.readable().await.unwrap();
    assert_eq!(stream.try_read(&mut buffer).unwrap(), 10);
}

#[tokio::test]
async fn data_passes_both_ways_over_a_held_connection() {
    let (listener, tcp, link) = opened().await;
    link.connect().await.unwrap();
    let (mut peer, _) = listener.accept().await.unwrap();
    let stream = tcp.stream().unwrap();
    stream.writable().await.unwrap();
    assert_eq!(stream.try_write(b"ping").unwrap(), 4);
    let mut buffer = [0_u8; 4];
    peer.read_exact(&mut buffer).await.unwrap();
    peer.write_all(&buffer).await.unwrap();
    stream.readable().await.unwrap();
    assert_eq!(stream.try_read(&mut buffer).unwrap(), 4);
    assert!(link.check_now().await);
    assert!(link.view().healthy);
    drop(stream);
    link.disconnect().await;
    assert_eq!(peer.read(&mut buffer).await.unwrap(), 0, "the peer sees a good end");
    assert!(tcp.stream().is_none());
}

#[tokio::test]
async fn a_server_that_dies_and_returns_on_its_port_is_found_again() {
    let (listener, _tcp, link) = opened().await;
    let address = listener.local_addr().unwrap();
    let mut events = link.subscribe();
    link.connect().await.unwrap();
    let (peer, _) = listener.accept().await.unwrap();
    drop((peer, listener));
    for attempt in 1..=3 {
        let event = next(&mut events, "reconnecting").await;
        assert!(matches!(event.what, What::Reconnecting { attempt: n, .. } if n == attempt));
    }
    let listener = TcpListener::bind(address).await.unwrap();
    let event = next(&mut events, "onReconnected").await;
    assert!(matches!(event.what, What::Reconnected { attempts: 3.. }), "{event:?}");
    drop(listener);
}

#[tokio::test]
async fn a_held_connection_can_be_looked_at_without_another() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tcp = TcpTransport::new(listener.local_addr().unwrap().to_string());
    let tcp = tcp.probed_by(TcpProbe::Held);
    let link = Link::open(LinkOptions::new("tcp").config(config()), tcp).unwrap();
    link.connect().await.unwrap();
    let (peer, _) = listener.accept().await.unwrap();
    assert!(link.check_now().await);
    let more = tokio::time::timeout(Duration::from_millis(20), listener.accept()).await;
    assert!(more.is_err(), "the probe made a connection");
    drop(peer);
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let link =
        Link::open(LinkOptions::new("tcp").config(config()), TcpTransport::new(address)).unwrap();
    let error = link.connect().await.unwrap_err().to_string();
    assert!(error.contains("refused"), "{error}");
    assert_eq!(link.view().state, StateName::Reconnecting);
}
