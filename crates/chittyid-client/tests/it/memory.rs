//! How much a thousand mints leave behind.

use std::process::Command;

use crate::world::{World, minted};

const CHILD: &str = "CHITTYID_CLIENT_MEMORY_CHILD";
const NAME: &str = "memory::a_thousand_mints_leave_less_than_ten_megabytes_behind";

/// The resident memory of this process, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse::<usize>().unwrap() * 1024
}

/// Measured in a process of its own: other tests must not be counted. The authority and what it
/// keeps of each id are in it, too.
#[tokio::test]
async fn a_thousand_mints_leave_less_than_ten_megabytes_behind() {
    if std::env::var_os(CHILD).is_some() {
        measure().await;
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", NAME, "--nocapture", "--test-threads=1"]).env(CHILD, "1");
    let output = tokio::task::spawn_blocking(move || child.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("grew by"), "it measured: {said}");
}

async fn measure() {
    let world = World::new().await;
    let client = world.client();
    for _ in 0..50 {
        minted(&client).await;
    }
    let before = resident();
    for _ in 0..1_000 {
        let id = minted(&client).await;
        assert!(client.validate(&id).await.is_valid());
    }
    let grown = resident().saturating_sub(before);
    println!("grew by {grown} bytes");
    assert!(grown < 10 << 20, "it grew by {grown} bytes");
    assert_eq!(client.cache_stats().size, 1_000);
}
