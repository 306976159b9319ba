//! What the machine does while its disk is recorded.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use cairn_qemu_tests::disk::copy_sparsely;
use cairn_qemu_tests::guest;
use cairn_qemu_tests::power_cut::recording::{Course, Recorder, Recording};
use cairn_qemu_tests::{Boot, Bus, Disk, Machine, Writes};

use crate::arguments::Length;

/// An emulated machine that evaluates and builds several times.
const DEADLINE: Duration = Duration::from_mins(90);

/// For the machine to sync and power off.
const POWER_OFF: Duration = Duration::from_mins(1);

/// A command of the operator, with the configuration that is there before.
struct Act {
    name: &'static str,
    change: Option<&'static str>,
    deed: Deed,
}

/// What is done.
enum Deed {
    /// A command of the operator.
    Command(&'static str),
    /// A switch to a system with [`STUBBORN`], which is gone back from.
    Failure,
    /// A restart: GRUB counts the try, and the generation is found to be good.
    Reboot,
    /// A restart into this generation, once: GRUB takes the order back.
    Once(u64),
    /// A command when `/boot` has no room for another initrd.
    Full(&'static str),
}

/// Waits for the assessment, which removes the trial from the boot state.
const GOOD: &str = "until grep -q '^cairn_good=3$' /boot/grub/grubenv; do sleep 1; done";

/// The new generation has another initrd, so `/boot` gets a file; a user, so the database changes;
/// a service and a file in `/etc`.
const SWITCH: Act = Act {
    name: "cairn switch",
    change: Some(
        r#"{
          system.nixos.label = "second";
          environment.etc."news".text = "second";
          boot.initrd.kernelModules = [ "loop" ];
          users.users.alice = { isNormalUser = true; uid = 1000; };
          system.services.greeter = {
            process.argv = [ "${pkgs.coreutils}/bin/sleep" "infinity" ];
          };
        }"#,
    ),
    deed: Deed::Command("cairn switch"),
};

/// A service that begins, and fails when somebody writes to the pipe. Another initrd, too, which will
/// be in the way.
const STUBBORN: &str = r#"{
  system.nixos.label = "fourth";
  environment.etc."news".text = "fourth";
  boot.initrd.kernelModules = [ "loop" ];
  users.users.carol = { isNormalUser = true; uid = 1002; };
  system.services.stubborn = {
    kind = "oneshot";
    process.argv = [ "${pkgs.coreutils}/bin/dd" "if=/run/pipe" "of=/nonexistent/file" ];
  };
}"#;

const MORE: [Act; 10] = [
    Act {
        name: "cairn rollback",
        change: None,
        deed: Deed::Command("cairn rollback"),
    },
    Act {
        name: "cairn boot",
        change: Some(
            r#"{
              system.nixos.label = "third";
              environment.etc."news".text = "third";
              users.users.bob = { isNormalUser = true; uid = 1001; };
            }"#,
        ),
        deed: Deed::Command("cairn boot"),
    },
    Act {
        name: "reboot, and be good",
        change: None,
        deed: Deed::Reboot,
    },
    Act {
        name: "delete and collect",
        change: None,
        deed: Deed::Command("cairn delete-generations 2 && cairn gc"),
    },
    Act {
        name: "a switch that fails",
        change: Some(STUBBORN),
        deed: Deed::Failure,
    },
    Act {
        name: "cairn test",
        change: Some(
            r#"{
              environment.etc."news".text = "a test";
              users.users.dave = { isNormalUser = true; uid = 1003; };
            }"#,
        ),
        deed: Deed::Command("cairn test"),
    },
    Act {
        name: "--specialisation",
        change: Some(
            r#"{
              system.nixos.label = "fifth";
              environment.etc."news".text = lib.mkDefault "fifth";
              specialisation.special.configuration = {
                environment.etc."news".text = "special";
                boot.kernelParams = [ "special" ];
              };
            }"#,
        ),
        deed: Deed::Command("cairn switch --specialisation special"),
    },
    Act {
        name: "switch, /boot full",
        change: Some(
            r#"{
              system.nixos.label = "sixth";
              environment.etc."news".text = "sixth";
              boot.initrd.kernelModules = [ "dm_mod" ];
            }"#,
        ),
        deed: Deed::Full("cairn switch"),
    },
    Act {
        name: "switch --to 3",
        change: None,
        deed: Deed::Command("cairn switch --to 3"),
    },
    Act {
        name: "reboot --to 1",
        change: None,
        deed: Deed::Once(1),
    },
];

