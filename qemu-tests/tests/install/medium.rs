//! The live medium, and the machine that it installs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context;
use cairn_qemu_tests::agent::Output;
use cairn_qemu_tests::guest;
use cairn_qemu_tests::images::{self, Built};
use cairn_qemu_tests::{Blueprint, Boot, Bus, Disk, Machine, Writes, artefacts};

/// The disk that is installed, in the guest.
pub const TARGET: &str = "/dev/vda";

/// Bytes of it.
const TARGET_BYTES: u64 = 6 << 30;

/// Bytes of the one that nobody is to touch.
const OTHER_BYTES: usize = 16 << 20;

/// An installation by an emulated processor.
pub const PATIENCE: Duration = Duration::from_mins(15);

/// Where the answers are in the guest.
pub const ANSWERS: &str = "/root/answers.toml";

/// What the installed machine has beside the answers: the agent, and no more than that takes.
fn extra(agent: &str) -> String {
    format!(
        r#"system.nixos.label = lib.mkDefault "installed";
boot.kernelModules = [ "virtio_console" ];
system.services.test-agent = {{
  process.argv = [
    "${{pkgs.linkFarm "test-agent" [
      {{
        name = "bin/cairn-test-agent";
        path = builtins.path {{ name = "cairn-test-agent"; path = "{agent}"; }};
      }}
    ]}}/bin/cairn-test-agent"
  ];
  restart.policy = "always";
}};
boot.consoles = [ "tty0" "ttyS0,115200" ];
boot.consoleLogLevel = 6;
boot.kernelParams = [ "no_timer_check" ];
boot.loader.timeout = 1;
boot.initrd.rebootDelaySeconds = 1;
boot.initrd.deviceTimeoutSeconds = 90;
networking.useDHCP = lib.mkForce false;
documentation.enable = false;
environment.defaultPackages = lib.mkForce [ ];
programs.nano.enable = false;
security.sudo.enable = false;
system.archive.enable = false;
"#
    )
}

/// The medium, built once.
pub fn medium() -> anyhow::Result<&'static Built> {
    static BUILT: OnceLock<Result<Built, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    built
        .as_ref()
        .map_err(|error| anyhow::anyhow!("cannot build the medium that installs: {error}"))
}

fn build() -> anyhow::Result<Built> {
    let agent = images::programs().join("cairn-test-agent");
    let agent = agent
        .canonicalize()
        .with_context(|| format!("cannot find {}", agent.display()))?;
    let folder = artefacts::root()?.join("configurations");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let module = folder.join("installed-extra.nix");
    let text = format!(
        "{{ lib, pkgs, ... }}:\n{{\n{}}}\n",
        extra(&agent.display().to_string())
    );
    if fs::read_to_string(&module).ok().as_ref() != Some(&text) {
        fs::write(&module, text).with_context(|| format!("cannot write {}", module.display()))?;
    }
    let file = images::with_agent_and("installer", &[("extra", &module)])?;
    images::build_image("iso", "install", &file, &images::options()?)
}

/// A disk with nothing on it, and one with something: `NAME-target.img`, `NAME-other.img`.
pub fn disks(name: &str) -> anyhow::Result<[PathBuf; 2]> {
    let folder = artefacts::root()?.join("install-disks");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let [target, other] =
        ["target", "other"].map(|which| folder.join(format!("{name}-{which}.img")));
    let made = fs::File::create(&target).and_then(|file| file.set_len(TARGET_BYTES));
    made.with_context(|| format!("cannot create {}", target.display()))?;
    let mut bytes = vec![0; OTHER_BYTES];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    fs::write(&other, bytes).with_context(|| format!("cannot create {}", other.display()))?;
    Ok([target, other])
}

/// A machine with the medium in its drive, these disks, and no network.
pub fn live(name: &str, boot: Boot, disks: &[&Path]) -> anyhow::Result<Blueprint> {
    let medium = Disk {
        image: medium()?.image.clone(),
        writes: Writes::Discarded,
        bus: Bus::Disc,
    };
    let machine = Blueprint::new(name, boot).any_disk(medium);
    Ok(disks
        .iter()
        .fold(machine, |machine, image| {
            machine.any_disk(Disk {
                image: image.to_path_buf(),
                writes: Writes::Copied,
                bus: Bus::VirtioBlk,
            })
        })
        .memory_mib(2048)
        .processors(2)
        .deadline(Duration::from_mins(30)))
}

/// Answers for the guest, with `more` fields; `agent` is the program that talks to these tests.
pub fn answers(machine: &Machine, more: &str) -> anyhow::Result<String> {
    let agent = machine
        .agent()
        .succeed("readlink -f /proc/*/exe | grep -m 1 cairn-test-agent")?;
    Ok(format!(
        "disk = '{TARGET}'\nextra = '''\n{}'''\n{more}",
        extra(agent.trim())
    ))
}

/// Writes answers into the guest.
pub fn give_answers(machine: &Machine, more: &str) -> anyhow::Result<()> {
    let text = answers(machine, more)?;
    guest::write(machine, ANSWERS, text.as_bytes())
}

/// Runs `cairn install` with these arguments; how it ends is the caller's to judge.
pub fn attempt(machine: &Machine, arguments: &str) -> anyhow::Result<Output> {
    let script = format!("cairn install {arguments}");
    machine.agent().run_within(&script, PATIENCE)
}

/// Installs what the answers say, and switches the machine off.
pub fn install(machine: &Machine) -> anyhow::Result<()> {
    install_only(machine)?;
    power_off(machine)
}

/// Installs what the answers say.
pub fn install_only(machine: &Machine) -> anyhow::Result<()> {
    // When each step began is for people.
    let script = format!(
        "{{ cairn install --answers {ANSWERS} --yes; echo \"status $?\"; }} 2>&1 | \
         while read -r line; do read -r up rest < /proc/uptime; echo \"$up $line\"; done"
    );
    let output = machine.agent().run_within(&script, PATIENCE)?;
    eprintln!("{}", output.stdout);
    anyhow::ensure!(output.stdout.ends_with("status 0\n"), "{output:?}");
    nothing_is_left(machine)
}

/// Nothing is mounted or open that the live system itself does not have.
pub fn nothing_is_left(machine: &Machine) -> anyhow::Result<()> {
    let agent = machine.agent();
    let left = agent.succeed("grep -h -e vda -e cairn-install /proc/*/mountinfo || true")?;
    anyhow::ensure!(left.is_empty(), "mounted: {left}");
    let open = agent.run("test -e /dev/mapper/cairn-root")?;
    anyhow::ensure!(!open.success(), "the container is open");
    Ok(())
}

/// Ends the guest in order.
pub fn power_off(machine: &Machine) -> anyhow::Result<()> {
    // The machine may be off before the agent has told how the command ended.
    let answer = machine.agent().run("cairn poweroff");
    machine
        .wait_for_power_off(Duration::from_mins(3))
        .map_err(|error| anyhow::anyhow!("{error:#}; the command was answered with {answer:?}"))
}

/// The disk of a machine that has ended, under a name that the next machine does not remove.
pub fn keep(machine: &Machine, index: usize, as_name: &str) -> anyhow::Result<PathBuf> {
    let disk = machine.disk(index).context("there is no such disk")?;
    let kept = artefacts::root()?
        .join("install-disks")
        .join(format!("{as_name}.img"));
    fs::rename(disk, &kept).with_context(|| format!("cannot create {}", kept.display()))?;
    Ok(kept)
}

/// Whether two files have the same bytes.
pub fn same(one: &Path, other: &Path) -> anyhow::Result<bool> {
    let read =
        |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    Ok(read(one)? == read(other)?)
}
