//! Tables and targets.

use std::fmt::Write as _;
use std::process::Command;

use crate::measure::{Figure, Row, measure};
use crate::storm::Storm;

/// A table of figures that are compared with each other.
pub struct Section {
    pub name: &'static str,
    pub note: &'static str,
    pub content: Content,
}

pub enum Content {
    /// Measured when the section's turn comes; ratios are to the first row.
    Rows(Box<dyn FnOnce() -> Vec<Row>>),
    /// Bytes.
    Sizes(Vec<(String, u64)>),
    /// Whatever it is, with a table of its own.
    Measured(Box<dyn FnOnce() -> Measured>),
}

/// What a section that measures by itself says.
pub struct Measured {
    pub text: String,
    pub targets: Vec<Target>,
}

impl Section {
    pub fn new(
        name: &'static str,
        note: &'static str,
        rows: impl FnOnce() -> Vec<Row> + 'static,
    ) -> Self {
        Self { name, note, content: Content::Rows(Box::new(rows)) }
    }

    pub fn measured(
        name: &'static str,
        note: &'static str,
        measure: impl FnOnce() -> Measured + 'static,
    ) -> Self {
        Self { name, note, content: Content::Measured(Box::new(measure)) }
    }
}

#[derive(Default)]
pub struct Report {
    text: String,
    figures: Vec<(&'static str, Figure)>,
    sizes: Vec<(String, u64)>,
    measured: Vec<Target>,
    storm: Option<Storm>,
}

const STORM: &str = "All links of one process lose their server, which comes back after 2 s; both on \
                     loopback, in two processes on the cores of the machine. They share a handshake \
                     limiter with its defaults.";

/// What we hold ourselves to: what it is, and whether it holds.
pub type Target = (String, bool);

impl Report {
    /// Measures a section and answers its table.
    pub fn add(&mut self, section: Section) -> String {
        let mut text = format!("## {}\n\n{}\n\n", section.name, section.note);
        match section.content {
            Content::Rows(rows) => {
                let figures = measure(&rows());
                text += &times(&figures);
                self.figures.extend(figures.into_iter().map(|figure| (section.name, figure)));
            }
            Content::Sizes(sizes) => {
                text += "| what | bytes |\n|---|---|\n";
                for (name, bytes) in &sizes {
                    let _infallible = writeln!(text, "| {name} | {bytes} |");
                }
                self.sizes.extend(sizes);
            }
            Content::Measured(measure) => {
                let measured = measure();
                text += &measured.text;
                self.measured.extend(measured.targets);
            }
        }
        self.text += &text;
        self.text.push('\n');
        text
    }

    /// Takes over what came of a storm and answers its table.
    pub fn storm(&mut self, storm: Storm) -> String {
        let text = format!("## reconnect storm\n\n{STORM}\n\n{}", storm.text());
        self.text += &text;
        self.text.push('\n');
        self.storm = Some(storm);
        text
    }

    fn nanos(&self, section: &str, name: &str) -> Option<f64> {
        self.figure(section, name).map(|figure| figure.nanos)
    }

    fn figure(&self, section: &str, name: &str) -> Option<&Figure> {
        let found = self.figures.iter().find(|(s, figure)| *s == section && figure.name == name);
        found.map(|(_, figure)| figure)
    }

    fn target_list(&self) -> Vec<Target> {
        let mut targets = Vec::new();
        self.breaker_targets(&mut targets);
        self.other_targets(&mut targets);
        self.websocket_targets(&mut targets);
        self.session_targets(&mut targets);
        self.monitor_targets(&mut targets);
        self.id_targets(&mut targets);
        targets.extend(self.measured.iter().cloned());
        targets
    }

    fn session_targets(&self, targets: &mut Vec<Target>) {
        let section = crate::sessions::BEATS;
        let ours = self.nanos(section, crate::sessions::FRAME);
        let peer = self.nanos(section, crate::sessions::PEER);
        if let (Some(ours), Some(peer)) = (ours, peer) {
            let what =
                format!("a frame among a million sessions ≤ 0.5 × DashMap: {:.2}", ours / peer);
            targets.push((what, ours <= 0.5 * peer));
        }
        if let Some((_, bytes)) = self.sizes.iter().find(|(n, _)| n == crate::sessions::COLUMNS) {
            targets.push((format!("a session ≤ 160 B in columns: {bytes}"), *bytes <= 160));
        }
    }

