use super::*;

fn load(text: &str) -> Result<Config, Problems> {
    load_with(text, &[])
}

fn load_with(text: &str, environment: &[(&str, &str)]) -> Result<Config, Problems> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let environment = environment.iter().map(own).collect();
    Config::parse(text, Some(Path::new("m.toml")), &Flags::default(), &environment)
}

fn problems(text: &str) -> String {
    load(text).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn nothing_said_is_a_server_on_this_machine() {
    let config = load("").unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:7180");
    assert_eq!(config.server.data_dir, Path::new("./mainstay-data"));
    assert!(config.server.token.is_none() && config.links.is_empty());
    assert!(config.settings.iter().all(|setting| setting.origin == Origin::Default));
}

#[test]
fn messages_name_file_line_field_value_and_what_is_allowed() {
    let cases = [
        (
            "[server]\n\nlisten = \"x\"",
            "m.toml:3: server.listen: is \"x\", allowed: an address such as 127.0.0.1:7180",
        ),
        (
            "[server]\nlisten = 5",
            "m.toml:2: server.listen: invalid type: integer `5`, expected a string",
        ),
        ("[log]\nformat = \"xml\"", "m.toml:2: log.format: is \"xml\", allowed: text, json"),
        (
            "[server]\nshutdown_deadline = \"0s\"",
            "m.toml:2: server.shutdown_deadline: is \"0s\", allowed: 1ms to a year, such as \"10s\"",
        ),
        (
            "[servr]",
            "m.toml:1: servr: unknown field `servr`, expected one of `server`, `auth`, `api`, `sessions`, `store`, `log`, `policy`, `link`, `webhook`, `monitor`, `rule`, `slo`, `maintenance`, `push`, `receiver`, `notify`, `watchdog`, `otlp`, `chittyid`",
        ),
        (
            "[policy.a]\npreset = \"b\"",
            "m.toml:2: policy.a.preset: is \"b\", allowed: default, chittyid_request, chittyid_v2_2, streamotter, axon",
        ),
        (
            "[policy.a.call]\nattempts = 0",
            "m.toml:2: policy.a.call.attempts: is 0, allowed: 1 to 4294967295",
        ),
        (
            "[policy.a.call]\ndeadline = \"5\"",
            "m.toml:2: policy.a.call.deadline: is \"5\", allowed: a number with a unit, such as \"250ms\", \"30s\", \"1m30s\" or \"2h\"",
        ),
        (
            "[[link]]\nname = \"a b\"\nurl = \"tcp://h:1\"",
            "m.toml:2: link.1.name: is \"a b\": a name is allowed 1 to 64 letters, digits, hyphens and underscores",
        ),
        (
            "[[link]]\nname = \"a\"\nurl = \"tcp://h:1\"\n[link.health]\ntimeout = \"9s\"\ninterval = \"5s\"",
            "m.toml:5: link.a.health.timeout: is 9s, allowed: 1ms to 5s",
        ),
        (
            "[[link]]\nname = \"a\"\nurl = \"tcp://h:1\"\n[link.reconnect]\nbase = \"9m\"",
            "m.toml:4: link.a.reconnect.cap: is 60s, allowed: 540s to 31536000s",
        ),
        (
            "[[link]]\nname = \"a\"\nurl = \"tcp://h:1\"\nprobe = \"x\"",
            "m.toml:4: link.a.probe: is \"x\", allowed: connect, held",
        ),
        (
            "[[link]]\nname = \"a\"\nurl = \"tcp://h:1\"\ntoken_env = \"T\"",
            "m.toml:4: link.a.token_env: is for http://, https://, ws://, wss://, grpc:// and grpcs:// links only\nm.toml:4: link.a.token_env: names T, which the environment does not have",
        ),
        (
            "[[link]]\nname = \"a\"\nurl = \"ws://h:1\"",
            "m.toml:3: link.a.url: leads to another machine without protection, allowed: wss://, or ws:// with allow_plain = true",
        ),
        (
            "[[link]]\nname = \"a\"\nurl = \"wss://h\"\nsubprotocols = [\"a b\"]",
            "m.toml:4: link.a.subprotocols: is \"a b\", allowed: a token such as graphql-transport-ws",
        ),
        (
            "[[link]]\nname = \"a\"\nurl = \"wss://h\"\nhealth_path = \"/x\"",
            "m.toml:4: link.a.health_path: is for http:// and https:// links only",
        ),
        (
            "[[link]]\nname = \"a\"\nurl = \"http://h\"\nallow_plain = true",
            "m.toml:4: link.a.allow_plain: is for ws:// and wss:// links only",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(problems(text), message, "{text}");
    }
}

#[test]
fn syntax_errors_have_a_line() {
    let message = problems("[server]\nlisten = \n");
    assert!(message.starts_with("m.toml:2: "), "{message}");
}

#[test]
fn secrets_are_in_no_message_and_in_no_debug_form() {
    let texts = [
        "[server]\ntoken = \"hush\"",
        "[server]\ntoken = 123456",
        "[server]\ntoken = 12.3456",
        "[server]\ntoken = [\"hush\"]",
        "[[link]]\nname = \"a\"\nurl = \"http://me:hush@h/\"",
        "[[link]]\nname = \"a\"\nurl = \"http://h/?key=hush\"",
        "[[link]]\nname = \"a\"\nurl = \"wss://h/?key=hush\"",
        "[[link]]\nname = \"a\"\nurl = \"http://h\"\nmore_urls = [\"http://me:hush@h/\"]",
        "[[link]]\nname = \"a\"\nurl = 123456",
    ];
    for text in texts {
        let problems = load(text).map(|_| ()).unwrap_err();
        for shown in [problems.to_string(), format!("{problems:?}")] {
            assert!(!shown.contains("hush") && !shown.contains("3456"), "{shown}");
        }
    }
    let config = load("[server]\ntoken = \"0123456789-hush-hush\"").unwrap();
    assert!(!format!("{config:?}").contains("hush"));
    assert_eq!(safe_url("http://me:hush@h/p?key=hush#hush"), "http://h/p");
}

#[test]
fn a_token_can_come_from_three_places() {
    let named = "[server]\ntoken_env = \"T\"\ntoken = \"0123456789-in-file\"";
    let (own, other) = ("0123456789-own", "0123456789-other");
    let token = |environment: &[(&str, &str)]| {
        let config = load_with(named, environment)?;
        Ok::<_, Problems>(config.server.token.map(|token| token.expose().to_owned()))
    };
    let (own, other) = (format!("{own}-token"), format!("{other}-token"));
    let found = token(&[("T", &other), ("MAINSTAY_SERVER__TOKEN", &own)]);
    assert_eq!(found, Ok(Some(own)));
    assert_eq!(token(&[("T", &other)]), Ok(Some(other)));
    let missing = token(&[]).unwrap_err().to_string();
    assert_eq!(missing, "m.toml:2: server.token_env: names T, which the environment does not have");
}

#[test]
fn the_environment_wins_over_the_file_and_unknown_variables_are_mistakes() {
    let text = "[server]\nlisten = \"127.0.0.1:1\"";
    let config = load_with(text, &[("MAINSTAY_SERVER__LISTEN", "127.0.0.1:2")]).unwrap();
    assert_eq!(config.server.listen.port(), 2);
    let origin = &config.settings[0].origin;
    assert_eq!(origin.to_string(), "environment MAINSTAY_SERVER__LISTEN");
    let wrong = load_with(text, &[("MAINSTAY_SERVER__LISTN", "x")]).unwrap_err().to_string();
    assert!(wrong.starts_with("environment MAINSTAY_SERVER__LISTN: is no setting"), "{wrong}");
    let wrong = load_with("", &[("MAINSTAY_SERVER__LISTEN", "x")]).unwrap_err().to_string();
    assert!(wrong.starts_with("environment MAINSTAY_SERVER__LISTEN: server.listen: is"), "{wrong}");
}

#[test]
fn a_public_address_without_a_token_is_refused() {
    for listen in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1"] {
        let text = format!("[server]\nlisten = \"{listen}\"");
        assert!(problems(&text).contains("--allow-public-without-auth"));
        assert!(load(&(text + "\ntoken = \"0123456789abcdef\"")).is_ok());
    }
    assert!(load("[server]\nlisten = \"[::1]:1\"").is_ok());
}

#[test]
fn a_policy_is_its_preset_with_what_it_says_put_over_it() {
    let text = "[policy.a]\npreset = \"axon\"\ncall.attempts = 7\n\
                gate.budget = { in_flight = { min = 2 } }\n\
                gate.breaker = true\n\
                [policy.a.call.backoff]\nbase = \"2s\"\njitter = \"none\"";
    let config = load(text).unwrap();
    let (policy, preset) = (config.policies["a"], PolicyConfig::axon());
    assert_eq!((policy.call.attempts, policy.call.backoff.base.as_secs()), (7, 2));
    assert_eq!(policy.call.backoff.cap, preset.call.backoff.cap);
    assert_eq!(policy.gate.breaker, preset.gate.breaker);
    assert!(policy.gate.budget.is_some() && preset.gate.budget.is_none());
    let off = load("[policy.a]\ngate.breaker = false").unwrap();
    assert_eq!(off.policies["a"].gate.breaker, None);
    assert_eq!(config.policy("streamotter"), Some(PolicyConfig::streamotter()));
}

#[test]
fn a_link_is_its_preset_with_what_it_says_put_over_it() {
    let text = "[[link]]\nname = \"a\"\nurl = \"tcp://h:1\"\npreset = \"streamotter\"\n\
                reconnect = { attempts = 9 }\nhealth = { down = 2 }";
    let link = &load(text).unwrap().links[0];
    assert_eq!((link.config.reconnect.attempts, link.config.health.down), (Some(9), 2));
    let preset = mainstay::link::LinkConfig::streamotter();
    assert_eq!(link.config.reconnect.circuit, preset.reconnect.circuit);
    assert_eq!(link.target, Target::Tcp { address: "h:1".into(), probe: Probe::Connect });
}

#[test]
fn a_websocket_has_numbers_of_its_own_unless_it_names_others() {
    let text = "[[link]]\nname = \"a\"\nurl = \"wss://h/feed\"\nsubprotocols = [\"v1\"]\n";
    let link = &load(text).unwrap().links[0];
    assert_eq!(link.config, mainstay::link::LinkConfig::websocket());
    let Target::WebSocket(socket) = &link.target else { panic!("{:?}", link.target) };
    assert_eq!((&*socket.url, &socket.subprotocols[..]), ("wss://h/feed", &["v1".to_owned()][..]));
    assert!(!socket.allow_plain && socket.more_urls.is_empty());
    assert_eq!((&socket.proxy, socket.message_max), (&ProxySpec::Environment, 16 << 20));
    assert_eq!((socket.max_age, socket.data_idle), (None, None));
    let other = load(&(text.to_owned() + "preset = \"streamotter\"")).unwrap();
    assert_eq!(other.links[0].config, mainstay::link::LinkConfig::streamotter());
    assert!(load("[[link]]\nname = \"a\"\nurl = \"ws://h\"\nallow_plain = true").is_ok());
}

mod probes;
mod receivers;
mod sockets;
