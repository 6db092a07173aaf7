//! Who is told of alerts.

use crate::program::{Program, command};

#[test]
fn a_receiver_is_tried() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = |name: &str, program: &str| {
        format!("[[receiver]]\nname = \"{name}\"\nkind = \"command\"\ncommand = [{program:?}]\n")
    };
    let text = format!("{}{}", receiver("good", "/bin/true"), receiver("bad", "/bin/false"));
    std::fs::write(folder.path().join("mainstay.toml"), text).unwrap();
    let mut serving = command(&["serve", "--listen", "127.0.0.1:0"]);
    serving.current_dir(folder.path());
    let mut serving = Program::start(serving);
    let line = serving.line("address", |line| line.contains(" listens on "));
    let address = line.rsplit("http://").next().unwrap().to_owned();
    let ask = |args: &[&str]| {
        let mut asking = command(&[&["alerts", "test"], args].concat());
        asking.env("MAINSTAY_SERVER_URL", format!("http://{address}"));
        Program::start(asking).end()
    };
    let good = ask(&["good"]);
    assert!(good.code == 0 && good.stdout.starts_with("good took it, in "), "{}", good.stderr);
    let bad = ask(&["bad"]);
    assert!(bad.code == 1 && bad.stderr.contains("bad did not take it"), "{}", bad.stderr);
    let bad = ask(&["bad", "--json"]);
    assert!(bad.code == 1 && bad.stdout.contains("\"delivered\":false"), "{}", bad.stdout);
    let none = ask(&["none"]);
    assert!(none.code == 1 && none.stderr.contains("there is: bad, good"), "{}", none.stderr);
}
