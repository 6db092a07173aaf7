//! From a service that fails to people who are told: once, over a restart, and that it is over.

use mainstay_server::Server;
use mainstay_server::config::{Config, Flags};

use super::real::MailServer;
use super::{Hook, QUICK, environment, webhook};
use crate::monitoring::{Service, is_firing, watching};
use crate::running::run;

#[tokio::test]
async fn an_outage_is_told_once_by_webhook_and_mail_over_a_restart_and_so_is_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let mails = MailServer::start();
    let (hook, url) = Hook::start(&[]).await;
    let service = Service::start(0).await;
    let port = service.port();
    let receivers = webhook("crm", &url) + &mails.receiver("ops", "PASSWORD");
    let text = watching(port, &format!("{QUICK}{receivers}"));
    let flags = Flags {
        listen: Some("127.0.0.1:0".into()),
        data_dir: Some(folder.path().to_str().unwrap().to_owned()),
        ..Flags::default()
    };
    let config = Config::parse(&text, None, &flags, &environment(&url)).unwrap();
    let running = run(Server::bind(&config).await.unwrap());
    running.connected().await;

    drop(service);
    let alert = running.alert("CONNECTION_RECONNECTING", is_firing).await;
    let fired = hook.heard(1).await[0].clone();
    assert!(fired.is_signed());
    assert!(fired.body.contains(alert["id"].as_str().unwrap()), "{}", fired.body);
    let (mails, mail) = mails.mail().await;
    assert!(mail["text"].as_str().unwrap().contains("[HIGH] CONNECTION_RECONNECTING"), "{mail}");
    running.end().await;

    // It goes on firing, and nobody is told again: what follows is its end.
    let running = run(Server::bind(&config).await.unwrap());
    let again = running.alert("CONNECTION_RECONNECTING", is_firing).await;
    assert_eq!(again["incident"], 1);
    let _service = Service::start(port).await;
    let over = running.alert("CONNECTION_RECONNECTING", |one| one["state"] == "RESOLVED").await;
    assert_eq!(over["id"], alert["id"]);
    let heard = hook.heard(2).await;
    assert_eq!(heard.len(), 2, "{heard:#?}");
    assert!(heard[1].is_signed() && heard[1].body.contains("resolved"), "{}", heard[1].body);
    assert_ne!(heard[1].header("webhook-id"), fired.header("webhook-id"));
    let (_mails, mail) = mails.mail().await;
    assert!(mail["text"].as_str().unwrap().contains("RESOLVED"), "{mail}");
    running.end().await;
    assert_eq!(hook.requests().len(), 2, "once each");
}
