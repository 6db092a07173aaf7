//! A web server that others wrote, stopped and started under a link.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::program::{PATIENCE, Program, command};

/// The nginx that runs in the foreground, in a folder of its own.
struct Nginx(Child);

impl Nginx {
    fn start(folder: &Path, port: u16) -> Self {
        let config = format!(
            "daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes 1;
             events {{ worker_connections 64; }}
             http {{
               access_log off;
               client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
               fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
               scgi_temp_path {folder}/scgi;
               server {{ listen 127.0.0.1:{port}; location / {{ return 200 'well'; }} }}
             }}",
            folder = folder.display()
        );
        let path = folder.join("nginx.conf");
        fs::write(&path, config).unwrap();
        let search = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/usr/local/sbin";
        let mut nginx = Command::new("nginx");
        nginx.env("PATH", search).arg("-p").arg(folder).arg("-c").arg(&path);
        nginx.arg("-e").arg(folder.join("error.log"));
        let child = nginx.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let nginx = Self(child.expect("nginx starts: install it, Debian's package is nginx-light"));
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "nginx does not listen: see {}", path.display());
            thread::sleep(Duration::from_millis(10));
        }
        nginx
    }

    fn stop(mut self) {
        let id = i32::try_from(self.0.id()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), Signal::TERM).unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if let Some(id) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw)
            && self.0.try_wait().is_ok_and(|ended| ended.is_none())
        {
            kill_process(id, Signal::TERM).expect("it runs");
            drop(self.0.wait());
        }
    }
}

#[test]
fn nginx_is_held_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nginx = Nginx::start(folder.path(), port);
    let url = format!("http://127.0.0.1:{port}/");
    let mut program = Program::start(command(&[
        "hold",
        &url,
        "--json",
        "--interval",
        "200ms",
        "--base",
        "50ms",
        "--cap",
        "200ms",
    ]));
    let is = |name: &'static str| {
        move |line: &str| serde_json::from_str::<Value>(line).unwrap()["event"] == name
    };
    program.line("connected", is("link.connected"));
    nginx.stop();
    program.line("reconnecting", is("link.reconnecting"));
    let _nginx = Nginx::start(folder.path(), port);
    program.line("reconnected", is("link.reconnected"));
    program.signal(Signal::INT);
    let ended = program.end();
    assert_eq!(ended.code, 0);
    let summary: Value = serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap();
    assert!(summary["total_reconnections"].as_u64() >= Some(1), "{summary}");
}
