//! Bytes a breaker takes: its own and what it allocates.

use std::convert::Infallible;
use std::future::Future;
use std::task::{Context, Waker};
use std::time::Duration;

use failsafe::Config;
use mainstay::core::policy::call::CallConfig;
use mainstay::operations::Operations;
use mainstay::retry::Retry;
use mainstay_core::policy::breaker::{Breaker, BreakerConfig, Window};
use recloser::Recloser;

use crate::allocations::counted;
use crate::peers::{call_tower_resilience, tower_resilience};
use crate::report::{Content, Section};
use crate::websockets;

pub fn section() -> Section {
    let ten = Duration::from_secs(10);
    let sizes = vec![
        ("mainstay, failures in a row".into(), ours(Window::Off)),
        ("mainstay, 100 calls".into(), ours(Window::Count(100))),
        ("mainstay, 1000 calls".into(), ours(Window::Count(1000))),
        ("mainstay, 4000 calls".into(), ours(Window::Count(4000))),
        ("mainstay, 10 time buckets".into(), ours(Window::Time(ten))),
        ("mainstay, an active operation".into(), active_operation()),
        ("mainstay, an idle websocket link, beside its TCP stream".into(), websockets::idle()),
        ("bare tokio-tungstenite, small buffers, idle".into(), websockets::idle_bare()),
        ("recloser, 100 calls".into(), bytes(|| Recloser::custom().closed_len(100).build())),
        ("failsafe, default".into(), bytes(|| Config::new().build())),
        (
            "tower-resilience, 100 calls made".into(),
            bytes(|| {
                let mut service = tower_resilience(|builder| builder.sliding_window_size(100));
                for _ in 0..100 {
                    call_tower_resilience(&mut service, Ok(()));
                }
                service
            }),
        ),
    ];
    let note = "Breakers, with three probes, the default; recloser makes no room for any before it \
                opens. What the list of active operations \
                holds for each. And what a connected WebSocket holds, after an echo.";
    Section { name: "memory", note, content: Content::Sizes(sizes) }
}

fn ours(window: Window) -> u64 {
    bytes(|| {
        let config = BreakerConfig { window, ..BreakerConfig::default() };
        Breaker::new(&config).expect("the config is sound")
    })
}

fn bytes<T>(make: impl FnOnce() -> T) -> u64 {
    let (made, allocated) = counted(make);
    drop(made);
    allocated.bytes + size_of::<T>() as u64
}

/// What the list of active operations holds for each of a thousand, beside its own future.
fn active_operation() -> u64 {
    const MANY: usize = 1_000;
    let operations = Operations::default();
    let retry = Retry::new(&CallConfig::default()).expect("the config is sound");
    let hang = |_| std::future::pending::<Result<(), Infallible>>();
    let mut calls: Vec<_> =
        (0..MANY).map(|_| Box::pin(operations.execute("bench", &retry, hang))).collect();
    let mut context = Context::from_waker(Waker::noop());
    let ((), allocated) = counted(|| {
        for call in &mut calls {
            assert!(call.as_mut().poll(&mut context).is_pending());
        }
    });
    allocated.bytes / MANY as u64
}
