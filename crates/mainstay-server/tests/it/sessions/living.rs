//! Whether a client is there, how good its connection is, and what outlives the server.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mainstay_server::core::session::quality::Quality;
use mainstay_server::core::session::status::{EndReason, LossReason, Status};
use mainstay_server::core::session::stream::Seq;
use mainstay_server::registry::{Event, EventKind};
use mainstay_server::session::{Handled, Handler, Session};
use mainstay_server::{Ended, Raw};
use mainstay_wire::{Frame, Pong};
use tokio::time::sleep;

use super::raw::{RawClient, hello, message, resuming};
use super::{id, until};
use crate::running::{start, start_with};

/// Asks often, gives up soon.
const BRISK: &str = "[sessions]\ngrace = \"1s\"\n\
    [sessions.heartbeat]\nexcellent = \"100ms\"\ngood = \"100ms\"\npoor = \"100ms\"\n\
    critical = \"100ms\"\nmin = \"100ms\"\nmax = \"100ms\"\nhard_max = \"100ms\"\nstep = \"50ms\"\n";

/// Keeps what happened.
#[derive(Debug, Default)]
struct Witness(Mutex<Vec<Event>>);

impl Handler for Witness {
    fn event(&self, event: &Arc<Event>) {
        self.0.lock().unwrap().push(Event::clone(event));
    }
}

impl Witness {
    fn kinds(&self) -> Vec<EventKind> {
        self.0.lock().unwrap().iter().map(|event| event.kind).collect()
    }
}

#[tokio::test]
async fn a_client_that_answers_is_measured_and_told_how_good_it_is() {
    // Those whose connection is excellent are asked less often, and told so.
    let text = BRISK
        .replace("excellent = \"100ms\"", "excellent = \"200ms\"")
        .replace("max = \"100ms\"", "max = \"200ms\"");
    let running = start(&text).await;
    let (mut client, welcome) = RawClient::welcomed(&running.address, hello()).await;
    let grade = || running.handle.record(id(&welcome)).unwrap().quality;
    let mut told = Quality::Unknown;
    for _ in 0..200 {
        let frame = client.hear().await.expect("it goes on");
        if let Frame::Ping(ping) = frame {
            let (number, sent_us) = (ping.number, ping.sent_us);
            let pong = Pong { number, sent_us, client_time_ms: None, view: None };
            client.say(&Frame::Pong(pong)).await;
        } else if let Frame::Beat(beat) = frame {
            told = beat.quality;
        } else {
            panic!("{frame:?}");
        }
        if grade() == Quality::Excellent && told == Quality::Excellent {
            break;
        }
    }
    assert_eq!(told, Quality::Excellent);
    let record = running.handle.record(id(&welcome)).unwrap();
    assert_eq!(
        (record.quality, record.missed_heartbeats, record.losses),
        (Quality::Excellent, 0, 0)
    );
    assert!(record.latency.unwrap() < Duration::from_secs(1) && record.beats >= 3);
    assert_eq!(running.handle.counts().graded(Quality::Excellent), 1);
}

#[tokio::test]
async fn an_answer_to_another_question_measures_nothing() {
    let running = start(BRISK).await;
    let (mut client, welcome) = RawClient::welcomed(&running.address, hello()).await;
    for _ in 0..3 {
        let Some(Frame::Ping(ping)) = client.hear().await else { panic!("no ping") };
        let (number, sent_us) = (ping.number + 1, ping.sent_us);
        let pong = Pong { number, sent_us, client_time_ms: None, view: None };
        client.say(&Frame::Pong(pong)).await;
    }
    assert_eq!(running.handle.record(id(&welcome)).unwrap().latency, None);
}

