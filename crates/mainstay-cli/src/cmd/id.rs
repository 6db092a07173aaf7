//! `mainstay id`

mod inspect;
mod meaning;
mod validate;

use std::process::ExitCode;

use super::serve;
use crate::args::{IdAction, IdArgs};
use crate::exit::Failure;

pub(crate) async fn run(args: &IdArgs) -> Result<ExitCode, Failure> {
    match &args.action {
        IdAction::Validate(args) => validate::run(args),
        IdAction::Inspect(args) => Ok(inspect::run(args)),
        IdAction::Serve(args) => serve::with_authority(args).await,
    }
}
