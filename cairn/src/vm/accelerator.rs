//! Which accelerator QEMU can use here, found out by running a guest for a moment.
//!
//! `/dev/kvm` may exist, open, and then never run the guest (nested virtualisation, para-virtual
//! KVM). So a boot sector is run that writes to QEMU's debug exit port: if the firmware and it do
//! not come to that point in time, guests are emulated. The answer and its reason are always told.

use std::fmt;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::QEMU;

/// With KVM that works, the boot sector runs after some 0.2 s.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);
/// `mov al, 0x10; mov dx, 0xf4; out dx, al; cli; hlt; jmp -1`
const PROBE_CODE: [u8; 10] = [0xb0, 0x10, 0xba, 0xf4, 0x00, 0xee, 0xfa, 0xf4, 0xeb, 0xfd];
/// `isa-debug-exit` ends QEMU with twice the value plus one.
const PROBE_STATUS: i32 = 0x10 * 2 + 1;

/// What runs the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// The processor itself.
    Kvm,
    /// Emulation, some ten times slower.
    Tcg,
}

impl fmt::Display for Accelerator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg (emulation)",
        })
    }
}

impl Accelerator {
    /// QEMU's arguments for it.
    #[must_use]
    pub fn arguments(self) -> [&'static str; 4] {
        match self {
            Self::Kvm => ["-accel", "kvm", "-cpu", "host"],
            // Five-level page tables only make emulated page walks longer.
            Self::Tcg => ["-accel", "tcg,thread=multi", "-cpu", "max,la57=off"],
        }
    }

    /// The best accelerator that works here, and why it is that one. The probe runs once for each
    /// boot of the host; the file `known` remembers what it found.
    ///
    /// # Errors
    /// QEMU is not installed or cannot even emulate, or `known` cannot be written.
    pub fn detect(known: &Path) -> Result<(Self, String)> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .context("cannot read /proc/sys/kernel/random/boot_id")?;
        let key = format!("{} kvm={}", boot.trim(), Path::new("/dev/kvm").exists());
        let text = fs::read_to_string(known).unwrap_or_default();
        if let Some(found) = remembered(&text, &key) {
            return Ok(found);
        }
        let (accelerator, reason) = probe()?;
        let text = format!("{key}\n{}\n{reason}\n", name(accelerator));
        fs::write(known, text).with_context(|| format!("cannot write '{}'", known.display()))?;
        Ok((accelerator, reason))
    }
}

fn name(accelerator: Accelerator) -> &'static str {
    match accelerator {
        Accelerator::Kvm => "kvm",
        Accelerator::Tcg => "tcg",
    }
}

/// Reads what an earlier probe left: the key, the name and the reason, a line each.
fn remembered(text: &str, key: &str) -> Option<(Accelerator, String)> {
    let mut lines = text.lines();
    if lines.next()? != key {
        return None;
    }
    let accelerator = match lines.next()? {
        "kvm" => Accelerator::Kvm,
        "tcg" => Accelerator::Tcg,
        _ => return None,
    };
    Some((accelerator, lines.next()?.to_owned()))
}

fn probe() -> Result<(Accelerator, String)> {
    if !Path::new("/dev/kvm").exists() {
        return Ok((Accelerator::Tcg, "this host has no /dev/kvm".to_owned()));
    }
    let begin = Instant::now();
    match run_guest(Accelerator::Kvm, PROBE_TIMEOUT)? {
        Outcome::Ran => {
            let took = begin.elapsed().as_millis();
            Ok((
                Accelerator::Kvm,
                format!("a guest ran with it in {took} ms"),
            ))
        }
        Outcome::Hung => {
            let waited = PROBE_TIMEOUT.as_secs();
            let reason = format!("/dev/kvm opens, but a guest did nothing with it for {waited} s");
            Ok((Accelerator::Tcg, reason))
        }
        Outcome::Refused(cause) => Ok((
            Accelerator::Tcg,
            format!("QEMU cannot use /dev/kvm: {cause}"),
        )),
    }
}

#[derive(Debug)]
enum Outcome {
    Ran,
    Hung,
    Refused(String),
}

