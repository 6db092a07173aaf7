//! What links ask, jobs that report in, and whom this machine asks whether it is connected.

use mainstay::link::{HttpProbe, RecordType};

use super::*;

const HTTP: &str = "[[link]]\nname = \"a\"\nurl = \"https://h\"\n";

fn target(text: &str) -> Target {
    load_with(text, &[("KEY", "hush-hush")]).unwrap().links[0].target.clone()
}

fn refused(text: &str) -> String {
    load_with(text, &[("SHORT", "abc"), ("SLASH", "0123456789/abcdef")])
        .map(|_| ())
        .unwrap_err()
        .to_string()
}

#[test]
fn a_check_has_conditions_for_one_path_or_several() {
    let text = "[link.check]\nmethod = \"POST\"\npaths = [\"/a\", \"/b\"]\n\
                status = [204, \"2xx\", \"300-304\"]\njson = { status = \"ok\", \"/db/up\" = true }\n\
                headers = { Accept = \"text/plain\" }\nheaders_env = { X-Key = \"KEY\" }\n\
                body_matches = \"^ok\"\nmax_latency = \"500ms\"\nbody = \"{}\"";
    let target = target(&format!("{HTTP}{text}"));
    assert!(!format!("{target:?}").contains("hush"));
    let Target::Http { probe: HttpProbe::Check(check), .. } = target else { panic!("{target:?}") };
    let paths: Vec<_> = check.steps.iter().map(|step| &*step.path).collect();
    assert_eq!((paths, check.max_latency), (vec!["/a", "/b"], None));
    let step = &check.steps[1];
    assert_eq!(step.status, [204..=204, 200..=299, 300..=304]);
    assert_eq!(step.json["/status"], "ok");
    assert_eq!(step.json["/db/up"], true);
    assert_eq!(step.headers[1].1, "hush-hush");
    assert_eq!(step.max_latency, Some(Duration::from_millis(500)));
}

#[test]
fn a_sequence_hands_on_what_it_captured() {
    let text = "[link.check]\nmax_latency = \"2s\"\n\
                [[link.check.step]]\nmethod = \"POST\"\npath = \"/login\"\ncapture = { token = \"/token\", id = \"user/id\" }\n\
                [[link.check.step]]\npath = \"/orders/{{id}}\"\nheaders = { Authorization = \"Bearer {{token}}\" }\n";
    let target = target(&format!("{HTTP}{text}"));
    let Target::Http { probe: HttpProbe::Check(check), .. } = target else { panic!("{target:?}") };
    assert_eq!((check.steps.len(), check.max_latency), (2, Some(Duration::from_secs(2))));
    assert_eq!(check.steps[0].capture["id"], "/user/id");
}

#[test]
fn names_and_other_ports_are_read_as_they_are_written() {
    let Target::Dns(dns) = target(
        "[[link]]\nname = \"a\"\nurl = \"dns://10.0.0.1/example.org?type=mx\"\nexpect = [\"10 Mail.example.org.\"]",
    ) else {
        panic!()
    };
    assert_eq!(dns.resolver, Some("10.0.0.1:53".parse().unwrap()));
    assert_eq!((&*dns.name, dns.kind), ("example.org", RecordType::Mx));
    let Target::Dns(dns) =
        target("[[link]]\nname = \"a\"\nurl = \"dns://[::1]:5300/x\"\nrecord_type = \"AAAA\"")
    else {
        panic!()
    };
    assert_eq!((dns.resolver, dns.kind), (Some("[::1]:5300".parse().unwrap()), RecordType::Aaaa));
    let Target::Dns(dns) = target("[[link]]\nname = \"a\"\nurl = \"dns:///x.y\"") else { panic!() };
    assert_eq!((dns.resolver, dns.kind), (None, RecordType::A));
    let Target::Tls(tls) = target("[[link]]\nname = \"a\"\nurl = \"tls://mail.example.org:993\"")
    else {
        panic!()
    };
    assert_eq!((&*tls.host, tls.port), ("mail.example.org", 993));
    let grpc = target("[[link]]\nname = \"a\"\nurl = \"grpcs://h:1\"\nservice = \"pay\"");
    assert_eq!(grpc.shown(), "grpcs://h:1");
    let Target::Http { probe, .. } = grpc else { panic!() };
    assert_eq!(probe, HttpProbe::Grpc { service: "pay".into() });
}

fn link(url: &str, text: &str) -> String {
    format!("[[link]]\nname = \"a\"\nurl = {url:?}\n{text}")
}

fn assert_refused(cases: &[(String, &str)]) {
    for (text, message) in cases {
        let found = refused(text);
        assert!(found.starts_with(message), "{text}\n{found}\n{message}");
        assert!(!found.contains("hush"), "{found}");
    }
}

