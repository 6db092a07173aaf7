use std::collections::VecDeque;
use std::sync::Mutex;
use std::task::Waker;
use std::time::Duration;

use super::*;
use crate::link::websocket::config::WebSocketConfig;
use crate::link::websocket::line::Took;
use crate::link::websocket::receipt::Receipt;

/// A socket that the test plays the peer of.
#[derive(Clone, Default)]
struct Played(Arc<Mutex<Play>>);

#[derive(Default)]
struct Play {
    arriving: VecDeque<Frame>,
    heard: bool,
    /// Whether the peer takes nothing.
    stalled: bool,
    sent: Vec<Frame>,
}

impl Played {
    fn says(&self, frame: Frame) {
        self.0.lock().unwrap().arriving.push_back(frame);
    }

    fn sent(&self) -> Vec<Frame> {
        std::mem::take(&mut self.0.lock().unwrap().sent)
    }
}

impl Socket for Played {
    fn poll_recv(&mut self, _: &mut Context<'_>) -> Poll<Result<Frame, Broken>> {
        let mut play = self.0.lock().unwrap();
        let Some(frame) = play.arriving.pop_front() else { return Poll::Pending };
        play.heard = true;
        Poll::Ready(Ok(frame))
    }

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        Poll::Ready(Ok(()))
    }

    fn start_send(&mut self, frame: Frame) -> Result<(), Broken> {
        self.0.lock().unwrap().sent.push(frame);
        Ok(())
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        if self.0.lock().unwrap().stalled { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn take_heard(&mut self) -> bool {
        std::mem::take(&mut self.0.lock().unwrap().heard)
    }
}

fn pump(config: WebSocketConfig) -> (Pump, Arc<Line>, Played) {
    let line = Arc::new(Line::new(&config).unwrap());
    let rules = Arc::new(config.rules());
    let played = Played::default();
    let opening = Opening::new(Box::new(played.clone()), None, rules.clone());
    let pump = Pump::new(rules, line.clone(), None, opening);
    line.opened(clock::now());
    (pump, line, played)
}

fn turn(pump: &mut Pump) {
    assert!(pump.poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

#[tokio::test(start_paused = true)]
async fn w20_what_was_heard_before_a_ping_does_not_seem_to_come_after_it() {
    let (mut pump, line, played) = pump(WebSocketConfig::new("ws://127.0.0.1:1/"));
    turn(&mut pump);
    tokio::time::advance(Duration::from_secs(5)).await;
    played.says(Frame::Message("last words".into()));
    turn(&mut pump);
    let heard = clock::now();
    assert_eq!(line.heard(), Some(heard));
    tokio::time::advance(Duration::from_secs(15)).await;
    turn(&mut pump);
    assert_eq!(line.heard(), Some(heard), "nothing has come since");
    assert!(line.want_ping());
    turn(&mut pump);
    assert!(matches!(played.sent().last(), Some(Frame::Ping(_))));
    assert_eq!(line.heard(), Some(heard));
    tokio::time::advance(Duration::from_secs(1)).await;
    played.says(Frame::Pong(Bytes::from_static(b"another's")));
    turn(&mut pump);
    assert_eq!(line.heard(), Some(clock::now()), "any byte is life");
}

#[tokio::test(start_paused = true)]
async fn w29_what_an_old_connection_still_holds_is_not_called_written_by_the_new() {
    let (mut old, line, stalled) = pump(WebSocketConfig::new("ws://127.0.0.1:1/"));
    let Took::Taken { seq: first, .. } = line.put("one".into(), None) else { panic!("room") };
    turn(&mut old);
    assert_eq!(line.receipt(first), Some(Receipt::Written));
    stalled.0.lock().unwrap().stalled = true;
    let Took::Taken { seq: held, .. } = line.put("two".into(), None) else { panic!("room") };
    turn(&mut old);
    assert_eq!(line.receipt(held), None, "it has not left this process");
    let (new, _, _) = pump(WebSocketConfig::new("ws://127.0.0.1:1/"));
    old.replace(new, clock::now().after(Duration::from_secs(2)));
    let Took::Taken { seq: third, .. } = line.put("three".into(), None) else { panic!("room") };
    turn(&mut old);
    assert_eq!(line.receipt(held), Some(Receipt::Unknown));
    assert_eq!(line.receipt(third), Some(Receipt::Written));
}