fn run_guest(accelerator: Accelerator, timeout: Duration) -> Result<Outcome> {
    let folder = tempfile::Builder::new()
        .prefix("cairn-probe-")
        .tempdir()
        .context("cannot create a temporary folder")?;
    let sector = folder.path().join("disk");
    write_disk(&sector)?;
    let mut arguments = accelerator.arguments().map(str::to_owned).to_vec();
    let drive = format!(
        "file={},format=raw,if=none,id=probe,readonly=on",
        sector.display()
    );
    arguments.extend(
        [
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-machine",
            "q35",
            "-m",
            "64",
        ]
        .into_iter()
        .chain([
            "-drive",
            drive.as_str(),
            "-device",
            "virtio-blk-pci,drive=probe",
        ])
        .chain(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"])
        .map(str::to_owned),
    );
    // coreutils' timeout ends with 128 + SIGKILL if QEMU did not end by itself.
    let output = Command::new("timeout")
        .arg("--signal=KILL")
        .arg(timeout.as_secs().to_string())
        .arg(QEMU)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .context("cannot run timeout; install it: apt-get install coreutils")?;
    if matches!(
        (output.status.code(), output.status.signal()),
        (Some(137), _) | (_, Some(9))
    ) {
        return Ok(Outcome::Hung);
    }
    judge(output.status, &String::from_utf8_lossy(&output.stderr))
}

fn judge(status: ExitStatus, complaint: &str) -> Result<Outcome> {
    match (status.code(), status.signal()) {
        (Some(PROBE_STATUS), _) => Ok(Outcome::Ran),
        (Some(127 | 126), _) => {
            bail!("cannot run {QEMU}: it is missing; install it: apt-get install qemu-system-x86")
        }
        _ => {
            let last = complaint
                .lines()
                .last()
                .unwrap_or("it said nothing")
                .to_owned();
            Ok(Outcome::Refused(format!("{status}: {last}")))
        }
    }
}

/// SeaBIOS does not come to an end with a virtio disk of a single sector; 1 MiB is enough.
fn write_disk(path: &Path) -> Result<()> {
    let mut disk = boot_sector().to_vec();
    disk.resize(1 << 20, 0);
    fs::write(path, disk).with_context(|| format!("cannot write {}", path.display()))
}

fn boot_sector() -> [u8; 512] {
    let mut sector = [0; 512];
    for (place, byte) in sector.iter_mut().zip(PROBE_CODE) {
        *place = byte;
    }
    if let Some(signature) = sector.last_chunk_mut() {
        *signature = [0x55, 0xaa];
    }
    sector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probe_guest_runs_when_emulated() {
        let outcome = run_guest(Accelerator::Tcg, Duration::from_mins(1)).unwrap();
        assert!(matches!(outcome, Outcome::Ran), "{outcome:?}");
    }

    #[test]
    fn a_refusal_is_told_apart_from_a_missing_program() {
        let refused = judge(ExitStatus::from_raw(1 << 8), "a\nno kvm\n").unwrap();
        assert!(matches!(refused, Outcome::Refused(cause) if cause.ends_with("no kvm")));
        let missing = judge(ExitStatus::from_raw(127 << 8), "")
            .unwrap_err()
            .to_string();
        assert!(missing.contains("apt-get install qemu-system-x86"));
    }

    #[test]
    fn another_boot_of_the_host_is_probed_again() {
        let text = "boot-1 kvm=true\ntcg\nit hangs\n";
        assert_eq!(
            remembered(text, "boot-1 kvm=true"),
            Some((Accelerator::Tcg, "it hangs".to_owned()))
        );
        assert_eq!(remembered(text, "boot-2 kvm=true"), None);
        assert_eq!(
            remembered("boot-1 kvm=true\nxen\n\n", "boot-1 kvm=true"),
            None
        );
        assert_eq!(remembered("", "boot-1 kvm=true"), None);
    }

    #[test]
    fn the_sector_ends_in_the_signature() {
        let sector = boot_sector();
        assert_eq!(sector[..10], PROBE_CODE);
        assert_eq!(sector[510..], [0x55, 0xaa]);
    }
}