#[test]
fn every_bad_value_of_a_check_is_named_with_its_line() {
    let http = |text: &str| format!("{HTTP}[link.check]\n{text}");
    assert_refused(&[
        (
            http("method = \"FETCH\""),
            "m.toml:5: link.a.check.method: is \"FETCH\", allowed: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
        ),
        (
            http("path = \"health\""),
            "m.toml:5: link.a.check.path: is \"health\", allowed: a path such as \"/health\"",
        ),
        (
            http("\nstatus = [\"6xx\"]"),
            "m.toml:6: link.a.check.status: has \"6xx\", allowed: 204, \"2xx\", \"200-299\"",
        ),
        (
            http("body_matches = \"(\""),
            "m.toml:5: link.a.check.body_matches: is \"(\", allowed: a regular expression",
        ),
        (
            http("max_latency = \"0s\""),
            "m.toml:5: link.a.check.max_latency: is 0ns, allowed: 1ms to 31536000s",
        ),
        (
            http("headers = { \"a b\" = \"x\" }"),
            "m.toml:5: link.a.check.headers: has \"a b\", allowed: names of headers",
        ),
        (
            http("headers_env = { A = \"NOBODY\" }"),
            "m.toml:5: link.a.check.headers_env: names NOBODY, which the environment does not have",
        ),
        (
            http("capture = { a = \"b\" }"),
            "m.toml:5: link.a.check.capture: is for checks with steps only",
        ),
        (
            http("path = \"/{{id}}\""),
            "m.toml:5: link.a.check.path: names \"id\", allowed: what an earlier step captures",
        ),
        (
            http("[[link.check.step]]\n[[link.check.step]]\n\npath = \"/{{id}}\""),
            "m.toml:8: link.a.check.step.2.path: names \"id\", allowed: what an earlier step captures",
        ),
        (
            http("method = \"GET\"\n[[link.check.step]]"),
            "m.toml:5: link.a.check.method: is said beside steps, allowed: inside a step",
        ),
    ]);
}

#[test]
fn every_bad_value_of_other_probes_is_named_with_its_line() {
    assert_refused(&[
        (
            link("https://h", "health_path = \"/x\"\n[link.check]"),
            "m.toml:4: link.a.health_path: is for links without a check only",
        ),
        (
            link("tcp://h:1", "[link.check]"),
            "m.toml:4: link.a.check: is for http:// and https:// links only",
        ),
        (
            link("https://h", "service = \"x\""),
            "m.toml:4: link.a.service: is for grpc:// and grpcs:// links only",
        ),
        (
            link("https://h", "expect = [\"x\"]"),
            "m.toml:4: link.a.expect: is for dns:// links only",
        ),
        (
            link("dns:///x", "record_type = \"ANY\""),
            "m.toml:4: link.a.record_type: is \"ANY\", allowed: A, AAAA, CNAME, MX, NS, PTR, SRV, TXT",
        ),
        (
            link("dns://ns1.example/x", ""),
            "m.toml:3: link.a.url: names no address of a resolver, allowed: dns://resolver[:port]/name with the address of a resolver, or dns:///name for the system's",
        ),
        (
            link("dns:///x?key=hush", ""),
            "m.toml:3: link.a.url: says more than a type, allowed: ?type=AAAA, or record_type = \"AAAA\"",
        ),
        (link("tls://h/path", ""), "m.toml:3: link.a.url: has a path, allowed: tls://host[:port]"),
        (
            link("http://h", "ca_file = \"/nobody.pem\""),
            "m.toml:4: link.a.ca_file: is for https:// and grpcs:// addresses only",
        ),
    ]);
}

#[test]
fn every_bad_value_of_jobs_and_connectivity_is_named_with_its_line() {
    let push = |text: &str| format!("[[push]]\nname = \"a\"\n{text}");
    assert_refused(&[
        (
            push("token_env = \"NOBODY\""),
            "m.toml:1: push.a.every: is not said, allowed: \"1s\" to \"366d\"\nm.toml:3: push.a.token_env: names NOBODY, which the environment does not have",
        ),
        (
            push("every = \"1ms\"\ntoken_env = \"SHORT\""),
            "m.toml:3: push.a.every: is 1ms, allowed: \"1s\" to \"366d\"\nm.toml:4: push.a.token_env: names a token that is not shown, allowed in it: at least 16 letters, digits, hyphens, dots, underscores and tildes",
        ),
        (
            push("every = \"1h\"\ntoken_env = \"SLASH\""),
            "m.toml:4: push.a.token_env: names a token that is not shown, allowed in it: at least 16 letters, digits, hyphens, dots, underscores and tildes",
        ),
        (
            push("every = \"1h\""),
            "m.toml:1: push.a.token_env: is not said, allowed: the variable that holds the job's token",
        ),
        (
            "[monitor.connectivity]\ntargets = [\"1.1.1.1\"]".into(),
            "m.toml:2: monitor.connectivity.targets: has \"1.1.1.1\", allowed: hosts such as \"1.1.1.1:443\"",
        ),
        (
            "[monitor.connectivity]\n\ntimeout = \"11s\"".into(),
            "m.toml:3: monitor.connectivity.timeout: is 11s, allowed: \"10ms\" to monitor.interval (10s)",
        ),
    ]);
}
