//! What a file says about who is told of alerts.

use std::time::Duration;

use mainstay_monitor::alert::Severity;

use super::*;
use crate::notify::{MailTls, Way};

fn read(text: &str) -> Result<Config, Problems> {
    let environment = Environment::from([
        ("HOOK".into(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into()),
        ("WRONG".into(), "hidden".into()),
        ("URL".into(), "https://hooks.example.org/services/hidden".into()),
    ]);
    Config::parse(text, Some(Path::new("m.toml")), &Flags::default(), &environment)
}

fn one(kind: &str, rest: &str) -> String {
    format!("[[receiver]]\nname = \"a\"\nkind = \"{kind}\"\n{rest}")
}

#[test]
fn every_kind_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, "  abc\n").unwrap();
    let text = format!(
        "{}min_severity = \"HIGH\"\nrules = [\"HIGH_*\"]\nafter = \"15m\"\nresolved = false\n\
         [receiver.labels]\nlink = \"pay*\"\n",
        one("slack", "url_env = \"URL\"\n")
    );
    let slack = &read(&text).unwrap().receivers[0];
    assert_eq!(slack.way.name(), "slack");
    assert_eq!((slack.route.min_severity, slack.route.resolved), (Severity::High, false));
    assert_eq!(slack.route.after, Duration::from_secs(900));
    assert_eq!(slack.route.labels["link"], "pay*");
    let text = one("pagerduty", &format!("key_file = {key:?}\npolicy = \"axon\"\n"));
    let pager = read(&text).unwrap().receivers.remove(0);
    let Way::PagerDuty { url, key } = &pager.way else { panic!("{pager:?}") };
    assert_eq!((url.expose(), key.expose()), ("https://events.pagerduty.com/v2/enqueue", "abc"));
    assert!(pager.route.muting && pager.policy.call.attempt_timeout.is_some());
    for (tls, port) in [("starttls", 587), ("tls", 465), ("none", 25)] {
        let text = format!(
            "host = \"mail\"\nfrom = \"A <a@x.org>\"\nto = [\"b@x.org\"]\ntls = \"{tls}\"\n"
        );
        let mail = read(&one("email", &text)).unwrap().receivers.remove(0);
        let Way::Email(mail) = &mail.way else { panic!("{mail:?}") };
        assert_eq!((mail.port, mail.tls == MailTls::None), (port, tls == "none"));
    }
    let text = one("command", "command = [\"/bin/true\", \"x y\"]\n");
    assert_eq!(read(&text).unwrap().receivers[0].way.name(), "command");
    let text = one("alertmanager", "url = \"http://am:9093\"\n");
    assert_eq!(read(&text).unwrap().receivers[0].way.name(), "alertmanager");
    let watchdog = read("[watchdog]\nurl = \"https://x.org/ping\"\n").unwrap().watchdog.unwrap();
    assert_eq!(watchdog.interval, Duration::from_secs(60));
    assert_eq!(read("").unwrap().watchdog, None);
}

/// Each text is refused with what its message begins with, and shows nothing that is hidden.
fn refused(cases: &[(String, &str)]) {
    for (text, expected) in cases {
        let found = read(text).expect_err(text).to_string();
        assert!(found.starts_with(expected), "{text}\n{found}\n{expected}");
        assert!(!found.contains("hidden"), "{found}");
    }
}

