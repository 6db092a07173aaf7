//! The byte that stands for each word. Once written, a byte keeps its meaning for ever.

use mainstay_core::session::quality::{Factor, Quality};
use mainstay_core::session::status::{EndReason, LossReason, Status};

/// A word that is a byte on disk.
pub(super) trait Coded: Copy {
    /// Its byte.
    fn code(self) -> u8;

    /// The word of a byte.
    fn of(code: u8) -> Option<Self>;
}

macro_rules! codes {
    ($type:ident: $($word:ident = $code:literal),+ $(,)?) => {
        impl Coded for $type {
            fn code(self) -> u8 {
                match self { $(Self::$word => $code),+ }
            }

            fn of(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$word),)+ _ => None }
            }
        }
    };
}

codes!(Status: Connected = 0, Suspended = 1, Reconnecting = 2, Disconnected = 3, Failed = 4);
codes!(EndReason:
    Bye = 0, Expired = 1, Kicked = 2, Superseded = 3, Unauthorised = 4, Exhausted = 5);
codes!(LossReason:
    Lost = 0, Silent = 1, Asked = 2, Operator = 3, SlowConsumer = 4, Misbehaved = 5, Restarted = 6);
codes!(Quality: Unknown = 0, Critical = 1, Poor = 2, Good = 3, Excellent = 4);
codes!(Factor: None = 0, Rtt = 1, Jitter = 2, Loss = 3, Flapping = 4, Silence = 5);