    fn monitor_targets(&self, targets: &mut Vec<Target>) {
        use crate::monitor::{ALERT, CYCLE, JUDGE, SCAN, SUMS, TREND};
        let ours = self.nanos(CYCLE, SUMS);
        if let (Some(ours), Some(scan)) = (ours, self.nanos(CYCLE, SCAN)) {
            let (ratio, ms) = (ours / scan, ours / 1e6);
            let what = format!(
                "a cycle over a million sessions ≤ a pass over them, < 1 ms: {ratio:.2}, {ms:.2} ms"
            );
            targets.push((what, ratio <= 1.0 && ms < 1.0));
        }
        // Seed 004 gives 10 ms and 20 ms.
        for (name, most) in [(ALERT, 10_000.0), (TREND, 20_000.0)] {
            let Some(nanos) = self.nanos(JUDGE, name) else { continue };
            let (us, most_us) = (nanos / 1e3, most / 1e3);
            let what = format!("{name} ≤ {most_us} us, a thousandth of seed 004: {us:.2} us");
            targets.push((what, nanos <= most));
        }
    }

    fn id_targets(&self, targets: &mut Vec<Target>) {
        for (section, ours, peer, most) in crate::ids::pairs() {
            let figures = (self.figure(section, &ours), self.nanos(section, &peer));
            let (Some(ours), Some(peer)) = figures else { continue };
            let ratio = ours.nanos / peer;
            let name = &ours.name;
            let what = format!("{section}: {name} ≤ {most} × regex, 0 allocations: {ratio:.2}");
            targets.push((what, ratio <= most && ours.allocations == 0.0));
        }
    }

    fn websocket_targets(&self, targets: &mut Vec<Target>) {
        let names = ["64 B, window 1", "64 B, window 16", "16 KiB, window 1", "16 KiB, window 16"];
        for name in names {
            let section = format!("websocket echo, {name}");
            let of = |row: &str| {
                let mut found = self.figures.iter().filter(|(s, _)| *s == section);
                found.find(|(_, figure)| figure.name == row).map(|(_, figure)| figure.nanos)
            };
            let (ours, bare) = (of("mainstay link"), of("bare tokio-tungstenite"));
            let (Some(ours), Some(bare)) = (ours, bare) else { continue };
            let small = of("bare tokio-tungstenite, small buffers").unwrap_or(bare);
            let what = format!(
                "{section}: a link takes ≤ 1.10 × the bare library as it comes: {:.2} (with buffers \
                 as small as the link's: {:.2})",
                ours / bare,
                ours / small
            );
            targets.push((what, ours <= 1.10 * bare));
        }
        let allocations = |row: &str| {
            self.figure("websocket echo, 64 B, window 16", row).map(|figure| figure.allocations)
        };
        let bare = allocations("bare tokio-tungstenite, small buffers");
        if let (Some(ours), Some(bare)) = (allocations("mainstay link"), bare) {
            // 256 messages there and back.
            let each = (ours - bare) / 512.0;
            let what = format!("allocations of a link per message beside the payload: {each:.3}");
            targets.push((what, each <= 0.01));
        }
        let idle = "mainstay, an idle websocket link, beside its TCP stream";
        if let Some((_, bytes)) = self.sizes.iter().find(|(name, _)| name == idle) {
            targets.push((format!("an idle link ≤ 6144 B: {bytes}"), *bytes <= 6_144));
        }
        if let Some(storm) = &self.storm {
            let what = format!(
                "{} links are back after a restart, at most {} handshakes a second: {}",
                storm.links, storm.allowed, storm.peak
            );
            targets.push((what, storm.is_calm()));
        }
    }

    fn breaker_targets(&self, targets: &mut Vec<Target>) {
        for section in ["breaker, one thread", "breaker, two threads"] {
            let Some(row) = self.figure(section, "mainstay, failures in a row") else { continue };
            let what = format!("{section}: failures in a row ≤ 2 ns: {:.2}", row.nanos);
            targets.push((what, row.nanos <= 2.0));
            let peer = self.nanos(section, "recloser, 100 calls");
            for size in ["100", "1000"] {
                let ours = self.nanos(section, &format!("mainstay, {size} calls"));
                let (Some(ours), Some(peer)) = (ours, peer) else { continue };
                let most = if section.contains("one") { 0.65 } else { 1.0 };
                let what =
                    format!("{section}: {size} calls ≤ {most} × recloser: {:.3}", ours / peer);
                targets.push((what, ours <= most * peer));
            }
        }
        let section = "rejection";
        let ours = self.nanos(section, "mainstay, clock excluded");
        let admission = self.nanos(section, "mainstay, admission and success of 100 calls");
        if let (Some(ours), Some(admission)) = (ours, admission) {
            let what = format!("rejection {ours:.1} ns ≤ admission and record {admission:.1} ns");
            targets.push((what, ours <= admission));
        }
    }

