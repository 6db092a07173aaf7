use super::super::{LinkOverrides, LinkView, ReadyState};
use super::*;

#[test]
fn overrides_merge_field_by_field() {
    let house = LinkConfig::streamotter();
    let text = r#"{"reconnect": {"attempts": 3, "base": "500ms", "strategy": "linear",
        "jitter": "none"}, "health": {"interval": "9s"}}"#;
    let overrides: LinkOverrides = serde_json::from_str(text).unwrap();
    let merged = house.merged(&overrides);
    assert_eq!(merged.reconnect.attempts, Some(3));
    assert_eq!(merged.reconnect.backoff.base, Duration::from_millis(500));
    assert_eq!(merged.reconnect.circuit, house.reconnect.circuit);
    assert_eq!(merged.health.timeout, house.health.timeout);
    let lifted: LinkOverrides =
        serde_json::from_str(r#"{"reconnect": {"attempts": null, "circuit": false}}"#).unwrap();
    let merged = house.merged(&lifted);
    assert_eq!((merged.reconnect.attempts, merged.reconnect.circuit), (None, None));
    let again: LinkOverrides =
        serde_json::from_str(&serde_json::to_string(&lifted).unwrap()).unwrap();
    assert_eq!(again, lifted);
    let file: LinkOverrides = toml::from_str("[reconnect]\nattempts = false").unwrap();
    assert_eq!(file.reconnect.attempts, Some(None));
    assert_eq!(toml::from_str::<LinkOverrides>(&toml::to_string(&lifted).unwrap()), Ok(lifted));
    for bad in ["true", "-1", "5000000000", "\"many\""] {
        let text = std::format!("[reconnect]\nattempts = {bad}");
        assert!(toml::from_str::<LinkOverrides>(&text).is_err(), "{bad}");
    }
    assert_eq!(house.merged(&LinkOverrides::default()), house);
}

#[test]
fn a_configuration_is_written_as_people_do_and_refused_by_field() {
    let config: LinkConfig = toml::from_str(
        "stable_after = \"5s\"\n[reconnect]\nattempts = 7\n[reconnect.backoff]\nbase = \"2s\"\n",
    )
    .unwrap();
    assert_eq!(config.stable_after, Duration::from_secs(5));
    assert_eq!(config.reconnect.backoff.base, Duration::from_secs(2));
    let on: LinkConfig = toml::from_str("[reconnect]\ncircuit = true").unwrap();
    assert_eq!(on.reconnect.circuit, Some(CircuitConfig::default()));
    assert!(toml::from_str::<LinkConfig>("dial_timout = \"5s\"").is_err());
    let mut cases = vec![LinkConfig::default(); 4];
    cases[0].dial_timeout = Duration::ZERO;
    cases[1].health.interval = Duration::ZERO;
    cases[2].health.down = 0;
    cases[3].reconnect.backoff.base = Duration::ZERO;
    let fields = ["dial_timeout", "health.interval", "health.down", "reconnect.backoff.base"];
    for (config, field) in cases.iter().zip(fields) {
        assert_eq!(Link::new(config).unwrap_err().field, field);
    }
}

#[test]
fn inputs_and_answers_survive_a_recording() {
    for rig in every_state() {
        for input in every_input(rig.link.generation(), rig.now) {
            let mut copy = rig.link.clone();
            let step = copy.handle(rig.now, input, 5);
            let text = serde_json::to_string(&(input, step, copy.state(), copy.view())).unwrap();
            let back: (Input, Step, State, LinkView) = serde_json::from_str(&text).unwrap();
            assert_eq!(back, (input, step, copy.state(), copy.view()));
        }
    }
}

#[test]
fn states_read_as_the_seeds_spell_them() {
    use ReadyState::{Closed, Closing, Connecting, Open};
    let ready = [Closed, Connecting, Open, Connecting, Closed, Closed, Closing];
    for (name, ready) in StateName::ALL.into_iter().zip(ready) {
        assert_eq!(name.ready(), ready);
        assert_eq!(serde_json::to_value(name).unwrap(), name.as_str());
        assert_eq!(serde_json::to_value(ready).unwrap(), ready.as_str());
        assert_eq!(name.is_healthy(), name == StateName::Connected);
    }
    assert_eq!(Closing as u8, 2);
}
