//! Orders that are typed while the proxy runs, and what they make of a fault.

use std::fmt::Write as _;

use mainstay::core::config::duration;
use mainstay_fault::{Admission, Cut, Direction, Fault, Flow};

use crate::args::value;

pub(super) const HELP: &str = "\
pass                        nothing is wrong
refuse | hang | reset       new connections are refused, ignored, reset
drop 5s                     new connections are dropped after that time
freeze | black-hole | flow  bytes stop, vanish, move again
delay 100ms [50ms]          every piece waits, up to so much more; 0s ends it
rate 64k | rate off         bytes a second
fragment 1 | fragment off   largest piece passed on at once
cut-at 1000 [reset]         connections are cut at that byte; cut-at off ends it
up … | down …               one of the seven above in one direction: `down freeze`
cut                         all open connections are cut, now
show | stats                what is wrong; what was seen
help | quit                 this; the end";

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Nothing is wrong any more.
    Pass,
    /// About new connections.
    Admit(Admission),
    /// About bytes.
    Move(Way, Change),
    /// Cuts all connections.
    Cut,
    /// Says what is wrong.
    Show,
    /// Says what was seen.
    Stats,
    /// Lists the orders.
    Help,
    /// Ends the program.
    Quit,
}

/// In which direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Way {
    /// In both.
    #[default]
    Both,
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// What changes in a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Flow(Flow),
    Delay { delay: core::time::Duration, jitter: core::time::Duration },
    Rate(Option<u32>),
    Fragment(Option<u32>),
    CutAt(Option<Cut>),
}

impl Order {
    /// Reads a line; the error says what is allowed.
    pub(super) fn read(line: &str) -> Result<Self, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["up", ref rest @ ..] => Ok(Self::Move(Way::Up, Change::read(rest)?)),
            ["down", ref rest @ ..] => Ok(Self::Move(Way::Down, Change::read(rest)?)),
            ["pass"] => Ok(Self::Pass),
            ["refuse"] => Ok(Self::Admit(Admission::Refuse)),
            ["hang"] => Ok(Self::Admit(Admission::Hang)),
            ["reset"] => Ok(Self::Admit(Admission::Reset)),
            ["drop", time] => Ok(Self::Admit(Admission::DropAfter(duration_of(time)?))),
            ["cut"] => Ok(Self::Cut),
            ["show"] => Ok(Self::Show),
            ["stats"] => Ok(Self::Stats),
            ["help" | "?"] => Ok(Self::Help),
            ["quit" | "exit"] => Ok(Self::Quit),
            ref rest => Ok(Self::Move(Way::Both, Change::read(rest)?)),
        }
    }

    /// What becomes of `fault`.
    pub(super) const fn over(self, mut fault: Fault) -> Fault {
        match self {
            Self::Pass => return Fault::NONE,
            Self::Admit(admission) => fault.admission = admission,
            Self::Move(Way::Both, change) => {
                change.make(&mut fault.up);
                change.make(&mut fault.down);
            }
            Self::Move(Way::Up, change) => change.make(&mut fault.up),
            Self::Move(Way::Down, change) => change.make(&mut fault.down),
            Self::Cut | Self::Show | Self::Stats | Self::Help | Self::Quit => {}
        }
        fault
    }
}

impl Change {
    fn read(words: &[&str]) -> Result<Self, String> {
        Ok(match words {
            ["freeze"] => Self::Flow(Flow::Freeze),
            ["black-hole"] => Self::Flow(Flow::Swallow),
            ["flow"] => Self::Flow(Flow::Pass),
            ["delay", delay] => {
                Self::Delay { delay: duration_of(delay)?, jitter: core::time::Duration::ZERO }
            }
            ["delay", delay, jitter] => {
                Self::Delay { delay: duration_of(delay)?, jitter: duration_of(jitter)? }
            }
            ["rate", rate] => Self::Rate(bytes(rate)?),
            ["fragment", size] => Self::Fragment(bytes(size)?),
            ["cut-at", "off"] => Self::CutAt(None),
            ["cut-at", at] => Self::CutAt(Some(Cut { at_byte: number(at)?, reset: false })),
            ["cut-at", at, "reset"] => Self::CutAt(Some(Cut { at_byte: number(at)?, reset: true })),
            _ => return Err(format!("`{}` is no order: `help` lists them", words.join(" "))),
        })
    }