/// Boots the machine of generations, has it do everything, and powers it off.
pub fn record(length: Length, folder: &Path) -> anyhow::Result<Recording> {
    let image = folder.join("image.img");
    keep(&guest::built()?.image, &image)?;
    let machine = guest::blueprint("torture-machine", Boot::Bios)?
        .deadline(DEADLINE)
        .without_disks()
        .any_disk(Disk {
            image: image.clone(),
            writes: Writes::Recorded,
            bus: Bus::VirtioBlk,
        })
        .start()?;
    machine.check("boot", guest::up)?;
    machine.check("its configuration", guest::give_configuration)?;
    let mut recorder = Recorder::new(&machine)?;
    let more: &[Act] = match length {
        Length::Short => &[],
        Length::Long => &MORE,
    };
    for act in [&SWITCH].into_iter().chain(more) {
        if let Some(change) = act.change {
            guest::configure(&machine, change)?;
        }
        if let Deed::Full(_) = act.deed {
            machine.check("fill /boot", fill)?;
        }
        recorder.step(act.name, |course| match act.deed {
            Deed::Command(script) => run(course.machine, script),
            Deed::Failure => fail(course),
            Deed::Reboot => reboot(course.machine),
            Deed::Once(number) => reboot_once(course, number),
            Deed::Full(script) => switch_when_full(course.machine, script),
        })?;
    }
    machine.press_power_button()?;
    machine.wait_for_power_off(POWER_OFF)?;
    recorder.finish(&image, folder)
}

/// Another name for the image: the cache may drop it while it is still needed.
fn keep(built: &Path, image: &Path) -> anyhow::Result<()> {
    if fs::hard_link(built, image).is_ok() {
        return Ok(());
    }
    // The cache is on another file system, or one without hard links.
    copy_sparsely(built, image)
}

/// Until the generation that was on trial is found to be good.
fn reboot(machine: &Machine) -> anyhow::Result<()> {
    let agent = machine.agent();
    let boot = agent.ready()?;
    // It may be gone before it could say that it goes.
    drop(agent.run("cairn reboot"));
    machine.ready_after(&boot)?;
    guest::run(machine, GOOD).map(drop)
}

/// Into another generation, and no further than that: it is not on trial.
fn reboot_once(course: &Course<'_>, number: u64) -> anyhow::Result<()> {
    let agent = course.machine.agent();
    let link = format!("readlink -f /nix/var/nix/profiles/system-{number}-link");
    let toplevel = agent.succeed(&link)?;
    course.boots_once(&toplevel);
    let boot = agent.ready()?;
    drop(agent.run(&format!("cairn reboot --to {number}")));
    course.machine.ready_after(&boot)?;
    let booted = agent.succeed("readlink -f /run/booted-system")?;
    ensure!(
        booted == toplevel,
        "{booted} has booted, and not {toplevel}"
    );
    guest::up(course.machine)
}

/// The system that is tried is there as a whole before its service fails: it waits for us.
fn fail(course: &Course<'_>) -> anyhow::Result<()> {
    let machine = course.machine;
    guest::run(
        machine,
        "mkfifo /run/pipe && {
           (cairn switch > /run/said 2>&1; echo $? > /run/status) > /dev/null 2>&1 < /dev/null &
         }",
    )?;
    guest::run(
        machine,
        "until cat /proc/[0-9]*/comm | grep -qx dd; do
           ! test -s /run/status || { cat /run/said; exit 1; }
           sleep 1
         done",
    )?;
    course.is_between()?;
    guest::run(machine, "echo > /run/pipe")?;
    let said = guest::run(
        machine,
        "until test -s /run/status; do sleep 1; done; cat /run/said /run/status",
    )?;
    ensure!(said.ends_with("\n4\n"), "{said}");
    ensure!(said.contains("going back to"), "{said}");
    Ok(())
}

/// Leaves in `/boot` what an initrd needs, and nothing beside it, when all that is built is built. Nothing
/// is written to the disk for that; 4096 blocks are ext4's own.
fn fill(machine: &Machine) -> anyhow::Result<()> {
    let script = "cairn build --no-link -c /etc/nixos/configuration.nix > /dev/null && sync && \
        initrd=$(stat -L -c %s /run/current-system/initrd) && \
        free=$(($(stat -f -c '(%f - 4096) * %S' /boot))) && \
        fallocate -l $((free - initrd)) /var/filler && sync";
    run(machine, script)
}

/// Another generation leaves the menu, and then its files.
fn switch_when_full(machine: &Machine, script: &str) -> anyhow::Result<()> {
    let said = guest::run(machine, script)?;
    eprint!("{said}");
    ensure!(
        said.contains("old generations leave the boot menu"),
        "there was room: {said}"
    );
    guest::run(machine, "rm /var/filler").map(drop)
}

fn run(machine: &Machine, script: &str) -> anyhow::Result<()> {
    let said = guest::run(machine, script)?;
    eprint!("{said}");
    Ok(())
}
