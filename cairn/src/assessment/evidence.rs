//! What tells why a trial failed: logs of the running system, and what a dead one has left behind.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use cairn_sys::kernel_log::{self, tail};
use cairn_sys::mount::mount;
use cairn_sys::mount_options::MountOptions;
use cairn_system::control::LOG_DIRECTORY;
use cairn_system::{ServiceName, trial};

/// How much of each log goes into a verdict, in bytes.
const KERNEL_BYTES: usize = 24 << 10;
const SERVICE_BYTES: usize = 4 << 10;

/// Where the kernel shows what the firmware has kept over a restart.
const PSTORE: &str = "sys/fs/pstore";

/// A piece of a log under its name.
fn section(name: &str, text: &str) -> String {
    let end = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    format!("==> {name} <==\n{text}{end}")
}

/// The end of the kernel's log, and of the logs of `services`.
#[must_use]
pub fn of_running(root: &Path, services: &[ServiceName]) -> String {
    let kernel = match kernel_log::read() {
        Ok(log) => tail(&log, KERNEL_BYTES).to_owned(),
        Err(error) => format!("cannot read the kernel's log: {error}\n"),
    };
    let mut text = section("kernel", &kernel);
    for service in services {
        let path = root
            .join(LOG_DIRECTORY.trim_start_matches('/'))
            .join(format!("{service}.log"));
        let log = match fs::read(&path) {
            Ok(log) => String::from_utf8_lossy(&log).into_owned(),
            Err(error) => format!("cannot read {}: {error}\n", path.display()),
        };
        text += &section(service.as_str(), tail(&log, SERVICE_BYTES));
    }
    text
}

