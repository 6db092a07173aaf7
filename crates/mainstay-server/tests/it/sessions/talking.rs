use std::time::Duration;

use mainstay::link::session::{Fate, Raw};
use mainstay_server::Ended;
use tokio::time::timeout;

use super::{hear, link};
use crate::running::{PATIENCE, start};

const ECHO: &str = "[sessions]\nmessages = \"echo\"\nstream = { ack_after = \"5ms\" }\n";

#[tokio::test]
async fn a_message_is_processed_once_and_comes_back() {
    let running = start(ECHO).await;
    let (session, mut incoming) = link(&running.address);
    session.connect().await.unwrap();
    for n in 0..100 {
        let text = n.to_string();
        let seq = session.send(&Raw::new(&text).unwrap()).await.unwrap();
        if n % 10 == 0 {
            assert_eq!(timeout(PATIENCE, session.delivered(seq)).await.unwrap(), Fate::Delivered);
        }
        assert_eq!(hear(&mut incoming, 1).await, [text]);
    }
    assert_eq!(session.view().generation, 1);
    assert_eq!(running.end().await, Ended::InGoodOrder);
}

#[tokio::test]
async fn a_session_goes_on_over_a_new_connection() {
    let running = start(ECHO).await;
    let (session, mut incoming) = link(&running.address);
    session.connect().await.unwrap();
    session.send(&Raw::new("1").unwrap()).await.unwrap();
    assert_eq!(hear(&mut incoming, 1).await, ["1"]);
    let before = session.view();
    session.link().disconnect().await;
    session.send(&Raw::new("2").unwrap()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    session.connect().await.unwrap();
    assert_eq!(hear(&mut incoming, 1).await, ["2"]);
    let after = session.view();
    assert_eq!((before.session, before.generation), (after.session, after.generation - 1));
    assert_eq!(session.stats().resumes, 1);
}
