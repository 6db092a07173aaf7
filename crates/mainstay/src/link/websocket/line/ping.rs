use std::task::Waker;

/// Our own ping: there is one, or none.
#[derive(Debug, Default)]
pub(super) struct Ping {
    pub(super) nonce: u64,
    pub(super) state: PingState,
    pub(super) asker: Option<Waker>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum PingState {
    #[default]
    Idle,
    Wanted,
    Sent,
    Answered,
    Lost,
}

impl Ping {
    pub(super) fn finish(&mut self, state: PingState) -> Option<Waker> {
        match self.state {
            PingState::Wanted | PingState::Sent => {
                self.state = state;
                self.asker.take()
            }
            PingState::Idle | PingState::Answered | PingState::Lost => None,
        }
    }
}
