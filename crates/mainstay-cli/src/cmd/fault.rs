//! `mainstay fault`

mod order;

use std::net::SocketAddr;
use std::process::ExitCode;

use mainstay_fault::{Admission, Cut, Fault, FaultProxy, Flow};
use serde_json::{Value, json};
use tokio::io::{BufReader, stdin};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::args::{BytesArgs, FaultArgs};
use crate::exit::Failure;
use crate::lines::{Line, Lines};
use crate::out;
use crate::signals::Stop;
use order::{Change, HELP, Order, Way, words};

/// Bytes of the longest order.
const ORDER_MAX: usize = 256;
/// Orders that wait to be carried out.
const ORDERS: usize = 16;

pub(crate) async fn run(args: &FaultArgs) -> Result<ExitCode, Failure> {
    let mut stop = Stop::listen()?;
    let target = target(&args.target).await?;
    let proxy = FaultProxy::listen(args.listen, target).await.map_err(|error| {
        Failure::environment(format!("cannot listen on {}: {error}", args.listen))
    })?;
    let fault = orders(args).into_iter().fold(Fault::NONE, |fault, order| order.over(fault));
    proxy.set(fault);
    let tell = Tell { json: args.json };
    let mut is_read = tell.listening(&proxy, target);
    let end = args.during.map(|during| Instant::now() + during);
    let (sender, mut lines) = mpsc::channel(ORDERS);
    tokio::spawn(read(sender));
    let mut open = true;
    while is_read {
        let over = async {
            match end {
                Some(end) => tokio::time::sleep_until(end).await,
                None => std::future::pending().await,
            }
        };
        let line = tokio::select! {
            biased;
            _ = stop.next() => break,
            () = over => break,
            line = lines.recv(), if open => line,
        };
        match line.as_deref().map(Order::read) {
            None => open = false,
            Some(Ok(Order::Quit)) => break,
            Some(order) => is_read = tell.done(&proxy, order),
        }
    }
    tell.stats(&proxy);
    Ok(ExitCode::SUCCESS)
}

/// Orders from standard input, until it ends.
async fn read(orders: mpsc::Sender<String>) {
    let mut lines = Lines::new(BufReader::new(stdin()), ORDER_MAX);
    while let Ok(Some(line)) = lines.next().await {
        let order = match line {
            Line::Text(text) if text.trim().is_empty() => continue,
            Line::Text(text) => text,
            Line::TooLong | Line::NoText => "what was typed".into(),
        };
        if orders.send(order).await.is_err() {
            return;
        }
    }
}

/// The first address of the target.
async fn target(text: &str) -> Result<SocketAddr, Failure> {
    let named = match text.strip_prefix(':').unwrap_or(text).parse::<u16>() {
        Ok(port) => format!("127.0.0.1:{port}"),
        Err(_) => text.to_owned(),
    };
    let (host, port) = named.rsplit_once(':').unwrap_or((&named, ""));
    if host.is_empty() || port.parse::<u16>().is_err() {
        let message = format!("{text}: allowed: host:port, or a port of this machine");
        return Err(Failure::usage(message));
    }
    let found = tokio::net::lookup_host(&named).await;
    let found = found.map_err(|error| format!("{named}: {error}")).and_then(|mut addresses| {
        addresses.next().ok_or_else(|| format!("{named}: the name has no address"))
    });
    found.map_err(Failure::environment)
}

/// What the flags order.
fn orders(args: &FaultArgs) -> Vec<Order> {
    let FaultArgs { refuse, hang, reset, drop_after, bytes, .. } = args;
    let admissions = [
        (*refuse).then_some(Admission::Refuse),
        (*hang).then_some(Admission::Hang),
        (*reset).then_some(Admission::Reset),
        drop_after.map(Admission::DropAfter),
    ];
    let way = match (bytes.up, bytes.down) {
        (true, _) => Way::Up,
        (false, true) => Way::Down,
        (false, false) => Way::Both,
    };
    let moves = changes(bytes).into_iter().flatten().map(|change| Order::Move(way, change));
    admissions.into_iter().flatten().map(Order::Admit).chain(moves).collect()
}

fn changes(args: &BytesArgs) -> [Option<Change>; 6] {
    let (delay, jitter) = (args.delay.unwrap_or_default(), args.jitter.unwrap_or_default());
    [
        args.freeze.then_some(Change::Flow(Flow::Freeze)),
        args.black_hole.then_some(Change::Flow(Flow::Swallow)),
        (args.delay.is_some() || args.jitter.is_some()).then_some(Change::Delay { delay, jitter }),
        args.rate.map(|rate| Change::Rate(Some(rate.get()))),
        args.fragment.map(|size| Change::Fragment(Some(size.get()))),
        args.cut_at.map(|at_byte| Change::CutAt(Some(Cut { at_byte, reset: args.cut_reset }))),
    ]
}

/// How it is told; every part answers whether there may still be a reader.
struct Tell {
    json: bool,
}

impl Tell {
    fn listening(&self, proxy: &FaultProxy, target: SocketAddr) -> bool {
        let (address, fault) = (proxy.address(), words(&proxy.fault()));
        let json = json!({
            "event": "fault.listening", "address": address.to_string(),
            "target": target.to_string(), "fault": fault,
        });
        self.say(&format!("listening on {address}, carrying on to {target}: {fault}"), &json)
    }

    /// Carries an order out.
    fn done(&self, proxy: &FaultProxy, order: Result<Order, String>) -> bool {
        match order {
            Ok(order @ (Order::Pass | Order::Admit(_) | Order::Move(..))) => {
                proxy.set(order.over(proxy.fault()));
                self.show(proxy)
            }
            Ok(Order::Cut) => {
                let open = proxy.stats().open;
                proxy.cut_all();
                let json = json!({ "event": "fault.cut", "connections": open });
                self.say(&format!("cut {open} connections"), &json)
            }
            Ok(Order::Show) => self.show(proxy),
            Ok(Order::Stats) => self.stats(proxy),
            Ok(Order::Help) => self.say(HELP, &json!({ "event": "fault.help", "text": HELP })),
            Ok(Order::Quit) => true,
            Err(why) => {
                let json = json!({ "event": "fault.refused", "error": why });
                self.say(&why, &json)
            }
        }
    }

    fn show(&self, proxy: &FaultProxy) -> bool {
        let fault = words(&proxy.fault());
        self.say(&format!("now: {fault}"), &json!({ "event": "fault.changed", "fault": fault }))
    }

    fn stats(&self, proxy: &FaultProxy) -> bool {
        let stats = proxy.stats();
        let mut json = json!({ "event": "fault.stats", "fault": words(&proxy.fault()) });
        if let (Some(object), Ok(Value::Object(counts))) =
            (json.as_object_mut(), serde_json::to_value(stats))
        {
            object.extend(counts);
        }
        let text = format!(
            "{} connections, {} open, {} without a server; {} bytes up, {} bytes down",
            stats.accepted, stats.open, stats.unreachable, stats.bytes_up, stats.bytes_down
        );
        self.say(&text, &json)
    }

    fn say(&self, text: &str, json: &Value) -> bool {
        if self.json { out::line_read(&json.to_string()) } else { out::line_read(text) }
    }
}
