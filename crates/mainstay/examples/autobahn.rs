//! The client of the Autobahn test suite: sends back whatever it is sent, in every case of the suite.
//!
//! `cargo xtask autobahn` starts the suite and runs this against it.

#![expect(clippy::print_stdout, reason = "a program talks to its user")]

use std::process::ExitCode;
use std::time::Duration;

use mainstay::link::websocket::{
    Classify, Incoming, OutboxConfig, Reaction, WebSocket, WebSocketConfig,
};
use mainstay::link::{LinkConfig, LinkOptions};

const AGENT: &str = "mainstay";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("usage: autobahn ws://127.0.0.1:9001")?;
    let count: u32 = ask(&format!("{url}/getCaseCount")).await?.parse()?;
    let mut failed = 0;
    for case in 1..=count {
        echo(&format!("{url}/runCase?case={case}&agent={AGENT}")).await?;
        let status = ask(&format!("{url}/getCaseStatus?case={case}&agent={AGENT}")).await?;
        if status.contains("FAILED") || status.contains("WRONG") {
            failed += 1;
            println!("case {case} of {count}: {status}");
        }
    }
    echo(&format!("{url}/updateReports?agent={AGENT}")).await?;
    println!("{failed} of {count} cases failed");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One connection, and none after it.
async fn connect(url: &str) -> Result<(WebSocket, Incoming), Box<dyn std::error::Error>> {
    // The largest case sends 16 MiB.
    let outbox = OutboxConfig { bytes: 64 << 20, ..OutboxConfig::default() };
    let config = WebSocketConfig {
        outbox,
        classify: Some(Classify::by(|_| Reaction::Fail)),
        ..WebSocketConfig::new(url)
    };
    let mut link = LinkConfig::websocket();
    link.reconnect.enabled = false;
    link.close_timeout = Duration::from_secs(1);
    let (socket, incoming) = WebSocket::open(LinkOptions::new("autobahn").config(link), config)?;
    socket.connect().await?;
    Ok((socket, incoming))
}

/// The only message that comes from there.
async fn ask(url: &str) -> Result<String, Box<dyn std::error::Error>> {
    let (_socket, mut incoming) = connect(url).await?;
    let answer = incoming.recv().await.ok_or("no answer")??;
    Ok(answer.as_text().ok_or("no text")?.to_owned())
}

/// Sends everything back until the connection is over.
async fn echo(url: &str) -> Result<(), Box<dyn std::error::Error>> {
    let (socket, mut incoming) = connect(url).await?;
    let mut watch = socket.link().watch();
    loop {
        tokio::select! {
            biased;
            message = incoming.recv() => {
                let Some(Ok(message)) = message else { return Ok(()) };
                drop(socket.send(message).await);
            }
            gone = watch.wait_for(|view| !view.healthy) => {
                return gone.map(|_| ()).map_err(Into::into);
            }
        }
    }
}
