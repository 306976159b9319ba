//! A TPM for a machine: `swtpm`, which QEMU speaks to.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::process::Process;

const PROGRAM: &str = "swtpm";
/// It listens at once, unless the host is very busy.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Starts a TPM with what it keeps in `state`; it listens in `scratch`, and ends with the machine.
pub(crate) fn start(state: &Path, scratch: &Path, log: &Path) -> anyhow::Result<Process> {
    fs::create_dir_all(state).with_context(|| format!("cannot make {}", state.display()))?;
    let socket = scratch.join(SOCKET);
    let arguments = [
        "socket".to_owned(),
        "--tpm2".to_owned(),
        "--terminate".to_owned(),
        format!("--tpmstate=dir={}", state.display()),
        format!("--ctrl=type=unixio,path={}", socket.display()),
    ];
    let process = Process::start(PROGRAM, arguments.into(), log)?;
    let until = Instant::now() + START_TIMEOUT;
    while !socket.exists() {
        if process.status().is_some() || Instant::now() > until {
            let complaint = fs::read_to_string(log).unwrap_or_default();
            let complaint = complaint.trim();
            bail!("cannot start {PROGRAM}: {complaint}; apt-get install swtpm");
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(process)
}

const SOCKET: &str = "tpm";

/// QEMU's arguments for the TPM that listens in `scratch`.
pub(crate) fn arguments(scratch: &Path) -> Vec<String> {
    let socket = scratch.join(SOCKET);
    let chardev = format!("socket,id=tpm,path={}", socket.display());
    let words = [
        "-chardev",
        &chardev,
        "-tpmdev",
        "emulator,id=tpm0,chardev=tpm",
        "-device",
        "tpm-tis,tpmdev=tpm0",
    ];
    words.map(str::to_owned).into()
}
