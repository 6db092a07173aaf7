//! What a guarded operation costs that succeeds at once.

use std::convert::Infallible;
use std::future::Future;
use std::hint::black_box;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use backon::Retryable;
use mainstay::core::policy::call::CallConfig;
use mainstay::core::policy::gate::GateConfig;
use mainstay::core::policy::preset::PolicyConfig;
use mainstay::event::Events;
use mainstay::gate::Gate;
use mainstay::operations::Operations;
use mainstay::retry::Retry;
use tokio::runtime::Runtime;
use tokio_retry2::strategy::{ExponentialFactorBackoff, jitter};

use crate::measure::Row;
use crate::report::Section;

pub fn sections() -> Vec<Section> {
    let note = "An async operation that succeeds at its first attempt, driven inside a runtime.";
    vec![Section::new("operation, first attempt succeeds", note, rows)]
}

/// Polls a future that is ready at once.
#[inline]
fn finish<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a call that succeeds at once waits for nothing"),
    }
}

#[inline]
async fn succeed() -> Result<u64, Infallible> {
    Ok(black_box(42))
}

/// A row inside of a runtime, for those that want its timers.
fn row<F: Future>(name: &str, call: impl Fn() -> F + Send + Sync + 'static) -> Row {
    let runtime: Arc<Runtime> = Arc::new(
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("timers only"),
    );
    let call = Arc::new(call);
    Row::new(name, move || {
        let (runtime, call) = (Arc::clone(&runtime), Arc::clone(&call));
        move |_| {
            let _inside = runtime.enter();
            black_box(finish(call()));
        }
    })
}

fn rows() -> Vec<Row> {
    let plain = kept(Retry::new(&CallConfig::default()));
    let deadline = Some(Duration::from_secs(10));
    let timed = CallConfig { deadline, attempt_timeout: deadline, ..CallConfig::default() };
    let timed = kept(Retry::new(&timed));
    let gate = Gate::new("peer", &GateConfig::default()).expect("the config is sound");
    let gated = kept(Retry::through(&PolicyConfig::default(), gate.clone()));
    let call = CallConfig { deadline, ..CallConfig::default() };
    let whole = kept(Retry::through(&PolicyConfig { call, ..PolicyConfig::default() }, gate));
    let operations: &'static Operations = Box::leak(Box::new(Operations::new(Events::new())));
    vec![
        row("bare call", succeed),
        row("mainstay, retry", move || plain.call(|_| succeed())),
        row("mainstay, retry, deadline and attempt timeout", move || timed.call(|_| succeed())),
        row("mainstay, retry, breaker and budget", move || gated.call(|_| succeed())),
        row("mainstay, tracked by name", move || operations.execute("bench", plain, |_| succeed())),
        row("mainstay, tracked, deadline, breaker and budget", move || {
            operations.execute("bench", whole, |_| succeed())
        }),
        row("backon", || succeed.retry(backon::ExponentialBuilder::new().with_jitter())),
        row("tokio-retry2", || {
            let waits = ExponentialFactorBackoff::from_millis(50, 2.0).map(jitter).take(3);
            tokio_retry2::Retry::spawn(waits, || async { succeed().await.map_err(never) })
        }),
    ]
}

/// For as long as the program runs, so that calls can borrow it.
fn kept<E: std::fmt::Debug>(made: Result<Retry, E>) -> &'static Retry {
    Box::leak(Box::new(made.expect("the config is sound")))
}

fn never(error: Infallible) -> tokio_retry2::RetryError<Infallible> {
    match error {}
}