/// Problems of the boot that are no service's: one in a line.
///
/// # Errors
/// The file is there and cannot be read.
pub fn problems(root: &Path) -> io::Result<Vec<String>> {
    match fs::read(root.join(trial::PROBLEMS.trim_start_matches('/'))) {
        Ok(text) => Ok(String::from_utf8_lossy(&text)
            .lines()
            .map(str::to_owned)
            .collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Why a trial ended, as far as it has said so itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remains {
    /// A line, if it has left one.
    pub reason: Option<String>,
    /// Logs.
    pub log: String,
    /// Files to be removed when this is in the verdict.
    pub files: Vec<PathBuf>,
}

/// What the trial of `entry` has left: the report that init wrote, and the kernel's log that the
/// firmware kept.
#[must_use]
pub fn remains(root: &Path, entry: &str) -> Remains {
    let mut remains = Remains {
        reason: None,
        log: String::new(),
        files: Vec::new(),
    };
    if let Some(name) = trial::report_file(entry) {
        let path = root.join(trial::BOOTS).join(name);
        if let Some(text) = read(&path) {
            let (reason, log) = text.split_once('\n').unwrap_or((&text, ""));
            remains.reason = Some(reason.to_owned());
            remains.log += &section("kernel", tail(log, KERNEL_BYTES));
            remains.files.push(path);
        }
    }
    for path in kept_by_firmware(&root.join(PSTORE)) {
        if let Some(text) = read(&path) {
            if remains.reason.is_none() {
                remains.reason = reason_in(&text);
            }
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            remains.log += &section(&name, tail(&text, KERNEL_BYTES));
        }
        remains.files.push(path);
    }
    remains
}

/// Removes files whose content is in a verdict.
pub fn remove(files: &[PathBuf]) {
    for file in files {
        if let Err(error) = fs::remove_file(file) {
            log::warn!("cannot remove {}: {error}", file.display());
        }
    }
}

fn read(path: &Path) -> Option<String> {
    match fs::read(path) {
        Ok(text) => Some(String::from_utf8_lossy(&text).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            log::warn!("cannot read {}: {error}", path.display());
            None
        }
    }
}

/// Why the machine ended, in a kernel's log: init has said so, or the kernel.
fn reason_in(log: &str) -> Option<String> {
    let words = log.lines().find_map(|line| {
        let (_, words) = line.split_once(trial::LAST_WORDS)?;
        Some(words.to_owned())
    });
    words.or_else(|| {
        let panic = log.lines().find(|line| line.contains("Kernel panic"))?;
        Some(without_stamp(panic).to_owned())
    })
}

/// `<0>[   1.234] text` without what stands before the text.
fn without_stamp(line: &str) -> &str {
    let text = line.split_once('>').map_or(line, |(_, text)| text);
    text.split_once(']').map_or(text, |(_, text)| text).trim()
}

/// Files of the kernel's log from before a restart, in their order.
fn kept_by_firmware(pstore: &Path) -> Vec<PathBuf> {
    let Ok(listing) = fs::read_dir(pstore) else {
        return Vec::new(); // a kernel without it
    };
    let mut files: Vec<_> = listing
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("dmesg-")
        })
        .collect();
    files.sort();
    files
}

/// Makes what the firmware has kept readable, where there is such firmware.
pub fn open_firmware(root: &Path) {
    if !root.join("sys/firmware/efi").exists() {
        return;
    }
    let modprobe = root.join("run/booted-system/modprobe");
    match Command::new(&modprobe).arg("efi_pstore").status() {
        Ok(status) if status.success() => {}
        Ok(status) => log::info!("the module efi_pstore is not loaded: {status}"),
        Err(error) => log::info!("cannot run {}: {error}", modprobe.display()),
    }
    let pstore = root.join(PSTORE);
    let is_mounted = fs::read_to_string(root.join("proc/self/mounts"))
        .is_ok_and(|mounts| mounts.lines().any(|line| line.starts_with("pstore ")));
    let options = MountOptions::parse(&["nosuid", "nodev", "noexec"]);
    if !is_mounted && let Err(error) = mount("pstore", &pstore, "pstore", &options) {
        log::info!("what the firmware has kept is not read: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn a_dead_trial_is_read() {
        let root = tempfile::tempdir().unwrap();
        let boots = root.path().join(trial::BOOTS);
        let pstore = root.path().join(PSTORE);
        for folder in [&boots, &pstore] {
            fs::create_dir_all(folder).unwrap();
        }
        assert_eq!(remains(root.path(), "13").reason, None);
        fs::write(
            pstore.join("dmesg-efi-1"),
            "Panic#1 Part1\n<0>[    2.5] Kernel panic - not syncing: VFS: Unable to mount root\n",
        )
        .unwrap();
        fs::write(pstore.join("console-x"), "").unwrap();
        let found = remains(root.path(), "13");
        expect!["Kernel panic - not syncing: VFS: Unable to mount root"]
            .assert_eq(&found.reason.unwrap());
        fs::write(
            boots.join("13.report"),
            "stage 2: no system.json\n<6>[ 1.0] a\n",
        )
        .unwrap();
        let found = remains(root.path(), "13");
        expect!["stage 2: no system.json"].assert_eq(&found.reason.unwrap());
        expect![[r#"
            ==> kernel <==
            <6>[ 1.0] a
            ==> dmesg-efi-1 <==
            Panic#1 Part1
            <0>[    2.5] Kernel panic - not syncing: VFS: Unable to mount root
        "#]]
        .assert_eq(&found.log);
        assert_eq!(
            found.files,
            [boots.join("13.report"), pstore.join("dmesg-efi-1")]
        );
        assert_eq!(
            remains(root.path(), "../13").reason.as_deref(),
            Some("Kernel panic - not syncing: VFS: Unable to mount root")
        );
    }

    #[test]
    fn init_knows_better_than_the_kernel_why() {
        let log = "<3>[ 5.1] cairn: the trial ends: stage 1: no root\n<0>[ 6.0] Kernel panic - x\n";
        assert_eq!(reason_in(log).as_deref(), Some("stage 1: no root"));
        assert_eq!(reason_in("<6>[ 5.1] all is well\n"), None);
    }

    #[test]
    fn logs_of_services_are_there_as_far_as_they_can_be_read() {
        let root = tempfile::tempdir().unwrap();
        let logs = root.path().join("var/log/cairn");
        fs::create_dir_all(&logs).unwrap();
        fs::write(logs.join("web.log"), "port is taken").unwrap();
        let names = ["web", "db"].map(|name| ServiceName::try_from(name).unwrap());
        let text = of_running(root.path(), &names);
        assert!(
            text.contains("==> web <==\nport is taken\n==> db <==\ncannot read"),
            "{text}"
        );
        assert_eq!(problems(root.path()).unwrap(), [""; 0]);
        fs::create_dir_all(root.path().join("run/cairn")).unwrap();
        fs::write(root.path().join("run/cairn/boot-problems"), "a\nb\n").unwrap();
        assert_eq!(problems(root.path()).unwrap(), ["a", "b"]);
    }
}
