//! A chat that survives: `cargo run --example chat -- ws://127.0.0.1:9001/ room`.
//!
//! Kill the server while you type, and start it again: what you typed meanwhile is sent, the room is
//! joined anew before it, and nothing is sent twice. A server that sends everything back to everybody
//! is enough to talk to.

use std::error::Error;
use std::time::Duration;

use mainstay::link::LinkOptions;
use mainstay::link::What;
use mainstay::link::websocket::{SendStatus, WebSocket, WebSocketConfig};
use tokio::io::{AsyncBufReadExt as _, BufReader};

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a chat is on a terminal")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or_else(|| "ws://127.0.0.1:9001/".into());
    let room = arguments.next().unwrap_or_else(|| "lobby".into());

    let (chat, mut messages) =
        WebSocket::open(LinkOptions::websocket("chat"), WebSocketConfig::new(url))?;
    // Sent on every connection, before anything that waits.
    chat.subscribe("room", format!("/join {room}"));
    chat.link().on("connected", |_| eprintln!("* connected"))?;
    chat.link().on("error", |event| {
        eprintln!("* lost: {}", event.error.as_deref().unwrap_or("no reason"));
    })?;
    chat.link().on("reconnecting", |event| {
        if let What::Reconnecting { attempt, delay, .. } = event.what {
            eprintln!("* attempt {attempt} in {:.1} s", delay.as_secs_f64());
        }
    })?;
    chat.link().begin();

    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        tokio::select! {
            message = messages.recv() => match message {
                Some(Ok(message)) => println!("{}", message.as_text().unwrap_or("(no text)")),
                Some(Err(missed)) => eprintln!("* {missed}"),
                None => break,
            },
            line = lines.next_line() => {
                let Some(line) = line? else { break };
                match chat.try_send(line) {
                    SendStatus::Sent(_) => {}
                    SendStatus::Buffered(_) => eprintln!("* kept until there is a connection"),
                    SendStatus::Dropped => eprintln!("* dropped"),
                    SendStatus::Rejected(rejected) => eprintln!("* not sent: {}", rejected.reason),
                }
            }
            stopped = tokio::signal::ctrl_c() => {
                stopped?;
                break;
            }
        }
    }
    let lost = chat.drain(Duration::from_secs(2)).await;
    if lost > 0 {
        eprintln!("* {lost} messages could not be sent");
    }
    Ok(())
}
