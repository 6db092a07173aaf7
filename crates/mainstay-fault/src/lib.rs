//! A TCP proxy with programmable faults.
//!
//! Put it between a client and a server, and make the network bad while a test runs: refuse, hang,
//! reset, accept and drop, freeze, swallow, delay, throttle, fragment, cut at byte `n`. Faults change
//! at any time, for new connections and for those that are open.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use mainstay_fault::{Admission, Fault, FaultProxy};
//!
//! let server = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let proxy = FaultProxy::start(server.local_addr()?).await?;
//! let client = tokio::net::TcpStream::connect(proxy.address()).await?;
//! proxy.set(Fault { admission: Admission::Refuse, ..Fault::default() });
//! # drop(client);
//! # Ok::<(), std::io::Error>(())
//! # }).unwrap();
//! ```

mod fault;
mod proxy;
mod pump;

pub use fault::{Admission, Cut, Direction, Fault, Flow};
pub use proxy::{FaultProxy, ProxyStats};
