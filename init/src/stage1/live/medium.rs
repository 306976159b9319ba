//! Finding the medium: by its id, in the initrd, among all devices, and in a file if one is named.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cairn_system::live::{DESCRIPTOR, DESCRIPTOR_SIZE, INITRD_MEDIUM, INITRD_SYSTEM, LiveMedium};

use super::carrier::Carrier;
use super::{LiveError, folder};
use crate::stage1::block::Block;
use crate::stage1::command_line::LiveOrders;
use crate::stage1::hardware::{Hardware, Waiting};
use cairn_probe::Source;

/// A medium that is there.
#[derive(Debug)]
pub(super) struct Medium {
    /// What it is called in messages.
    pub name: String,
    /// It, open for reading.
    pub file: File,
    /// What its descriptor says.
    pub live: LiveMedium,
    /// Where the file system is mounted that it is a file of.
    pub carrier: Option<PathBuf>,
    /// Whether it is in memory already.
    pub in_memory: bool,
}

/// Waits for the medium.
pub(super) fn find(
    orders: &LiveOrders,
    hardware: &mut Hardware,
    timeout: Duration,
) -> Result<Medium, LiveError> {
    let of_file = orders.iso.as_ref();
    let file = of_file.map(|file| format!(" in the file {file}"));
    let file = file.unwrap_or_default();
    let what = format!("the live medium {}{file}", orders.medium);
    let waiting = Waiting {
        what: &what,
        purpose: "/",
        timeout,
    };
    let mut others = BTreeSet::new();
    if let Some(medium) = in_initrd(Path::new("/"), orders, &mut others) {
        return Ok(medium);
    }
    let mut search = match of_file {
        Some(path) => Search::File(Carrier::new(path, folder("carrier")?)),
        None => Search::Device,
    };
    let found = hardware.wait_until(&waiting, |blocks, autoload| match &mut search {
        Search::Device => blocks
            .all()
            .find_map(|block| on_device(block, orders, &mut others)),
        Search::File(carrier) => {
            let blocks: Vec<_> = blocks.all().collect();
            carrier.look(&blocks, autoload, orders, &mut others)
        }
    });
    found
        .map_err(LiveError::Events)?
        .map_err(|waited| LiveError::NoMedium {
            medium: orders.medium.clone(),
            file,
            others: told(&others),
            waited,
        })
}

/// Where the medium is looked for.
enum Search {
    /// It is a device.
    Device,
    /// It is a file.
    File(Carrier),
}

/// The medium, if it has come with the initrd, which is at `root`: over the network.
fn in_initrd(root: &Path, orders: &LiveOrders, others: &mut BTreeSet<String>) -> Option<Medium> {
    let path = root.join(INITRD_MEDIUM);
    if !path.exists() {
        return None;
    }
    let open = || {
        let live = LiveMedium::parse(&fs::read_to_string(&path)?).map_err(io::Error::other)?;
        Ok((File::open(root.join(INITRD_SYSTEM))?, Some(live)))
    };
    let medium = matching(open(), "the initrd".to_owned(), orders, others)?;
    Some(Medium {
        in_memory: true,
        ..medium
    })
}

/// The medium, if `block` is it. Every device is looked at that has an ISO 9660 volume.
fn on_device(block: &Block, orders: &LiveOrders, others: &mut BTreeSet<String>) -> Option<Medium> {
    if block.contents.as_ref()?.kind != "iso9660" {
        return None;
    }
    let node = Path::new("/dev").join(&block.name);
    let name = node.display().to_string();
    read(&node, name, orders, others)
}

/// The medium, if the file or device at `path` is it.
pub(super) fn read(
    path: &Path,
    name: String,
    orders: &LiveOrders,
    others: &mut BTreeSet<String>,
) -> Option<Medium> {
    matching(descriptor(path), name, orders, others)
}

/// The medium, if it is what was found.
fn matching(
    found: io::Result<(File, Option<LiveMedium>)>,
    name: String,
    orders: &LiveOrders,
    others: &mut BTreeSet<String>,
) -> Option<Medium> {
    match found {
        Ok((file, Some(live))) if live.id == orders.medium => Some(Medium {
            name,
            file,
            live,
            carrier: None,
            in_memory: false,
        }),
        Ok((_, other)) => {
            let other = other.map_or_else(
                || format!("{name} is no live medium"),
                |other| format!("{name} is the live medium {}", other.id),
            );
            if others.insert(other.clone()) {
                log::info!("{other}");
            }
            None
        }
        Err(error) => {
            if others.insert(format!("{name} cannot be read: {error}")) {
                log::warn!("cannot read {name}: {error}");
            }
            None
        }
    }
}

