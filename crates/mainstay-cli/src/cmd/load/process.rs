//! The server's process, where it runs on this machine and its system tells.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long a tick of CPU time is on Linux, whatever the processor.
const TICKS_PER_SEC: f64 = 100.0;

/// A process that is watched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Process {
    pub(super) pid: u32,
}

/// What it uses at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Use {
    /// Memory of its own that is in use, in bytes.
    pub(super) resident: u64,
    /// CPU time so far.
    pub(super) cpu: Duration,
    pub(super) descriptors: u64,
    pub(super) at: Instant,
}

impl Process {
    /// The process that listens there, if it can be seen.
    pub(super) fn listening(address: SocketAddr) -> Option<Self> {
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
        let inodes: Vec<String> = tables
            .iter()
            .filter_map(|table| fs::read_to_string(table).ok())
            .flat_map(|table| listeners(&table, address.port()))
            .map(|inode| format!("socket:[{inode}]"))
            .collect();
        let own = std::process::id();
        let pids = fs::read_dir("/proc").ok()?.filter_map(|entry| {
            entry.ok()?.file_name().to_str()?.parse::<u32>().ok().filter(|pid| *pid != own)
        });
        let mut pids = pids.filter(|pid| !inodes.is_empty() && holds(*pid, &inodes));
        pids.next().map(|pid| Self { pid })
    }

    /// What it uses; none when it is gone or cannot be seen.
    pub(super) fn used(self) -> Option<Use> {
        let folder = format!("/proc/{}", self.pid);
        let status = fs::read_to_string(format!("{folder}/status")).ok()?;
        let stat = fs::read_to_string(format!("{folder}/stat")).ok()?;
        let descriptors = fs::read_dir(format!("{folder}/fd")).map_or(0, Iterator::count);
        Some(Use {
            resident: resident(&status)?,
            cpu: cpu(&stat)?,
            descriptors: descriptors as u64,
            at: Instant::now(),
        })
    }
}

/// The inodes of sockets that listen on a port.
fn listeners(table: &str, port: u16) -> Vec<u64> {
    let rows = table.lines().skip(1).filter_map(|row| {
        let mut columns = row.split_ascii_whitespace();
        let own = columns.nth(1)?.rsplit_once(':')?.1;
        let state = columns.nth(1)?;
        let inode = columns.nth(5)?;
        let fits = u16::from_str_radix(own, 16) == Ok(port) && state == "0A";
        fits.then(|| inode.parse().ok()).flatten()
    });
    rows.collect()
}

fn holds(pid: u32, inodes: &[String]) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let mut targets = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    targets.any(|target| inodes.iter().any(|inode| target.as_os_str() == inode.as_str()))
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib << 10)
}

/// User and system time, from the 14th and 15th field; the second one is a name in brackets that
/// may contain anything.
fn cpu(stat: &str) -> Option<Duration> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    let sum = f64::from(ticks()?) + f64::from(ticks()?);
    Some(Duration::from_secs_f64(sum / TICKS_PER_SEC))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_the_system_are_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   0: 0100007F:1C0C 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0\n   1: 0100007F:1C0C 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0\n";
        assert_eq!(listeners(table, 7180), [4711]);
        assert_eq!(listeners(table, 80), [] as [u64; 0]);
        assert_eq!(resident("Name:\tx\nVmRSS:\t  2048 kB\n"), Some(2 << 20));
        let stat = "12 (a) b) S 1 1 1 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 1 0";
        assert_eq!(cpu(stat), Some(Duration::from_secs(2)));
        assert_eq!((resident(""), cpu("")), (None, None));
    }

    #[test]
    fn this_process_can_be_seen() {
        let used = Process { pid: std::process::id() }.used();
        assert!(used.is_none_or(|used| used.resident > 1 << 20 && used.descriptors > 2));
    }
}