#[test]
fn what_makes_no_sense_is_named_with_its_line() {
    let hook = |rest: &str| {
        one("webhook", &format!("url = \"https://x.org/hidden\"\nsecret_env = \"HOOK\"\n{rest}"))
    };
    let cases = [
        (one("fax", ""), "m.toml:3: receiver.a.kind: is \"fax\", allowed: webhook, slack, "),
        (hook("").replace("\"a\"", "\"a b\""), "m.toml:2: receiver.1.name: is \"a b\": "),
        (
            hook("").replace("\"a\"", "\"dead-letters\""),
            "m.toml:2: receiver.dead-letters.name: is ",
        ),
        (
            format!("{}{}", hook(""), hook("")),
            "m.toml:7: receiver.a.name: is \"a\", which another ",
        ),
        (
            hook("min_severity = \"BAD\""),
            "m.toml:6: receiver.a.min_severity: unknown variant `BAD`",
        ),
        (hook("after = \"999h\""), "m.toml:6: receiver.a.after: is too long"),
        (hook("timeout = \"1h\""), "m.toml:6: receiver.a.timeout: makes no sense"),
        (hook("give_up_after = \"0s\""), "m.toml:6: receiver.a.give_up_after: makes no sense"),
        (hook("policy = \"x\""), "m.toml:6: receiver.a.policy: is \"x\", allowed: default, "),
        (hook("port = 25"), "m.toml:6: receiver.a.port: means nothing to the kind webhook"),
        (hook("url_env = \"URL\""), "m.toml:4: receiver.a.url: is said twice"),
        (
            hook("ca_file = \"/none\""),
            "m.toml:6: receiver.a.ca_file: names /none, which cannot be read",
        ),
        (
            one("webhook", "url = \"ftp://hidden\"\nsecret_env = \"HOOK\""),
            "m.toml:4: receiver.a.url: is not shown",
        ),
        (
            one("webhook", "url = \"http://x\"\nsecret_env = \"WRONG\""),
            "m.toml:5: receiver.a.secret_env: holds a value",
        ),
        (
            one("webhook", "url = \"http://x\"\nsecret_env = \"NONE\""),
            "m.toml:5: receiver.a.secret_env: names NONE",
        ),
        (
            one("webhook", "url = \"http://x\""),
            "m.toml:1: receiver.a.secret_env: is missing, and so is secret_file",
        ),
    ];
    refused(&cases);
}

#[test]
fn what_a_kind_needs_is_named_with_its_line_and_shows_no_secret() {
    let mail = |rest: &str| {
        one("email", &format!("host = \"mail\"\nfrom = \"a@x.org\"\nto = [\"b@x.org\"]\n{rest}"))
    };
    let cases = [
        (
            one("slack", "url = \"https://x.org/hidden\""),
            "m.toml:4: receiver.a.url: stands in a variable or a file",
        ),
        (one("slack", "url_env = \"WRONG\""), "m.toml:4: receiver.a.url_env: is not shown"),
        (one("pagerduty", ""), "m.toml:1: receiver.a.key_env: is missing"),
        (
            mail("tls = \"ssl\""),
            "m.toml:7: receiver.a.tls: is \"ssl\", allowed: starttls, tls, none",
        ),
        (
            mail("user = \"u\"\ntls = \"none\"\npassword_env = \"WRONG\""),
            "m.toml:7: receiver.a.user: would be shown",
        ),
        (mail("user = \"u\""), "m.toml:1: receiver.a.password_env: is missing"),
        (mail("").replace("b@x.org", "b x"), "m.toml:6: receiver.a.to: has \"b x\", allowed: "),
        (
            mail("").replace("a@x.org", "a@x.org\\r\\nBcc: c@x.org"),
            "m.toml:5: receiver.a.from: has ",
        ),
        (
            mail("").replace("[\"b@x.org\"]", "[]"),
            "m.toml:6: receiver.a.to: are 0, allowed: 1 to 64",
        ),
        (mail("").replace("\"mail\"", "\"a b\""), "m.toml:4: receiver.a.host: is \"a b\""),
        (one("command", "command = []"), "m.toml:4: receiver.a.command: makes no sense"),
        ("[notify]\nrepeat = \"1s\"".into(), "m.toml:2: notify.repeat: is 1s, allowed: "),
        ("[notify]\nwait = \"1s\"".into(), "m.toml:2: notify.wait: unknown field `wait`"),
        ("[watchdog]\ninterval = \"1s\"".into(), "m.toml:1: watchdog.url_env: is missing"),
        (
            "[watchdog]\nurl = \"http://x\"\ninterval = \"48h\"".into(),
            "m.toml:3: watchdog.interval: makes",
        ),
    ];
    refused(&cases);
}
