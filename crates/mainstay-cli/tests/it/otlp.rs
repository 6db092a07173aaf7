//! A collector of OpenTelemetry, with the program that has the feature and with the one that has not.

#[cfg(not(feature = "otlp"))]
use std::fs;

use crate::program::run_in;

#[cfg(not(feature = "otlp"))]
#[test]
fn without_the_feature_a_collector_is_refused_and_it_is_said_which_program_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[otlp]\nendpoint = \"http://127.0.0.1:4318\"\n";
    fs::write(folder.path().join("mainstay.toml"), text).unwrap();
    for (command, code) in
        [(&["config", "check"][..], 1), (&["serve", "--listen", "127.0.0.1:0"], 2)]
    {
        let ended = run_in(folder.path(), command);
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert_eq!(ended.code, code, "{said}");
        assert!(said.contains("mainstay.toml:2: otlp.endpoint: needs a mainstay"), "{said}");
        assert!(said.contains("--features otlp"), "{said}");
    }
}

#[cfg(feature = "otlp")]
#[test]
fn a_request_is_in_the_log_and_at_the_collector_under_the_trace_of_its_caller() {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use rustix::process::Signal;

    use crate::program::PATIENCE;
    use crate::serve::serve;
    use crate::server::Server;

    const TOKEN: &str = "0123456789abcdef0123";
    let collector = Server::ok();
    let file = format!(
        "[otlp]\nendpoint = \"{}\"\nheaders_env = {{ x-key = \"TOKEN\" }}\nbatch_within = \"1m\"\n\
         [log]\nlevel = \"info,mainstay_server=debug\"\n\
         [store]\nengine = \"memory\"\n",
        collector.url("/otlp/")
    );
    let mut serving = serve(&file);
    let shown = run_in(serving.folder.path(), &["config", "show"]);
    assert!(
        shown.stderr.contains("TOKEN, which the environment does not have"),
        "{}",
        shown.stderr
    );
    // A trace whose id can be read as letters, in a message of bytes too.
    let trace: String = b"mainstay-tracing".iter().map(|byte| format!("{byte:02x}")).collect();
    let mut stream = TcpStream::connect(&serving.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let host = &serving.address;
    write!(
        stream,
        "GET /api/v1/links/none HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         traceparent: 00-{trace}-00f067aa0ba902b7-01\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    let line = serving.program.error_line("answered with a problem");
    assert!(line.contains(&trace), "{line}");
    serving.program.signal(Signal::TERM);
    let ended = serving.program.end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let requests = collector.requests();
    let of = |path: &str| {
        let found = requests.iter().find(|request| request.starts_with(&format!("POST {path} ")));
        found.unwrap_or_else(|| panic!("{path}: {requests:?}"))
    };
    let (traces, metrics) = (of("/otlp/v1/traces"), of("/otlp/v1/metrics"));
    for text in ["mainstay-tracing", "GET /api/v1/links/{name}", "service.name", TOKEN] {
        assert!(traces.contains(text), "{text}: {traces}");
    }
    assert!(metrics.contains("mainstay_build_info") && metrics.contains(TOKEN), "{metrics}");
    assert!(!format!("{}{}", ended.stdout, ended.stderr).contains(TOKEN));
}
