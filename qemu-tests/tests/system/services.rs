//! Services that die.

use anyhow::ensure;
use cairn_qemu_tests::agent::End;
use cairn_qemu_tests::images::{CRASHING, SLEEPER};

use crate::look;

#[test]
fn a_killed_service_is_restarted() -> anyhow::Result<()> {
    look("service restart", |machine| {
        let agent = machine.agent();
        let status = agent.succeed("cairn status")?;
        ensure!(
            status.contains(SLEEPER),
            "{SLEEPER} is not in the status:\n{status}"
        );
        let before = agent.succeed("pgrep -x sleep")?;
        agent.succeed(&format!("kill -9 {before}"))?;
        // The guest waits: a new process with another id.
        let wait = format!(
            "for i in $(seq 200); do new=$(pgrep -x sleep); \
             if [ -n \"$new\" ] && [ \"$new\" != '{before}' ]; then echo $new; exit 0; fi; \
             sleep 0.1; done; exit 1"
        );
        let after = agent.succeed(&wait)?;
        ensure!(before != after, "{SLEEPER} still is {before}");
        Ok(())
    })
}

#[test]
fn a_service_that_exits_for_ever_harms_nobody() -> anyhow::Result<()> {
    look("crash loop", |machine| {
        let agent = machine.agent();
        agent.succeed(&format!("cairn start {CRASHING}"))?;
        let wait = format!(
            "for i in $(seq 100); do \
             if [ $(cairn log {CRASHING} | grep -c 'about to fail') -ge 3 ]; then exit 0; fi; \
             sleep 0.2; done; cairn log {CRASHING}; exit 1"
        );
        agent.succeed(&wait)?;
        // It is told, and its status says so to scripts, whenever it is not just up again; all others are up.
        let status = agent.run(
            "for i in $(seq 100); do cairn status > /run/status; code=$?; \
             if [ $code = 1 ]; then break; fi; sleep 0.1; done; cat /run/status; exit $code",
        )?;
        ensure!(status.end == End::Exited(1), "{status:?}");
        ensure!(status.stdout.contains(", 1 in trouble"), "{status:?}");
        agent.succeed(&format!("cairn stop {CRASHING}"))?;
        Ok(())
    })
}