    fn other_targets(&self, targets: &mut Vec<Target>) {
        for section in ["cost by the size of a count window", "cost by idle time"] {
            let all: Vec<f64> =
                self.figures.iter().filter(|(s, _)| *s == section).map(|(_, f)| f.nanos).collect();
            if let (Some(first), Some(most)) = (all.first(), all.iter().copied().reduce(f64::max)) {
                let what = format!("{section}: largest {:.2} × the first (≤ 1.5)", most / first);
                targets.push((what, most <= 1.5 * first));
            }
        }
        let ours = self.figures.iter().filter(|(_, f)| f.name.starts_with("mainstay"));
        // Calls and sockets have targets of their own.
        let others = |section: &str| {
            ["operation", "websocket", "session"].iter().any(|part| section.contains(part))
        };
        let core = ours.filter(|(section, _)| !others(section));
        let worst = core.map(|(_, figure)| figure.allocations).fold(0.0, f64::max);
        let what = format!("no allocation on admit, record, reject, backoff, budget: {worst}");
        targets.push((what, worst == 0.0));
        self.executor_targets(targets);
        for (name, most) in [
            ("mainstay, 100 calls", 256),
            ("mainstay, 10 time buckets", 400),
            ("mainstay, an active operation", 500),
        ] {
            if let Some((_, bytes)) = self.sizes.iter().find(|(n, _)| n == name) {
                targets.push((format!("{name} ≤ {most} B: {bytes}"), *bytes <= most));
            }
        }
    }

    fn executor_targets(&self, targets: &mut Vec<Target>) {
        let section = "operation, first attempt succeeds";
        let figure = |name| self.figure(section, name);
        if let (Some(ours), Some(peer)) = (figure("mainstay, retry"), figure("tokio-retry2")) {
            let what = format!(
                "bare retry ≤ 2.5 × tokio-retry2: {:.2}, allocations {}",
                ours.nanos / peer.nanos,
                ours.allocations
            );
            let met = ours.nanos <= 2.5 * peer.nanos && ours.allocations == 0.0;
            targets.push((what, met));
        }
        let whole = "mainstay, tracked, deadline, breaker and budget";
        if let (Some(ours), Some(bare)) = (figure(whole), figure("bare call")) {
            let beside = ours.nanos - bare.nanos;
            let what = format!("tracked operation ≤ 300 ns beside the bare call: {beside:.0}");
            targets.push((what, beside <= 300.0));
        }
    }

    pub fn targets(&self) -> String {
        let mut text = String::from("## Targets\n\n");
        for (what, met) in self.target_list() {
            let verdict = if met { "met" } else { "MISSED" };
            let _infallible = writeln!(text, "* {verdict}: {what}");
        }
        text
    }

    pub fn misses_a_target(&self) -> bool {
        self.target_list().iter().any(|(_, met)| !met)
    }

    /// `docs/performance.md`.
    pub fn page(&self) -> String {
        format!(
            "# What it costs\n\n\
             Measured by `cargo xtask bench --write`, which runs ours, the peers and the bounds of \
             the machine in one\nrun, round by round in turn. Figures are medians of eleven rounds, \
             per operation and thread. Compare\nwithin a table: on another machine all figures \
             change, the ratios hardly.\n\n\
             Machine: {}.\n\n{}\n{}",
            machine(),
            self.targets(),
            self.text.trim_end()
        ) + "\n"
    }
}

/// A table of times.
pub fn times(figures: &[Figure]) -> String {
    let first = figures.first().map_or(1.0, |figure| figure.nanos);
    let width = figures.iter().map(|figure| figure.name.chars().count()).max().unwrap_or(0);
    let mut text = format!("| {:width$} | ns | best | × first | allocations |\n", "work");
    let _infallible = writeln!(text, "|{}|---|---|---|---|", "-".repeat(width + 2));
    for figure in figures {
        let Figure { name, nanos, best, allocations } = figure;
        let ratio = nanos / first;
        let _infallible = writeln!(
            text,
            "| {name:width$} | {nanos:.1} | {best:.1} | {ratio:.2} | {allocations} |"
        );
    }
    text
}

fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let output = Command::new("rustc").arg("--version").output();
    let rustc = output.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_string());
    let system = std::env::consts::OS;
    let model = model.unwrap_or("unknown processor");
    format!("{cores} cores of {model}, {system}, {}", rustc.unwrap_or_default())
}
