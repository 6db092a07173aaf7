//! Tunnels through real little proxies.

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::*;

fn through(url: &str) -> StreamConfig {
    StreamConfig { proxy: Proxy::parse(url).unwrap(), ..direct() }
}

/// A name that only a proxy could know.
fn target() -> Authority {
    Authority::new("peer.example", 4433).unwrap()
}

/// Takes one connection, reads the head of an HTTP request, answers it, and relays to `peer` if
/// there is one. Gives the head.
async fn http_proxy(
    answer: impl Into<Vec<u8>>,
    peer: Option<SocketAddr>,
) -> (SocketAddr, oneshot::Receiver<String>) {
    let (listener, address) = listener("127.0.0.1").await;
    let (tell, told) = oneshot::channel();
    let answer = answer.into();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        drop(tell.send(String::from_utf8(head).unwrap()));
        // In two pieces, as networks do.
        let (first, second) = answer.split_at(answer.len() / 2);
        for piece in [first, second] {
            stream.write_all(piece).await.unwrap();
            stream.flush().await.unwrap();
            tokio::task::yield_now().await;
        }
        relay(stream, peer).await;
    });
    (address, told)
}

async fn relay(mut stream: TcpStream, peer: Option<SocketAddr>) {
    if let Some(peer) = peer {
        let mut peer = TcpStream::connect(peer).await.unwrap();
        // Either side may end it.
        drop(tokio::io::copy_bidirectional(&mut stream, &mut peer).await);
    }
}

async fn refusal(answer: impl Into<Vec<u8>>) -> DialError {
    let (address, _) = http_proxy(answer, None).await;
    let dialer = dialer(&through(&format!("http://{address}")));
    timeout(LONG, dialer.connect(&target(), None)).await.unwrap().unwrap_err()
}

#[tokio::test]
async fn connect_asks_for_the_target_by_name_and_shows_its_credentials_to_the_proxy_alone() {
    let peer = echoing().await;
    let (address, head) = http_proxy("HTTP/1.1 200 Fine\r\nVia: me\r\n\r\n", Some(peer)).await;
    let dialer = dialer(&through(&format!("http://me:h%20ush@{address}")));
    let mut stream = dialer.connect(&target(), None).await.unwrap();
    says_back(&mut stream).await.unwrap();
    let head = head.await.unwrap();
    assert_eq!(
        head,
        "CONNECT peer.example:4433 HTTP/1.1\r\nHost: peer.example:4433\r\n\
         Proxy-Authorization: Basic bWU6aCB1c2g=\r\n\r\n"
    );
}

#[tokio::test]
async fn tls_through_a_tunnel_is_spoken_with_the_peer() {
    let (peer, tls) = encryption::Authorities::new().echoing("peer.example").await;
    let (http, head) = http_proxy("HTTP/1.1 200 Fine\r\n\r\n", Some(peer)).await;
    let mut stream =
        dialer(&through(&format!("http://{http}"))).connect(&target(), Some(&tls)).await.unwrap();
    says_back(&mut stream).await.unwrap();
    assert!(!head.await.unwrap().contains("Authorization"));
    let socks = socks_proxy(Script { peer: Some(peer), ..Script::default() }).await.0;
    let mut stream = dialer(&through(&format!("socks5://{socks}")))
        .connect(&target(), Some(&tls))
        .await
        .unwrap();
    says_back(&mut stream).await.unwrap();
}