#[tokio::test]
async fn a_silent_client_is_given_up_and_its_end_is_told_once() {
    let witness = Arc::new(Witness::default());
    let text = format!("{BRISK}[sessions.detector]\nslack = \"10s\"\n");
    let running = start_with(&text, witness.clone()).await;
    let (mut client, welcome) = RawClient::welcomed(&running.address, hello()).await;
    // It reads, and says nothing.
    assert_eq!(client.last().await.code(), 4103);
    until(&running, "it is gone", |running| {
        running.handle.record(id(&welcome)).is_some_and(|record| record.ended.is_some())
    })
    .await;
    assert_eq!(running.handle.record(id(&welcome)).unwrap().ended, Some(EndReason::Expired));
    until(&running, "it is told", |_| {
        witness.kinds().contains(&EventKind::Gone { reason: EndReason::Expired })
    })
    .await;
    let kinds = witness.kinds();
    assert_eq!(kinds[0], EventKind::Registered);
    assert!(kinds.contains(&EventKind::Suspected), "{kinds:?}");
    assert!(kinds.contains(&EventKind::Suspended { reason: LossReason::Silent }), "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| matches!(kind, EventKind::Gone { .. })).count(), 1);
    let events = witness.0.lock().unwrap().clone();
    let seqs: Vec<u64> = events.iter().map(|event| event.seq).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "none is missing");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_a_slow_consumer() {
    let text = "[sessions]\nlimits = { slow_after = \"300ms\", frame_max = 1048576 }\n\
                stream = { bytes = 67108864, messages = 4096 }";
    let running = start(text).await;
    let (client, welcome) = RawClient::welcomed(&running.address, hello()).await;
    let session = running.handle.session(id(&welcome)).unwrap();
    let big = Raw::text(&"x".repeat(1_000_000));
    for _ in 0..24 {
        session.send(&big).unwrap();
    }
    until(&running, "it is given up", |running| running.handle.counts().suspended == 1).await;
    drop(client);
    let (_again, welcome) = RawClient::welcomed(&running.address, resuming(&welcome, 0)).await;
    assert!(welcome.resumed && welcome.replay, "what it did not take waits for it");
}

/// Takes its time over each message.
#[derive(Debug, Default)]
struct Slow(Arc<Mutex<Vec<String>>>);

impl Handler for Slow {
    fn message(&self, _: &Session, message: Raw) -> Handled {
        let done = self.0.clone();
        Handled::later(async move {
            sleep(Duration::from_millis(20)).await;
            done.lock().unwrap().push(message.as_str().to_owned());
        })
    }
}

#[tokio::test]
async fn a_message_is_acknowledged_when_the_application_is_done_with_it() {
    let slow = Arc::new(Slow::default());
    let text = "[sessions]\nstream = { ack_messages = 1, ack_bytes = 1 }";
    let running = start_with(text, slow.clone()).await;
    let (mut client, _) = RawClient::welcomed(&running.address, hello()).await;
    for n in 1..=3 {
        client.say(&message(n, &n.to_string())).await;
    }
    for n in 1..=3 {
        let Some(Frame::Ack(ack)) = client.hear_past_pings().await else { panic!("no ack") };
        assert_eq!(ack.seq, Seq(n));
        assert!(slow.0.lock().unwrap().len() as u64 >= n, "done before it is acknowledged");
    }
    assert_eq!(*slow.0.lock().unwrap(), ["1", "2", "3"]);
}

#[tokio::test]
async fn a_shutdown_sends_everybody_away_with_a_time_to_come_back() {
    let running = start("[sessions.retry]\ndrain = \"500ms\"").await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(RawClient::welcomed(&running.address, hello()).await.0);
    }
    let ended = tokio::spawn(running.end());
    let mut waits = Vec::new();
    for client in &mut clients {
        let last = client.last().await;
        assert_eq!(last.code(), 4101);
        waits.push(last.bye.unwrap().retry.unwrap().after_ms);
    }
    assert_eq!(ended.await.unwrap(), Ended::InGoodOrder);
    assert!(waits.iter().all(|wait| (1_000..=1_500).contains(wait)), "{waits:?}");
    waits.sort_unstable();
    waits.dedup();
    assert!(waits.len() > 3, "spread: {waits:?}");
}

#[tokio::test]
async fn sessions_outlive_the_server_and_its_end_by_force() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[server]\ndata_dir = {:?}\n[store]\nengine = \"redb\"\n\
         [sessions]\nstream = {{ ack_messages = 1, ack_bytes = 1 }}\n\
         [[auth.key]]\nname = \"anna\"\nuser = \"anna\"\norganisation = \"acme\"\nhash = \"{}\"\n",
        folder.path(),
        mainstay_server::auth::KeyHash::of("msk_anna"),
    );
    let anna = || super::raw::hello_with("msk_anna");
    let running = start(&text).await;
    let (mut client, one) = RawClient::welcomed(&running.address, anna()).await;
    client.say(&message(1, "1")).await;
    assert!(matches!(client.hear_past_pings().await, Some(Frame::Ack(_))));
    let before = running.handle.record(id(&one)).unwrap();
    assert_eq!(running.end().await, Ended::InGoodOrder);
    // Another server on the same folder, that other programs keep out of meanwhile.
    let running = start(&text).await;
    let record = running.handle.record(id(&one)).unwrap();
    assert_eq!(record.status, Status::Suspended);
    assert_eq!((record.user.as_deref(), &*record.organisation), (Some("anna"), "acme"));
    assert_eq!(record.registered_at, before.registered_at);
    let hello = mainstay_wire::Hello { auth: anna().auth, ..resuming(&one, 0) };
    let (_client, two) = RawClient::welcomed(&running.address, hello).await;
    assert_eq!(
        (&two.session, two.generation, two.resumed, two.replay),
        (&one.session, 2, true, false)
    );
    let events: Vec<_> = running.handle.record(id(&one)).into_iter().collect();
    assert_eq!(events[0].total_disconnections, 1);
}
