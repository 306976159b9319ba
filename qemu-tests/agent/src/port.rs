//! Finds the virtio port by its name.
//!
//! Source: Linux `Documentation/ABI/testing/sysfs-class-virtio-ports`: `name` holds what the host
//! called the port; the device node in `/dev` has the folder's name.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// The device node of the port called `name`, looking below `sys` and `dev`; `None` if the host
/// has not made it yet.
pub fn find(sys: &Path, dev: &Path, name: &str) -> anyhow::Result<Option<PathBuf>> {
    let class = sys.join("class/virtio-ports");
    let entries = match fs::read_dir(&class) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries.with_context(|| format!("cannot list {}", class.display()))?,
    };
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list {}", class.display()))?;
        let file = entry.path().join("name");
        match fs::read_to_string(&file) {
            Ok(found) if found.trim_end() == name => {
                return Ok(Some(dev.join(entry.file_name())));
            }
            // Another port, or one that has gone or has no name yet.
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", file.display()));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_found_by_its_name() {
        let root = std::env::temp_dir().join(format!("cairn-agent-port-{}", std::process::id()));
        let dev = Path::new("/dev");
        assert_eq!(find(&root, dev, "a.0").unwrap(), None);
        for (folder, name) in [("vport0p1", "other\n"), ("vport1p2", "a.0\n")] {
            let folder = root.join("class/virtio-ports").join(folder);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("name"), name).unwrap();
        }
        let found = find(&root, dev, "a.0").unwrap();
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(found, Some(PathBuf::from("/dev/vport1p2")));
    }
}
