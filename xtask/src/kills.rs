//! `cargo xtask mint-kills`: the long form of a test that is short otherwise.

use std::path::Path;

use crate::Failure;
use crate::step::{self, cargo};

pub(crate) const HELP: &str = "\
Eight clients mint ids with idempotency keys while the authority is killed again and again: in the
end each key has its ids once, and none that was acknowledged is lost. The test run does the same
with 8 kills.

usage: cargo xtask mint-kills [kills]

  kills   by default 200

exit code: 0 all is as it must be, 1 it is not
";

fn test(root: &Path, kills: &str) -> Result<(), Failure> {
    let test = ["test", "--release", "--locked", "-p", "mainstay-cli", "--test", "it", "killed::"];
    step::run(cargo(root, &test).args(["--", "--nocapture"]).env("MAINSTAY_MINT_KILLS", kills))
}

pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<(), Failure> {
    let number = |text: &String| text.parse::<u32>().is_ok_and(|number| number > 0);
    match arguments {
        [] => test(root, "200"),
        [kills] if number(kills) => test(root, kills),
        _ => Err(Failure::Usage("usage: cargo xtask mint-kills [kills]".into())),
    }
}
