//! The last words of a trial that ends before user space can judge it: why, in the kernel's log; and
//! both in a file that the fallback finds (`cairn_system::trial::report_file`).

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use cairn_sys::kernel_log;
use cairn_sys::kmsg::{self, Priority};
use cairn_system::trial;

/// How much of the log is kept, in bytes.
const LOG_BYTES: usize = 32 * 1024;

/// Says in the kernel's log why the trial ends. Where no root is there for the report, the firmware may
/// keep that.
pub fn say(reason: &str) {
    let reason = reason.replace('\n', " ");
    kmsg::write(Priority::Error, &format!("{}{reason}", trial::LAST_WORDS));
}

/// Writes the report about `entry` below `root`, to the disk. That it cannot be written is logged:
/// what follows is a restart in any case.
pub fn keep(root: &Path, entry: &str, reason: &str) {
    let log = kernel_log::read().unwrap_or_else(|error| {
        log::warn!("the report has no log: {error}");
        String::new()
    });
    if let Err(error) = write(root, entry, reason, kernel_log::tail(&log, LOG_BYTES)) {
        log::error!("no report is kept: {error}");
    }
}

fn write(root: &Path, entry: &str, reason: &str, log: &str) -> io::Result<()> {
    let name = trial::report_file(entry)
        .ok_or_else(|| io::Error::other(format!("'{entry}' is no boot entry")))?;
    let folder = root.join(trial::BOOTS);
    let at =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", folder.display()));
    fs::create_dir_all(&folder).map_err(at)?;
    let new = folder.join(format!("{name}.new"));
    let mut file = File::create(&new).map_err(at)?;
    let reason = reason.replace('\n', " ");
    file.write_all(format!("{reason}\n{log}").as_bytes())
        .map_err(at)?;
    file.sync_all().map_err(at)?;
    fs::rename(&new, folder.join(name)).map_err(at)?;
    File::open(&folder)
        .and_then(|folder| folder.sync_all())
        .map_err(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_one_line_and_a_log() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "13-debug", "no\nroot", "a\nb\n").unwrap();
        let folder = root.path().join("var/lib/cairn/boots");
        let text = fs::read_to_string(folder.join("13-debug.report")).unwrap();
        assert_eq!(text, "no root\na\nb\n");
        assert_eq!(fs::read_dir(folder).unwrap().count(), 1);
        assert!(write(root.path(), "../x", "", "").is_err());
    }
}