    const fn make(self, direction: &mut Direction) {
        match self {
            Self::Flow(flow) => direction.flow = flow,
            Self::Delay { delay, jitter } => {
                direction.delay = delay;
                direction.jitter = jitter;
            }
            Self::Rate(rate) => direction.bytes_per_sec = rate,
            Self::Fragment(size) => direction.fragment = size,
            Self::CutAt(cut) => direction.cut = cut,
        }
    }
}

fn duration_of(text: &str) -> Result<core::time::Duration, String> {
    match text {
        "0" | "0s" | "off" => Ok(core::time::Duration::ZERO),
        text => value::duration(text),
    }
}

fn bytes(text: &str) -> Result<Option<u32>, String> {
    match text {
        "off" => Ok(None),
        text => value::bytes(text).map(|bytes| Some(bytes.get())),
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{text}` is no number of bytes"))
}

/// What is wrong, in the words of orders.
pub(super) fn words(fault: &Fault) -> String {
    let mut parts = Vec::new();
    match fault.admission {
        Admission::Pass => {}
        Admission::Refuse => parts.push("refuse".into()),
        Admission::Hang => parts.push("hang".into()),
        Admission::Reset => parts.push("reset".into()),
        Admission::DropAfter(time) => parts.push(format!("drop {}", duration::text(time))),
    }
    let (up, down) = (moves(&fault.up), moves(&fault.down));
    if fault.up == fault.down {
        parts.extend(up);
    } else {
        parts.extend(up.into_iter().map(|words| format!("up {words}")));
        parts.extend(down.into_iter().map(|words| format!("down {words}")));
    }
    if parts.is_empty() { "pass".into() } else { parts.join(", ") }
}

fn moves(direction: &Direction) -> Vec<String> {
    let mut parts = Vec::new();
    match direction.flow {
        Flow::Pass => {}
        Flow::Freeze => parts.push("freeze".to_owned()),
        Flow::Swallow => parts.push("black-hole".to_owned()),
    }
    if !direction.delay.is_zero() || !direction.jitter.is_zero() {
        let mut words = format!("delay {}", duration::text(direction.delay));
        if !direction.jitter.is_zero() {
            let jitter = duration::text(direction.jitter);
            write!(words, " {jitter}").expect("writing to a string cannot fail");
        }
        parts.push(words);
    }
    parts.extend(direction.bytes_per_sec.map(|rate| format!("rate {rate}")));
    parts.extend(direction.fragment.map(|size| format!("fragment {size}")));
    parts.extend(
        direction
            .cut
            .map(|cut| format!("cut-at {}{}", cut.at_byte, if cut.reset { " reset" } else { "" })),
    );
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_in_orders_that_make_it_so() {
        let lines = [
            "pass",
            "refuse",
            "hang",
            "reset",
            "drop 5s",
            "freeze",
            "up black-hole",
            "down freeze",
            "delay 100ms",
            "delay 100ms 50ms",
            "down delay 1s",
            "rate 65536",
            "up fragment 1",
            "cut-at 10",
            "down cut-at 0 reset",
        ];
        for line in lines {
            let fault = Order::read(line).unwrap().over(Fault::NONE);
            assert_eq!(words(&fault), line);
            assert_eq!(Order::Pass.over(fault), Fault::NONE);
        }
    }

    #[test]
    fn orders_add_up_and_can_be_taken_back() {
        let after = |lines: &[&str]| {
            lines.iter().fold(Fault::NONE, |fault, line| Order::read(line).unwrap().over(fault))
        };
        let both = after(&["refuse", "delay 1s", "down rate 1k"]);
        assert_eq!(words(&both), "refuse, up delay 1s, down delay 1s, down rate 1024");
        let none = after(&["delay 1s 1s", "delay 0s", "rate 2", "rate off", "freeze", "flow"]);
        assert_eq!(none, Fault::NONE);
        assert_eq!(after(&["cut-at 5", "cut-at off", "fragment 3", "fragment off"]), Fault::NONE);
    }

    #[test]
    fn what_is_no_order_is_refused() {
        for line in ["", "nonsense", "delay", "delay x", "rate 0", "up", "up refuse", "cut-at -1"] {
            assert!(Order::read(line).is_err(), "{line}");
        }
    }

    #[test]
    fn the_help_names_orders_that_exist() {
        for line in ["show", "stats", "help", "quit", "cut"] {
            let order = Order::read(line).unwrap();
            assert!(HELP.contains(line));
            assert_eq!(order.over(Fault::NONE), Fault::NONE);
        }
    }
}
