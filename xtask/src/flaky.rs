//! `cargo xtask flaky`: the long form of a test that is short otherwise.

use std::path::Path;

use crate::Failure;
use crate::step::{self, cargo};

pub(crate) const HELP: &str = "\
Clients whose connections break again and again: in the end no message is lost or doubled, and the
server's counters equal a replay of its stored history. The test run does the same with 300 clients.

usage: cargo xtask flaky [clients seconds]

  clients seconds   by default 5000 and 120

exit code: 0 all is equal, 1 it is not
";

fn test(root: &Path, size: &str) -> Result<(), Failure> {
    let test = ["test", "--release", "--locked", "-p", "mainstay-cli", "--test", "it", "flaky::"];
    step::run(cargo(root, &test).args(["--", "--nocapture"]).env("MAINSTAY_FLAKY", size))
}

pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<(), Failure> {
    let number = |text: &String| text.parse::<u32>().is_ok_and(|number| number > 0);
    match arguments {
        [] => test(root, "5000 120"),
        [clients, seconds] if number(clients) && number(seconds) => {
            test(root, &format!("{clients} {seconds}"))
        }
        _ => Err(Failure::Usage("usage: cargo xtask flaky [clients seconds]".into())),
    }
}
