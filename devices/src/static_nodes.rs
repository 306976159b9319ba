//! Nodes of drivers that are not loaded: opening one has the kernel load its driver.
//!
//! ```text
//! fuse fuse c10:229      in `modules.devname`: the module, the node below /dev, its kind and numbers
//! ```
//!
//! Source: `depmod(8)`; `request_module` in the kernel's `fs/char_dev.c`.

use std::fs;
use std::io;
use std::path::Path;

use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use crate::path::{is_below, named};
use crate::places::Places;

/// Where the modules of the kernel that runs are, below `/run` and the kernel's release.
const MODULES: &str = "booted-system/kernel-modules/lib/modules";

/// A node to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Node {
    name: String,
    kind: SFlag,
    numbers: (u64, u64),
}

/// Makes those that are not there, for root alone. What cannot be made is given back.
pub fn make(places: &Places) -> Vec<io::Error> {
    let nodes = fs::read_to_string(places.proc.join("sys/kernel/osrelease")).and_then(|release| {
        let path = places
            .run
            .join(MODULES)
            .join(release.trim())
            .join("modules.devname");
        match fs::read_to_string(&path) {
            // A kernel without modules.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            text => Ok(parse(&text.map_err(|error| named(&path, &error))?)),
        }
    });
    match nodes {
        Ok(nodes) => nodes
            .iter()
            .filter_map(|node| node.make(&places.dev).err())
            .collect(),
        Err(error) => vec![error],
    }
}

/// The nodes of a text. Comments, and lines of another form, are none.
fn parse(text: &str) -> Vec<Node> {
    text.lines().filter_map(node).collect()
}

fn node(line: &str) -> Option<Node> {
    let mut words = line.split_ascii_whitespace();
    let (_, name, place) = (words.next()?, words.next()?, words.next()?);
    let kind = match place.get(..1)? {
        "c" => SFlag::S_IFCHR,
        "b" => SFlag::S_IFBLK,
        _ => return None,
    };
    let (major, minor) = place.get(1..)?.split_once(':')?;
    is_below(name).then_some(Node {
        name: name.to_owned(),
        kind,
        numbers: (major.parse().ok()?, minor.parse().ok()?),
    })
}

impl Node {
    fn make(&self, dev: &Path) -> io::Result<()> {
        let path = dev.join(&self.name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| named(folder, &error))?;
        }
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        match mknod(
            &path,
            self.kind,
            mode,
            makedev(self.numbers.0, self.numbers.1),
        ) {
            Ok(()) | Err(nix::errno::Errno::EEXIST) => Ok(()),
            Err(error) => Err(named(&path, &error.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use std::os::unix::fs::MetadataExt;

    /// Needs to be root, as the device manager does.
    #[test]
    fn nodes_are_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places::of(folder.path());
        assert_eq!(make(&places).len(), 1, "without /proc");
        let modules = places.run.join(MODULES).join("6.1.0");
        fs::create_dir_all(places.proc.join("sys/kernel")).unwrap();
        fs::create_dir_all(&places.dev).unwrap();
        fs::write(places.proc.join("sys/kernel/osrelease"), "6.1.0\n").unwrap();
        assert!(make(&places).is_empty());
        fs::create_dir_all(&modules).unwrap();
        let text = "# Device nodes\nfuse fuse c10:229\ntun net/tun c10:200\nbad ../x c1:3\nworse x d1:3\nshort y\n";
        fs::write(modules.join("modules.devname"), text).unwrap();
        assert!(make(&places).is_empty());
        assert!(make(&places).is_empty());
        let node = fs::metadata(places.dev.join("net/tun")).unwrap();
        assert_eq!(
            (node.rdev(), node.mode() & 0o7777),
            (makedev(10, 200), 0o600)
        );
        let names: Vec<String> = parse(text).into_iter().map(|node| node.name).collect();
        expect![[r#"
            [
                "fuse",
                "net/tun",
            ]
        "#]]
        .assert_debug_eq(&names);
    }
}
