//! `mainstay id`

mod ask;
mod bench;
mod inspect;
mod meaning;
mod mint;
mod remote;
mod validate;

use std::process::ExitCode;

use super::serve;
use crate::args::{IdAction, IdArgs};
use crate::exit::Failure;

pub(crate) async fn run(args: &IdArgs) -> Result<ExitCode, Failure> {
    match &args.action {
        IdAction::Mint(args) => mint::run(args).await,
        IdAction::Validate(args) if args.remote => remote::run(args).await,
        IdAction::Validate(args) => validate::run(args),
        IdAction::Inspect(args) => Ok(inspect::run(args)),
        IdAction::Serve(args) => serve::with_authority(args).await,
        IdAction::Bench(args) => bench::run(args).await,
    }
}
