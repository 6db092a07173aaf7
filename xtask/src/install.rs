//! What the tests need on the machine besides Rust, and how it gets there.

use std::path::Path;
use std::process::Command;

use crate::step::{run, succeeds};
use crate::{Failure, servers};

/// A program that tests talk to.
struct Tool {
    program: &'static str,
    /// Debian packages that bring it; the first that can be installed wins.
    packages: &'static [&'static str],
    why: &'static str,
}

const TOOLS: &[Tool] = &[
    Tool {
        program: "chromium",
        packages: &["chromium"],
        why: "pages of ours are looked at, and lose their network, in a real browser",
    },
    Tool {
        program: "dnsmasq",
        packages: &["dnsmasq-base"],
        why: "it answers the DNS links of the tests",
    },
    Tool {
        program: "nginx",
        packages: &["nginx-light", "nginx"],
        why: "the HTTP and WebSocket tests talk to a real server",
    },
    Tool { program: "node", packages: &["nodejs"], why: "the WebSocket tests talk to `ws`" },
    Tool { program: "npm", packages: &["npm"], why: "it installs `ws`, and builds the dashboard" },
    Tool {
        program: "prometheus",
        packages: &["prometheus"],
        why: "rules, and what the metrics page says, are judged by the real one",
    },
    Tool { program: "openssl", packages: &["openssl"], why: "it is a peer with a certificate" },
    Tool {
        program: "prometheus-alertmanager",
        packages: &["prometheus-alertmanager"],
        why: "it takes the server's own alerts",
    },
    Tool { program: "promtool", packages: &["prometheus"], why: "it tests rules" },
    Tool {
        program: "python3",
        packages: &["python3"],
        why: "the WebSocket tests talk to `websockets`",
    },
];

/// What makes Python environments; Debian has it apart.
const VENV: Tool = Tool {
    program: "python3-venv",
    packages: &["python3-venv"],
    why: "it makes the environment that `websockets` is installed in",
};

/// Installs what is missing, or says what to install.
pub(crate) fn missing(root: &Path) -> Result<(), Failure> {
    for tool in TOOLS {
        if is_present(tool.program) {
            println!("{} is present", tool.program);
        } else {
            install(root, tool, || is_present(tool.program))?;
        }
    }
    let has_venv = || succeeds("python3", &["-c", "import ensurepip, venv"]);
    if !has_venv() {
        install(root, &VENV, has_venv)?;
    }
    servers::missing(root)
}

fn install(root: &Path, tool: &Tool, is_there: impl Fn() -> bool) -> Result<(), Failure> {
    let advice = format!(
        "`{}` is missing ({}): install the Debian package `{}`, or `{}` from your system's packages",
        tool.program, tool.why, tool.packages[0], tool.program
    );
    if !is_root() || !succeeds("apt-get", &["--version"]) {
        return Err(Failure::Environment(advice));
    }
    // Old package lists name files that are gone; a failed update may still leave usable ones.
    let _updated = run(apt(root).arg("update"));
    for package in tool.packages {
        let arguments = ["install", "-y", "--no-install-recommends", package];
        if run(apt(root).args(arguments)).is_ok() && is_there() {
            return Ok(());
        }
    }
    Err(Failure::Environment(advice))
}

fn apt(root: &Path) -> Command {
    let mut command = Command::new("apt-get");
    command.arg("-q").current_dir(root);
    // Neither questions, nor a server started on a well-known port.
    command.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
    command
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout.trim_ascii() == b"0")
}

/// Whether `program` is on the path, or where Debian puts servers.
fn is_present(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let server_folders = ["/usr/sbin", "/sbin"].map(Into::into);
    std::env::split_paths(&path).chain(server_folders).any(|dir| dir.join(program).is_file())
}
