//! The place of a call in a trace, as W3C Trace Context has it (`traceparent`).

use alloc::string::String;
use core::fmt::{self, Write as _};
use core::str::FromStr;

/// Which trace a call belongs to, and what called it: the header `traceparent` of [W3C Trace
/// Context](https://www.w3.org/TR/trace-context/).
///
/// It is read strictly, and written as version `00`.
///
/// ```
/// use mainstay_core::trace::TraceParent;
///
/// let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let called: TraceParent = text.parse()?;
/// assert_eq!(called.to_string(), text);
/// assert!(called.is_sampled());
/// // What it calls itself has the same trace, and another parent.
/// assert_eq!(called.child(7).to_string(), "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000007-01");
/// # Ok::<_, mainstay_core::trace::NoTraceParent>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent {
    trace: u128,
    parent: u64,
    flags: u8,
}

/// A text is no `traceparent`: whoever sent it must act; whoever got it begins a trace of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTraceParent;

/// The only flag there is.
const SAMPLED: u8 = 1;
/// What is written: a version, a trace, a parent and flags.
const LENGTH: usize = 55;

impl TraceParent {
    /// A trace that begins here; `bits` are random. Neither id is ever zero.
    #[must_use]
    pub const fn root(bits: (u64, u64, u64), sampled: bool) -> Self {
        let trace = ((bits.0 as u128) << 64) | bits.1 as u128;
        let trace = if trace == 0 { 1 } else { trace };
        Self { trace, parent: not_zero(bits.2), flags: if sampled { SAMPLED } else { 0 } }
    }

    /// The same trace, called by `bits`, which are random.
    #[must_use]
    pub const fn child(self, bits: u64) -> Self {
        Self { parent: not_zero(bits), ..self }
    }

    /// Whether the caller records its part of the trace.
    #[must_use]
    pub const fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The trace's id: 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(self) -> String {
        let mut text = String::with_capacity(32);
        write!(text, "{:032x}", self.trace).expect("writing to a string cannot fail");
        text
    }

    /// The caller's id: 16 hexadecimal digits.
    #[must_use]
    pub fn parent_id(self) -> String {
        let mut text = String::with_capacity(16);
        write!(text, "{:016x}", self.parent).expect("writing to a string cannot fail");
        text
    }
}

const fn not_zero(bits: u64) -> u64 {
    if bits == 0 { 1 } else { bits }
}

impl FromStr for TraceParent {
    type Err = NoTraceParent;

    /// Reads what [`Display`](fmt::Display) writes, and what later versions may add behind it.
    ///
    /// # Errors
    ///
    /// [`NoTraceParent`] when a length, a digit, a dash or the version is wrong, or an id is zero.
    fn from_str(text: &str) -> Result<Self, NoTraceParent> {
        let (known, more) = text.split_at_checked(LENGTH).ok_or(NoTraceParent)?;
        let mut parts = known.split('-');
        let mut part = |length: usize| {
            let part = parts.next().filter(|part| part.len() == length)?;
            let is_lower = part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            is_lower.then_some(part)
        };
        let [version, trace, parent, flags] =
            [part(2), part(32), part(16), part(2)].map(|part| part.ok_or(NoTraceParent));
        let (version, flags) = (number(version?)?, number(flags?)?);
        let trace = u128::from_str_radix(trace?, 16).map_err(|_| NoTraceParent)?;
        let parent = u64::from_str_radix(parent?, 16).map_err(|_| NoTraceParent)?;
        let fits = match version {
            0 => more.is_empty(),
            0xff => false,
            _ => more.is_empty() || more.starts_with('-'),
        };
        if !fits || trace == 0 || parent == 0 {
            return Err(NoTraceParent);
        }
        // Flags that nobody knows are not passed on.
        Ok(Self { trace, parent, flags: flags & SAMPLED })
    }
}

fn number(text: &str) -> Result<u8, NoTraceParent> {
    u8::from_str_radix(text, 16).map_err(|_| NoTraceParent)
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.parent, self.flags)
    }
}

impl fmt::Display for NoTraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no `traceparent`")
    }
}

impl core::error::Error for NoTraceParent {}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString as _;

    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn only_what_the_recommendation_allows_is_read() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        for (text, good) in [
            (GOOD.to_string(), true),
            (format!("00-{trace}-00f067aa0ba902b7-ff"), true),
            (format!("cc-{trace}-00f067aa0ba902b7-01"), true),
            (format!("cc-{trace}-00f067aa0ba902b7-01-what the future"), true),
            (format!("cc-{trace}-00f067aa0ba902b7-01.what"), false),
            (format!("{GOOD}-what"), false),
            (format!("{GOOD}-"), false),
            (format!("{GOOD} "), false),
            (format!(" {GOOD}"), false),
            (format!("ff-{trace}-00f067aa0ba902b7-01"), false),
            (GOOD.to_uppercase(), false),
            (GOOD.replace('-', "_"), false),
            (format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)), false),
            (format!("00-{trace}-{}-01", "0".repeat(16)), false),
            (format!("00-{trace}-+0f067aa0ba902b7-01"), false),
            (format!("00-{trace}0-0f067aa0ba902b7-01"), false),
            (GOOD[..54].to_string(), false),
            ("é".repeat(40), false),
            (String::new(), false),
        ] {
            assert_eq!(text.parse::<TraceParent>().is_ok(), good, "{text:?}");
        }
    }

    #[test]
    fn an_id_is_never_zero() {
        let root = TraceParent::root((0, 0, 0), false);
        let text = "00-00000000000000000000000000000001-0000000000000001-00";
        assert_eq!(root.to_string(), text);
        assert_eq!(root.child(0).to_string(), text);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(bits: (u64, u64, u64), sampled: bool, next: u64) {
            let root = TraceParent::root(bits, sampled);
            prop_assert_eq!(root.to_string().parse(), Ok(root));
            prop_assert_eq!(root.is_sampled(), sampled);
            let child = root.child(next);
            prop_assert_eq!(child.to_string().parse(), Ok(child));
            prop_assert_eq!(child.trace_id(), root.trace_id());
            prop_assert_eq!(&child.to_string()[36..52], child.parent_id());
        }

        #[test]
        fn no_text_makes_it_panic_and_what_is_read_is_written_back(text in "\\PC{0,70}|[0-9a-f-]{50,60}") {
            if let Ok(read) = text.parse::<TraceParent>() {
                prop_assert_eq!(&read.to_string()[2..52], &text[2..52]);
            }
        }

        #[test]
        fn one_wrong_byte_is_seen(place in 0..55_usize, wrong in prop::char::range('!', '~')) {
            let mut text = GOOD.as_bytes().to_vec();
            text[place] = u8::try_from(wrong).unwrap();
            let text = String::from_utf8(text).unwrap();
            let is_dash = matches!(place, 2 | 35 | 52);
            let is_hex = matches!(wrong, '0'..='9' | 'a'..='f');
            let good = if is_dash { wrong == '-' } else { is_hex && !text.starts_with("ff") };
            prop_assert_eq!(text.parse::<TraceParent>().is_ok(), good, "{}", text);
        }
    }
}