fn descriptor(path: &Path) -> io::Result<(File, Option<LiveMedium>)> {
    let mut file = File::open(path)?;
    let sector = Source::read_at(&mut file, DESCRIPTOR, DESCRIPTOR_SIZE)?;
    let live = LiveMedium::from_descriptor(&sector).map_err(io::Error::other)?;
    Ok((file, live))
}

/// What else was seen, for the error.
fn told(others: &BTreeSet<String>) -> String {
    if others.is_empty() {
        return String::new();
    }
    let others: Vec<_> = others.iter().map(String::as_str).collect();
    format!(": {}", others.join(", "))
}

/// `path` from the root of the file system that has it.
pub(super) fn relative(path: &str) -> &Path {
    Path::new(path.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_system::live::{APPLICATION_USE, Extent, MediumId};
    use std::io::Write;

    fn live(id: &str) -> LiveMedium {
        LiveMedium {
            id: MediumId::new(id).unwrap(),
            system: Extent {
                offset: 1 << 20,
                length: 4096,
            },
            manifest: Extent {
                offset: 0,
                length: 0,
            },
            manifest_hash: "0".repeat(64),
        }
    }

    fn orders(id: &str) -> LiveOrders {
        LiveOrders {
            medium: MediumId::new(id).unwrap(),
            check: false,
            copy: false,
            iso: None,
            persistence: None,
        }
    }

    fn image(id: &str) -> tempfile::NamedTempFile {
        let live = live(id);
        let start = usize::try_from(DESCRIPTOR).unwrap();
        let mut bytes = vec![0; start + DESCRIPTOR_SIZE];
        bytes[start..start + 6].copy_from_slice(b"\x01CD001");
        let text = live.to_string();
        bytes[start + APPLICATION_USE..][..text.len()].copy_from_slice(text.as_bytes());
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&bytes).unwrap();
        file
    }

    #[test]
    fn the_id_tells_media_apart() {
        let ids =
            ["1", "2"].map(|digit| format!("{}-0000-8000-8000-000000000000", digit.repeat(8)));
        let [one, two] = ids.each_ref().map(|id| image(id));
        let orders = orders(&ids[1]);
        let mut others = BTreeSet::new();
        let mut look = |image: &tempfile::NamedTempFile, name: &str| {
            read(image.path(), name.to_owned(), &orders, &mut others).map(|medium| medium.name)
        };
        assert_eq!(look(&one, "/dev/sda"), None);
        assert_eq!(look(&two, "/dev/sdb"), Some("/dev/sdb".to_owned()));
        let empty = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(look(&empty, "/dev/sr0"), None);
        assert_eq!(
            told(&others),
            ": /dev/sda is the live medium 11111111-0000-8000-8000-000000000000, \
             /dev/sr0 is no live medium"
        );
    }
    #[test]
    fn the_initrd_may_be_the_medium() {
        let id = "11111111-0000-8000-8000-000000000000";
        let root = tempfile::tempdir().unwrap();
        let mut others = BTreeSet::new();
        let mut look = |id: &str| {
            in_initrd(root.path(), &orders(id), &mut others)
                .map(|medium| (medium.name, medium.in_memory, medium.live.system.length))
        };
        assert_eq!(look(id), None);
        fs::create_dir(root.path().join("cairn")).unwrap();
        fs::write(root.path().join(INITRD_MEDIUM), live(id).to_string()).unwrap();
        assert_eq!(look(id), None);
        fs::write(root.path().join(INITRD_SYSTEM), "").unwrap();
        assert_eq!(look(id), Some(("the initrd".to_owned(), true, 4096)));
        assert_eq!(look(&id.replace('1', "2")), None);
        assert_eq!(
            told(&others),
            ": the initrd cannot be read: No such file or directory (os error 2), \
             the initrd is the live medium 11111111-0000-8000-8000-000000000000"
        );
    }
}
