//! Sessions as a part of somebody's own application.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use mainstay_server::session::{Handled, Handler, Session};
use mainstay_server::{Ended, Mount, Raw};
use tokio::net::TcpListener;

use super::raw::{RawClient, hello, message};
use crate::running::config;

#[derive(Debug)]
struct Shout;

impl Handler for Shout {
    fn message(&self, session: &Session, message: Raw) -> Handled {
        let text = message.as_str().to_uppercase();
        session.send(&Raw::new(&text).unwrap()).unwrap();
        Handled::Done
    }
}

#[tokio::test]
async fn an_application_mounts_sessions_beside_its_own_pages() {
    let (mount, routes) = Mount::new(&config(""), Arc::new(Shout)).await.unwrap();
    let app = Router::new().route("/", get(|| async { "own" })).merge(routes);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    let serving = tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
    let (mut client, _) = RawClient::welcomed(&address, hello()).await;
    client.say(&message(1, "\"loud\"")).await;
    assert_eq!(client.hear_past_pings().await, Some(message(1, "\"LOUD\"")));
    assert_eq!(mount.handle().counts().connected, 1);
    let page = async |path: &str| {
        drop(rustls::crypto::ring::default_provider().install_default());
        reqwest::get(format!("http://{address}{path}")).await.unwrap().status().as_u16()
    };
    assert_eq!((page("/").await, page("/api/v1/sessions").await), (200, 200));
    assert_eq!(page("/other").await, 404);
    let ended = tokio::spawn(mount.shutdown(Duration::from_secs(10)));
    assert_eq!(client.last().await.code(), 4101);
    assert_eq!(ended.await.unwrap(), Ended::InGoodOrder);
    serving.abort();
}

#[tokio::test]
async fn an_application_that_hides_where_requests_come_from_must_ask_for_credentials() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let serve = async |text: &str| {
        let (mount, routes) = Mount::new(&config(text), Arc::new(Shout)).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        // No addresses of connections.
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        (mount, address)
    };
    let (_open, address) = serve("").await;
    let url = format!("http://{address}/api/v1/sessions");
    let refused = reqwest::get(&url).await.unwrap();
    assert_eq!(refused.status().as_u16(), 403);
    assert!(refused.text().await.unwrap().contains("into_make_service_with_connect_info"));
    assert!(RawClient::open_with(&address, &[]).await.is_err());
    let (_asking, address) = serve("[server]\ntoken = \"0123456789-token\"\n").await;
    let url = format!("http://{address}/api/v1/sessions");
    let asked = reqwest::Client::new().get(&url).bearer_auth("0123456789-token");
    assert_eq!(asked.send().await.unwrap().status().as_u16(), 200);
}
