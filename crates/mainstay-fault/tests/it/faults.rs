use std::io::ErrorKind;
use std::time::Duration;

use mainstay_fault::{Admission, Cut, Direction, Fault, FaultProxy, Flow};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

const SHORT: Duration = Duration::from_millis(150);
const LONG: Duration = Duration::from_secs(5);

/// A proxy in front of a server that sends everything back.
async fn echo() -> FaultProxy {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                drop(tokio::io::copy(&mut read, &mut write).await);
            });
        }
    });
    FaultProxy::start(target).await.unwrap()
}

async fn connect(proxy: &FaultProxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

async fn says(stream: &mut TcpStream, text: &[u8]) {
    stream.write_all(text).await.unwrap();
    let mut back = vec![0; text.len()];
    timeout(LONG, stream.read_exact(&mut back)).await.unwrap().unwrap();
    assert_eq!(back, text);
}

async fn is_silent(stream: &mut TcpStream) {
    let mut byte = [0];
    assert!(timeout(SHORT, stream.read(&mut byte)).await.is_err(), "something came");
}

fn down(direction: Direction) -> Fault {
    Fault { down: direction, ..Fault::NONE }
}

#[tokio::test]
async fn without_a_fault_bytes_pass_and_the_end_is_passed_on() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    says(&mut stream, b"hello").await;
    assert_eq!((proxy.stats().accepted, proxy.stats().open), (1, 1));
    stream.shutdown().await.unwrap();
    assert_eq!(timeout(LONG, stream.read(&mut [0])).await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn what_passes_is_counted_and_so_is_a_server_that_is_not_there() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    says(&mut stream, b"hello").await;
    let stats = proxy.stats();
    assert_eq!((stats.bytes_up, stats.bytes_down, stats.unreachable), (5, 5, 0));
    proxy.set(Fault::black_hole());
    stream.write_all(b"lost").await.unwrap();
    is_silent(&mut stream).await;
    assert_eq!(proxy.stats().bytes_up, 5, "what is swallowed is not passed on");

    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let proxy = FaultProxy::start(gone).await.unwrap();
    let mut stream = connect(&proxy).await;
    let end = timeout(LONG, stream.read(&mut [0])).await.unwrap();
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(proxy.stats().unreachable, 1);
}

#[tokio::test]
async fn refused_connections_are_refused_until_the_fault_is_lifted_on_the_same_port() {
    let proxy = echo().await;
    proxy.set(Fault { admission: Admission::Refuse, ..Fault::NONE });
    let refused = async {
        loop {
            // One that was waiting to be taken when the listener closed is reset instead.
            match TcpStream::connect(proxy.address()).await {
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => break,
                Err(_) | Ok(_) => tokio::task::yield_now().await,
            }
        }
    };
    timeout(LONG, refused).await.unwrap();
    proxy.set(Fault::NONE);
    let again = async {
        loop {
            match TcpStream::connect(proxy.address()).await {
                Ok(stream) => break stream,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    says(&mut timeout(LONG, again).await.unwrap(), b"back").await;
}

#[tokio::test]
async fn a_hanging_connection_is_taken_and_stays_silent() {
    let proxy = echo().await;
    proxy.set(Fault { admission: Admission::Hang, ..Fault::NONE });
    let mut stream = connect(&proxy).await;
    stream.write_all(b"hello?").await.unwrap();
    is_silent(&mut stream).await;
}

#[tokio::test]
async fn a_reset_connection_is_reset() {
    let proxy = echo().await;
    proxy.set(Fault { admission: Admission::Reset, ..Fault::NONE });
    let mut stream = connect(&proxy).await;
    let error = timeout(LONG, stream.read(&mut [0])).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_connection_is_dropped_after_its_time() {
    let proxy = echo().await;
    proxy.set(Fault { admission: Admission::DropAfter(SHORT), ..Fault::NONE });
    let mut stream = connect(&proxy).await;
    says(&mut stream, b"quick").await;
    assert!(matches!(timeout(LONG, stream.read(&mut [0])).await.unwrap(), Ok(0) | Err(_)));
}

#[tokio::test]
async fn a_black_hole_swallows_and_a_frozen_peer_goes_on_later() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    says(&mut stream, b"one").await;
    proxy.set(Fault::frozen());
    stream.write_all(b"two").await.unwrap();
    is_silent(&mut stream).await;
    proxy.set(Fault::NONE);
    let mut back = [0; 3];
    timeout(LONG, stream.read_exact(&mut back)).await.unwrap().unwrap();
    assert_eq!(&back, b"two");
    proxy.set(Fault::black_hole());
    stream.write_all(b"three").await.unwrap();
    is_silent(&mut stream).await;
    proxy.set(Fault::NONE);
    is_silent(&mut stream).await;
    says(&mut stream, b"four").await;
}

#[tokio::test]
async fn a_connection_is_cut_at_the_byte() {
    for (reset, at_byte) in [(false, 0), (false, 3), (true, 3), (false, 4)] {
        let proxy = echo().await;
        proxy.set(down(Direction { cut: Some(Cut { at_byte, reset }), ..Direction::CLEAR }));
        let mut stream = connect(&proxy).await;
        stream.write_all(b"hello").await.unwrap();
        let mut seen = Vec::new();
        let end = timeout(LONG, stream.read_to_end(&mut seen)).await.unwrap();
        assert_eq!(end.is_err(), reset, "at {at_byte}");
        if !reset {
            assert_eq!(seen.len() as u64, at_byte);
        }
    }
}

#[tokio::test]
async fn delay_throttle_and_fragments_slow_bytes_down_and_keep_their_order() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    proxy.set(down(Direction { delay: SHORT, ..Direction::CLEAR }));
    let begun = Instant::now();
    says(&mut stream, b"late").await;
    assert!(begun.elapsed() >= SHORT);
    proxy.set(down(Direction { bytes_per_sec: Some(1_000), ..Direction::CLEAR }));
    let begun = Instant::now();
    says(&mut stream, &[7; 300]).await;
    assert!(begun.elapsed() >= Duration::from_millis(250), "{:?}", begun.elapsed());
    let jitter = Duration::from_millis(2);
    proxy.set(down(Direction { fragment: Some(1), jitter, ..Direction::CLEAR }));
    let text: Vec<u8> = (0..=99).collect();
    says(&mut stream, &text).await;
}

#[tokio::test]
async fn all_connections_can_be_cut_at_once() {
    let proxy = echo().await;
    let (mut one, mut two) = (connect(&proxy).await, connect(&proxy).await);
    says(&mut one, b"1").await;
    says(&mut two, b"2").await;
    proxy.cut_all();
    for stream in [&mut one, &mut two] {
        let end = timeout(LONG, stream.read(&mut [0])).await.unwrap();
        assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    }
    says(&mut connect(&proxy).await, b"new ones pass").await;
    assert_eq!(proxy.fault(), Fault::NONE);
    let frozen = Direction { flow: Flow::Freeze, ..Direction::CLEAR };
    proxy.set(down(frozen));
    assert_eq!(proxy.fault().down, frozen);
}
