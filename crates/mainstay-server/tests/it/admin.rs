//! What operators ask of sessions.

mod acting;
pub(crate) mod asking;
mod audit;
mod follow;
mod history;
mod limits;
mod openapi;
mod seed_004;
mod state;
