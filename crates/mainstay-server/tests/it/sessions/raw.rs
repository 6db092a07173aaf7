//! A client that says what a test wants it to, one frame at a time.

use futures_util::{SinkExt as _, StreamExt as _};
use mainstay_server::core::session::stream::Seq;
use mainstay_wire::{
    Bye, Client, Decoded, Frame, Hello, Message as Wire, Raw, Resume, Secret, Welcome, decode,
    encode,
};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::running::PATIENCE;

pub(crate) struct RawClient {
    pub(crate) socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// What a connection says last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Last {
    pub(crate) bye: Option<Bye>,
    /// The code of the WebSocket's close.
    pub(crate) code: Option<u16>,
}

pub(crate) fn hello() -> Hello {
    let client = Client { kind: "test".into(), version: "1".into() };
    Hello { auth: None, client, meta: None, resume: None, capabilities: Vec::new() }
}

/// With an API key or a token.
pub(crate) fn hello_with(auth: &str) -> Hello {
    Hello { auth: Some(Secret::new(auth)), ..hello() }
}

pub(crate) fn resuming(welcome: &Welcome, received: u64) -> Hello {
    let resume = Resume { token: welcome.token.clone(), received: Seq(received) };
    Hello { resume: Some(resume), ..hello() }
}

pub(crate) fn message(seq: u64, text: &str) -> Frame {
    Frame::Message(Wire { seq: Some(Seq(seq)), payload: Raw::new(text).unwrap() })
}

impl RawClient {
    /// A connection that has said nothing yet.
    pub(crate) async fn open(address: &str) -> Self {
        Self::open_with(address, &[]).await.expect("it is upgraded")
    }

    pub(crate) async fn open_with(
        address: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Error> {
        let mut request = format!("ws://{address}/v1/connect").into_client_request().unwrap();
        let own = [("sec-websocket-protocol", "mainstay.v1")];
        for (name, value) in own.iter().chain(headers) {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let (socket, _) = timeout(PATIENCE, connect_async(request)).await.unwrap()?;
        Ok(Self { socket })
    }

    /// A connection that was welcomed.
    pub(crate) async fn welcomed(address: &str, hello: Hello) -> (Self, Welcome) {
        let mut client = Self::open(address).await;
        client.say(&Frame::Hello(hello)).await;
        match client.hear().await {
            Some(Frame::Welcome(welcome)) => (client, welcome),
            other => panic!("no welcome: {other:?}"),
        }
    }

    /// What a connection that is not welcomed hears.
    pub(crate) async fn refused(address: &str, hello: Hello) -> Last {
        let mut client = Self::open(address).await;
        client.say(&Frame::Hello(hello)).await;
        client.last().await
    }

    pub(crate) async fn say(&mut self, frame: &Frame) {
        let mut text = String::new();
        encode(frame, &mut text);
        self.send(Message::text(text)).await;
    }

    /// The server may have closed it just now.
    pub(crate) async fn send(&mut self, message: Message) {
        drop(timeout(PATIENCE, self.socket.send(message)).await.expect("it takes it"));
    }

    /// The next frame; none when the connection is over.
    pub(crate) async fn hear(&mut self) -> Option<Frame> {
        loop {
            let next = timeout(PATIENCE, self.socket.next()).await.expect("something comes");
            match next? {
                Ok(Message::Text(text)) => {
                    let Ok(Decoded::Known(frame)) = decode(&text, 1 << 20) else {
                        panic!("no frame: {text}");
                    };
                    return Some(frame);
                }
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The next frame that is no ping; pings are answered.
    pub(crate) async fn hear_past_pings(&mut self) -> Option<Frame> {
        loop {
            let frame = self.hear().await?;
            let Frame::Ping(ping) = frame else { return Some(frame) };
            let (number, sent_us) = (ping.number, ping.sent_us);
            let pong = mainstay_wire::Pong { number, sent_us, client_time_ms: None, view: None };
            self.say(&Frame::Pong(pong)).await;
        }
    }

    /// Reads to the end.
    pub(crate) async fn last(&mut self) -> Last {
        let mut last = Last { bye: None, code: None };
        let all = async {
            while let Some(Ok(message)) = self.socket.next().await {
                match message {
                    Message::Text(text) => {
                        if let Ok(Decoded::Known(Frame::Bye(bye))) = decode(&text, 1 << 20) {
                            last.bye = Some(bye);
                        }
                    }
                    Message::Close(Some(close)) => last.code = Some(close.code.into()),
                    Message::Close(None)
                    | Message::Binary(_)
                    | Message::Ping(_)
                    | Message::Pong(_)
                    | Message::Frame(_) => {}
                }
            }
        };
        timeout(PATIENCE, all).await.expect("it ends");
        last
    }
}

impl Last {
    /// The code, which `bye` and the close have in common.
    pub(crate) fn code(&self) -> u16 {
        let bye = self.bye.as_ref().map(|bye| bye.code);
        assert_eq!(bye, self.code, "bye and close say the same: {self:?}");
        bye.expect("it says goodbye")
    }
}
