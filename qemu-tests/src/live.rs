//! What a live system shows, wherever it has come from.

use anyhow::{Context as _, ensure};

use crate::agent::Agent;

/// The system at `toplevel` runs.
///
/// # Errors
/// Another one does, or the agent cannot be reached.
pub fn runs(agent: &Agent, toplevel: &str) -> anyhow::Result<()> {
    agent.ready()?;
    let system = agent.succeed("readlink -f /run/current-system")?;
    ensure!(system.trim() == toplevel, "{system} runs");
    Ok(())
}

/// Its root takes what is written, its store does not, and all of it can be read.
///
/// # Errors
/// It is not so, or the agent cannot be reached.
pub fn check(agent: &Agent) -> anyhow::Result<()> {
    let mounts = agent.succeed("cat /proc/mounts")?;
    let root = mounts
        .lines()
        .find(|line| line.split(' ').nth(1) == Some("/"));
    let root = root.context("no root is mounted")?;
    ensure!(root.starts_with("live-medium / overlay"), "{root}");
    agent.succeed("echo kept > /root/note && grep -q kept /root/note")?;
    let store = agent.run("touch /nix/store/x")?;
    ensure!(!store.success(), "the store is writable");
    agent
        .succeed("cat /nix/store/*/bin/* > /dev/null")
        .map(drop)
}
