//! Services that die.

use anyhow::{Context, ensure};
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

/// What a program writes to `/dev/log`, and what the kernel says, is shown with its level.
#[test]
fn the_system_log_is_heard() -> anyhow::Result<()> {
    look("system log", |machine| {
        let agent = machine.agent();
        agent.succeed(
            "logger -p auth.err -t mine 'by hand' && logger --rfc5424 -p cron.debug -t newer 'structured' && \
             echo '<4>from the kernel' > /dev/kmsg",
        )?;
        let wait = "for i in $(seq 100); do all=$(cairn log syslogd -b --json); \
             case $all in *'from the kernel'*) echo \"$all\"; exit 0;; esac; sleep 0.2; done; echo \"$all\"; exit 1";
        let all = agent.succeed(wait)?;
        for (text, parts) in [
            (
                "by hand",
                &[
                    r#""facility":"auth""#,
                    r#""identifier":"mine""#,
                    r#""level":"err""#,
                ][..],
            ),
            (
                "structured",
                &[
                    r#""facility":"cron""#,
                    r#""identifier":"newer""#,
                    r#""level":"debug""#,
                ],
            ),
            (
                "from the kernel",
                &[r#""identifier":"kernel""#, r#""service":"klogd""#],
            ),
        ] {
            let line = all.lines().find(|line| line.contains(text));
            let line = line.with_context(|| format!("no line has '{text}':\n{all}"))?;
            for part in parts {
                ensure!(line.contains(part), "{part} is not in {line}");
            }
        }
        let serious = agent.succeed("cairn log syslogd -p err")?;
        ensure!(serious.contains("[err] mine["), "{serious}");
        ensure!(!serious.contains("structured"), "{serious}");
        Ok(())
    })
}