#[tokio::test]
async fn what_a_proxy_answers_says_who_must_act() {
    let cases = [
        ("HTTP/1.1 407 No\r\nContent-Length: 3\r\n\r\nwho", Outcome::Refused, "407"),
        ("HTTP/1.1 403 No\r\n\r\n", Outcome::Refused, "403"),
        ("HTTP/1.0 405 No\r\n\r\n", Outcome::Permanent, "405"),
        ("HTTP/1.1 502 No\r\n\r\n", Outcome::TRANSIENT, "502"),
        ("HTTP/1.1 503 No\r\n\r\n", Outcome::TRANSIENT, "503"),
        ("HTTP/1.1 302 No\r\nLocation: http://elsewhere\r\n\r\n", Outcome::TRANSIENT, "302"),
    ];
    for (answer, outcome, status) in cases {
        let error = refusal(answer).await;
        assert_eq!(error.outcome, outcome, "{answer}");
        let wanted = format!("answered {status} for peer.example:4433");
        assert!(error.to_string().ends_with(&wanted), "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_not_taken() {
    let endless = [b"HTTP/1.1 200 Fine\r\nA: ".as_slice(), &[b'a'; 20_000]].concat();
    let crowded = format!("HTTP/1.1 200 Fine\r\n{}\r\n", "A: b\r\n".repeat(65));
    let cases: [(Vec<u8>, &str); 6] = [
        (b"\x05\x00\x00\x00\r\n\r\n".into(), "does not speak HTTP"),
        (b"220 mail.example ESMTP\r\n".into(), "does not speak HTTP"),
        (endless, "does not speak HTTP"),
        (crowded.into(), "does not speak HTTP"),
        (b"HTTP/1.1 200 Fine\r\n\r\nmore".into(), "spoke in place of"),
        (b"HTTP/1.1 200 Fi".into(), "broke off"),
    ];
    for (answer, wanted) in cases {
        let error = refusal(answer).await;
        assert_eq!(error.outcome, Outcome::TRANSIENT);
        assert!(error.to_string().contains(wanted), "{error} is not {wanted}");
    }
}

#[tokio::test]
async fn w11_a_proxy_that_hangs_ends_at_its_own_deadline_and_is_closed() {
    for scheme in ["http", "socks5h"] {
        let (address, mut closed) = silent().await;
        let mut config = through(&format!("{scheme}://me:hush@{address}"));
        config.proxy_timeout = Duration::from_millis(300);
        let dialer = dialer(&config);
        let target = target();
        let dial = timeout(LONG, dialer.connect(&target, None));
        let error = dial.await.unwrap().unwrap_err();
        let wanted =
            format!("no tunnel from the proxy {address} to peer.example:4433 within 300ms");
        assert_eq!(error.to_string(), wanted);
        assert_eq!(error.outcome, Outcome::TRANSIENT);
        timeout(LONG, closed.recv()).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_proxy_that_is_away_is_named_in_the_error() {
    let address = deserted().await;
    let dialer = dialer(&through(&format!("http://{address}")));
    let error = dialer.connect(&target(), None).await.unwrap_err();
    assert_eq!(error.outcome, Outcome::TRANSIENT);
    assert_eq!(error.to_string(), format!("the proxy {address} cannot be reached"));
}

/// What a SOCKS proxy does.
#[derive(Clone, Default)]
struct Script {
    /// Who may pass; nobody is asked when there is none.
    password: Option<&'static str>,
    reply: u8,
    /// In place of the first answer.
    junk: Option<&'static [u8]>,
    peer: Option<SocketAddr>,
}

/// Takes one connection. Gives the name and port it was asked for.
async fn socks_proxy(script: Script) -> (SocketAddr, oneshot::Receiver<(String, u16)>) {
    let (listener, address) = listener("127.0.0.1").await;
    let (tell, told) = oneshot::channel();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let asked = match speak(&mut stream, &script).await {
            Ok(asked) => asked,
            Err(error) => {
                let kind = error.kind();
                assert!(script.junk.is_some() || script.password.is_some(), "{kind}");
                return;
            }
        };
        drop(tell.send(asked));
        relay(stream, script.peer).await;
    });
    (address, told)
}

async fn speak(stream: &mut TcpStream, script: &Script) -> io::Result<(String, u16)> {
    assert_eq!(stream.read_u8().await?, 5);
    let methods = part(stream).await?;
    if let Some(junk) = script.junk {
        stream.write_all(junk).await?;
        return Err(io::ErrorKind::InvalidData.into());
    }
    let wanted = if script.password.is_some() { 2 } else { 0 };
    if !methods.contains(&wanted) {
        stream.write_all(&[5, 0xff]).await?;
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    stream.write_all(&[5, wanted]).await?;
    if let Some(password) = script.password {
        assert_eq!(stream.read_u8().await?, 1);
        assert_eq!(part(stream).await?, b"me");
        let right = part(stream).await? == password.as_bytes();
        stream.write_all(&[1, u8::from(!right)]).await?;
        if !right {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
    }
    let mut head = [0_u8; 4];
    stream.read_exact(&mut head).await?;
    assert_eq!(head, [5, 1, 0, 3], "to connect, to a name");
    let name = String::from_utf8(part(stream).await?).unwrap();
    let port = stream.read_u16().await?;
    stream.write_all(&[5, script.reply, 0, 1, 127, 0, 0, 1, 0, 1]).await?;
    Ok((name, port))
}

/// What follows a byte that says how long it is.
async fn part(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::from(stream.read_u8().await?)];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

#[tokio::test]
async fn socks_is_given_the_name_user_and_password() {
    let peer = Some(echoing().await);
    for (password, user) in [(None, ""), (Some("hush hush"), "me:hush%20hush@")] {
        for scheme in ["socks5", "socks5h"] {
            let script = Script { password, peer, ..Script::default() };
            let (address, asked) = socks_proxy(script).await;
            let dialer = dialer(&through(&format!("{scheme}://{user}{address}")));
            let mut stream = dialer.connect(&target(), None).await.unwrap();
            says_back(&mut stream).await.unwrap();
            assert_eq!(asked.await.unwrap(), ("peer.example".to_owned(), 4433));
        }
    }
}

#[tokio::test]
async fn what_a_socks_proxy_replies_says_who_must_act() {
    let replying = |reply| Script { reply, ..Script::default() };
    let junk = |junk| Script { junk: Some(junk), ..Script::default() };
    let secret = Script { password: Some("other"), ..Script::default() };
    let cases = [
        (replying(1), "", Outcome::TRANSIENT),
        (replying(2), "", Outcome::Refused),
        (replying(4), "", Outcome::TRANSIENT),
        (replying(5), "", Outcome::TRANSIENT),
        (replying(7), "", Outcome::Permanent),
        (replying(8), "", Outcome::Permanent),
        (replying(99), "", Outcome::TRANSIENT),
        (secret.clone(), "me:hush@", Outcome::Refused),
        (secret, "", Outcome::Refused),
        (junk(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "", Outcome::TRANSIENT),
        (junk(b""), "", Outcome::TRANSIENT),
    ];
    for (number, (script, user, wanted)) in cases.into_iter().enumerate() {
        let (address, _asked) = socks_proxy(script).await;
        let dialer = dialer(&through(&format!("socks5h://{user}{address}")));
        let target = target();
        let dial = timeout(LONG, dialer.connect(&target, None));
        let error = dial.await.unwrap().unwrap_err();
        assert_eq!(error.outcome, wanted, "case {number}: {}", error.chain());
        let text = format!("the proxy {address} made no tunnel to peer.example:4433");
        assert_eq!(error.to_string(), text);
        assert!(!error.chain().contains("hush"));
    }
}
