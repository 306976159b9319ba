//! The system to memory, so that the medium can be taken away.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use cairn_sys::mount::mount;
use cairn_sys::mount_options::MountOptions;
use cairn_system::live::Extent;

use super::LiveError;
use super::medium::Medium;
use super::say;

/// Bytes that are read at once.
const PART: usize = 1 << 20;
/// Memory that the system needs to start, in MiB.
const RESERVE: u64 = 96;

/// Copies the system to a file in memory below `folder`, and says which part of the file it is.
pub(super) fn to_memory(medium: &Medium, folder: &Path) -> Result<(File, Extent), LiveError> {
    let system = medium.live.system;
    let needed = system.length.div_ceil(1 << 20);
    let path = "/proc/meminfo";
    let memory = fs::read_to_string(path).map_err(|source| LiveError::File {
        path: path.into(),
        source,
    })?;
    if let Some(free) = available(&memory).filter(|free| *free < needed + RESERVE) {
        return Err(LiveError::Memory { needed, free });
    }
    let size = format!("size={}", (needed + 1) << 20);
    let options = MountOptions::parse(&["mode=0700", size.as_str()]);
    mount("tmpfs", folder, "tmpfs", &options).map_err(LiveError::mount)?;
    let path = folder.join("system.squashfs");
    let copying = |source| LiveError::File {
        path: path.clone(),
        source,
    };
    let mut copy = File::create_new(&path).map_err(copying)?;
    say(&format!(
        "copying {needed} MiB from {} to memory",
        medium.name
    ));
    let mut progress = Progress::new("copied", system.length);
    for_each_part(&medium.file, system, |bytes| {
        copy.write_all(bytes)?;
        progress.add(bytes.len());
        Ok(())
    })
    .map_err(|source| LiveError::Read {
        name: medium.name.clone(),
        what: "the system".to_owned(),
        source,
    })?;
    let part = Extent {
        offset: 0,
        length: system.length,
    };
    Ok((File::open(&path).map_err(copying)?, part))
}

/// Calls `each` with the bytes of `extent`, in parts.
pub(super) fn for_each_part(
    file: &File,
    extent: Extent,
    mut each: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let part = |left: u64| usize::try_from(left).map_or(PART, |left| left.min(PART));
    let mut buffer = vec![0; part(extent.length)];
    let mut done = 0;
    while done < extent.length {
        let length = part(extent.length - done);
        let Some(part) = buffer.get_mut(..length) else {
            return Ok(());
        };
        file.read_exact_at(part, extent.offset + done)?;
        each(part)?;
        done += length as u64;
    }
    Ok(())
}

/// MiB of memory that programs can still have.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kibibytes >> 10)
}

/// Tells the console how far it is, each tenth.
pub(super) struct Progress {
    verb: &'static str,
    done: u64,
    total: u64,
    told: u64,
}

impl Progress {
    pub(super) fn new(verb: &'static str, total: u64) -> Self {
        Self {
            verb,
            done: 0,
            total: total.max(1),
            told: 0,
        }
    }

    pub(super) fn add(&mut self, bytes: usize) {
        self.done += bytes as u64;
        let tenths = self.done.saturating_mul(10) / self.total;
        if tenths > self.told {
            self.told = tenths;
            say(&format!("{} {} %", self.verb, tenths * 10));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_free() {
        let text = "MemTotal:        4030000 kB\nMemAvailable:    2097152 kB\n";
        assert_eq!(available(text), Some(2048));
        assert_eq!(available("MemTotal: 1 kB\n"), None);
    }

    #[test]
    fn parts_make_the_whole() {
        let bytes: Vec<u8> = (0..=255).cycle().take(3 * PART + 17).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let extent = Extent {
            offset: 5,
            length: (bytes.len() - 5) as u64,
        };
        let mut read = Vec::new();
        for_each_part(&file, extent, |part| {
            read.extend_from_slice(part);
            Ok(())
        })
        .unwrap();
        assert!(read == bytes[5..]);
        let beyond = Extent {
            length: extent.length + 1,
            ..extent
        };
        assert!(for_each_part(&file, beyond, |_| Ok(())).is_err());
    }
}
