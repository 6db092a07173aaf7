use std::process::Stdio;

use serde_json::Value;

use crate::program::{Program, command, run};

fn hash_of(text: &str) -> (i32, String) {
    let mut hashing = command(&["key", "hash"]);
    hashing.stdin(Stdio::piped());
    let mut program = Program::start(hashing);
    program.write(text);
    program.close_input();
    let ended = program.end();
    (ended.code, ended.stdout)
}

#[test]
fn a_key_is_shown_once_and_its_hash_goes_into_the_configuration() {
    let order = ["key", "new", "--name", "till", "--user", "till-7", "--organisation", "a \"b\""];
    let ended = run(&order);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let (key, lines) = ended.stdout.split_once("\n\n").unwrap();
    assert!(key.starts_with("msk_") && !lines.contains(key), "{}", ended.stdout);
    let (code, hash) = hash_of(&format!("{key}\n"));
    assert_eq!(code, 0);
    let wanted = format!(
        "[[auth.key]]\nname = \"till\"\nhash = \"{}\"\nrole = \"client\"\nuser = \"till-7\"\n\
         organisation = \"a \\\"b\\\"\"\n",
        hash.trim_end()
    );
    assert_eq!(lines, wanted);
    assert!(!ended.stderr.contains(key), "it stands in one place");
    assert_ne!(run(&order).stdout, ended.stdout);
}

#[test]
fn a_program_gets_key_hash_and_lines_apart() {
    let ended = run(&["key", "new", "--name", "ops", "--role", "operator", "--json"]);
    let made: Value = serde_json::from_str(&ended.stdout).unwrap();
    let (_, hash) = hash_of(made["key"].as_str().unwrap());
    assert_eq!(made["hash"], hash.trim_end());
    assert!(made["toml"].as_str().unwrap().contains("role = \"operator\"\n"));
    for wrong in ["", "\n", "one\ntwo\n"] {
        assert_eq!(hash_of(wrong).0, 2, "{wrong:?}");
    }
}
