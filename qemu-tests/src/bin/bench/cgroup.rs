//! Control groups for machines of namespaces, below that of this process.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;

/// How long processes that are killed may take to be gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// Makes one.
///
/// # Errors
/// No hierarchy of version 2 is mounted, or it is not ours to write.
pub fn make() -> anyhow::Result<PathBuf> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let mounts =
        fs::read_to_string("/proc/self/mounts").context("cannot read /proc/self/mounts")?;
    let hierarchy = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let point = fields.next()?;
        (fields.next() == Some("cgroup2")).then_some(point)
    });
    let hierarchy = hierarchy.context("cgroup2 is mounted nowhere")?;
    let own = fs::read_to_string("/proc/self/cgroup").context("cannot read /proc/self/cgroup")?;
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"));
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = Path::new(hierarchy)
        .join(own.unwrap_or_default())
        .join(format!("cairn-bench-{}-{number}", std::process::id()));
    fs::create_dir(&path).with_context(|| {
        format!(
            "cannot make {}; this section is for the superuser",
            path.display()
        )
    })?;
    Ok(path)
}

/// Removes the group and those below it, whose processes are about to be gone.
pub fn remove(path: &Path) {
    let begin = Instant::now();
    while let Err(error) = remove_folders(path) {
        if begin.elapsed() > PATIENCE {
            return eprintln!("bench: cannot remove {}: {error}", path.display());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn remove_folders(path: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_folders(&entry.path())?;
        }
    }
    fs::remove_dir(path)
}
