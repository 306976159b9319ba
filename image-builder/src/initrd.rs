//! The initrd: stage 1's program, its description, and the modules and firmware that it may need.
//!
//! ```text
//! /init                               the static binary
//! /etc/stage-1.json                   what it mounts
//! /lib/modules/<release>/…/*.ko       unpacked, and indices about these modules alone
//! /lib/firmware/…                     what these modules name and the firmware folder has
//! /bin/<program> -> /nix/store/…      programs, with what of the store they need
//! /etc/<file> -> /nix/store/…         their configuration
//! /dev/console, /dev/null             before devtmpfs is mounted
//! /proc /sys /run /sysroot /tmp       empty
//! ```
//! One zstd frame around one cpio archive, after one that is not compressed if there is new microcode for
//! processors. The same inputs give the same bytes.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use cairn_system::Stage1;
use zstd::stream::raw::CParameter;

use crate::cpio::{CpioError, write_cpio};
use crate::kernel_modules::{Closure, Module, ModuleError, ModuleTree, Wanted};
use crate::manifest::{Content, Manifest, ManifestError, Node};
use crate::microcode::{self, Microcode, MicrocodeError};
use crate::object_tree::ObjectTree;

/// What an initrd is made of.
#[derive(Debug)]
pub struct Initrd<'a> {
    /// The static binary that becomes `/init`.
    pub init: PathBuf,
    /// What stage 1 does.
    pub stage1: Stage1,
    /// The kernel's modules.
    pub modules: &'a ModuleTree,
    /// Modules that are taken, with all that they need; those of [`Initrd::stage1`] are wanted
    /// besides.
    pub wanted: Wanted,
    /// Folders that firmware is looked for in; an earlier one counts. Firmware that is in none is
    /// left out: most modules name more than any machine needs.
    pub firmware: Vec<PathBuf>,
    /// Programs and their configuration.
    pub links: Vec<Link>,
    /// New microcode, which comes first.
    pub microcode: Vec<Microcode>,
}

/// A file of the store in the initrd: a program, or its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its name, without the slash before it: `bin/fsck.ext4`.
    pub path: PathBuf,
    /// The file as the initrd sees it: `/nix/store/…/bin/e2fsck`.
    pub target: PathBuf,
    /// Every file or whole object of the store that it needs, itself included.
    pub closure: Vec<StoreObject>,
}

/// A store object, or a file or link in one, to be copied.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoreObject {
    /// Its name in the system: `/nix/store/…`.
    pub path: PathBuf,
    /// Where it lies on this machine.
    pub source: PathBuf,
}

/// Why an initrd cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum InitrdError {
    /// A module is missing or damaged.
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// Two parts claim one path, or a path is odd.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// There is no microcode.
    #[error(transparent)]
    Microcode(#[from] MicrocodeError),
    /// The archive cannot be written.
    #[error(transparent)]
    Cpio(#[from] CpioError),
    /// An input cannot be read.
    #[error("cannot read '{path}' for the initrd: {source}")]
    Read {
        /// The input.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The initrd cannot be written.
    #[error("cannot write the initrd '{path}': {source}")]
    Write {
        /// The output.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// `stage-1.json` cannot be made.
    #[error("cannot write stage-1.json: {0}")]
    Stage1(serde_json::Error),
    /// A link's target is not in its closure, or a store object is not in the store.
    #[error("cannot place /{link} in the initrd: '{path}' {reason}", link = link.display())]
    Link {
        /// The link.
        link: PathBuf,
        /// The path in question.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// Directories that are there however little the initrd holds.
const DIRECTORIES: &[(&str, u32)] = &[
    ("bin", 0o755),
    ("dev", 0o755),
    ("etc", 0o755),
    ("proc", 0o555),
    ("run", 0o755),
    ("sys", 0o555),
    ("sysroot", 0o755),
    ("tmp", 0o1777),
];

/// Device nodes that a process wants before devtmpfs is mounted: path, mode, major and minor.
const DEVICES: &[(&str, u32, u32, u32)] =
    &[("dev/console", 0o600, 5, 1), ("dev/null", 0o666, 1, 3)];

impl Initrd<'_> {
    /// The tree of the initrd. Contents of large files are read when it is written.
    ///
    /// # Errors
    /// See [`InitrdError`].
    pub fn manifest(&self) -> Result<Manifest, InitrdError> {
        let mut manifest = Manifest::new();
        for (path, mode) in DIRECTORIES {
            manifest.insert(path, Node::directory(*mode))?;
        }
        for (path, mode, major, minor) in DEVICES {
            let (major, minor) = (*major, *minor);
            manifest.insert(path, Node::new(*mode, Content::CharDevice { major, minor }))?;
        }
        manifest.insert("init", file(&self.init, 0o555)?)?;
        let mut stage1 = serde_json::to_vec_pretty(&self.stage1).map_err(InitrdError::Stage1)?;
        stage1.push(b'\n');
        let stage1 = Node::new(0o444, Content::Bytes(stage1));
        manifest.insert("etc/stage-1.json", stage1)?;
        let closure = self.closure()?;
        insert_modules(&closure, &mut manifest)?;
        self.insert_firmware(&closure, &mut manifest)?;
        for link in &self.links {
            insert_link(link, &mut manifest)?;
        }
        Ok(manifest)
    }

    /// The modules that it holds.
    ///
    /// # Errors
    /// A required module is unknown.
    pub fn closure(&self) -> Result<Closure<'_>, ModuleError> {
        let mut wanted = self.wanted.clone();
        wanted
            .required
            .extend(self.stage1.kernel_modules.iter().cloned());
        self.modules.closure(&wanted)
    }

    /// Writes it, compressed at zstd's `level` (1 to 19), to the new file `path`. The file gets
    /// its name when it is finished and synced.
    ///
    /// # Errors
    /// See [`InitrdError`].
    pub fn write(&self, path: &Path, level: i32) -> Result<(), InitrdError> {
        let failed = |source| InitrdError::Write {
            path: path.to_owned(),
            source,
        };
        let manifest = self.manifest()?;
        let folder = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let mut temporary = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        let microcode = microcode::archive(&self.microcode)?;
        temporary.write_all(&microcode).map_err(failed)?;
        compress(&manifest, temporary.as_file_mut(), level, path)?;
        temporary.as_file().sync_all().map_err(failed)?;
        let file = temporary
            .persist(path)
            .map_err(|error| failed(error.error))?;
        let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        file.set_permissions(readable).map_err(failed)?;
        let folder = File::open(folder).map_err(failed)?;
        folder.sync_all().map_err(failed)
    }

    fn insert_firmware(
        &self,
        closure: &Closure<'_>,
        manifest: &mut Manifest,
    ) -> Result<(), InitrdError> {
        let names: BTreeSet<&String> = closure
            .modules()
            .flat_map(|module| &module.firmware)
            .collect();
        for name in names {
            let name = Path::new(name);
            // Debian keeps some of it compressed, which its kernel unpacks.
            let candidates = ["", ".xz", ".zst"].iter().flat_map(|suffix| {
                let mut file_name = name.as_os_str().to_owned();
                file_name.push(suffix);
                self.firmware
                    .iter()
                    .map(move |folder| (PathBuf::from(&file_name), folder.join(&file_name)))
            });
            let found = candidates
                .into_iter()
                .find(|(_, place)| fs::metadata(place).is_ok_and(|data| data.is_file()));
            if let Some((name, place)) = found {
                let path = Path::new("lib/firmware").join(name);
                insert_parents(&path, manifest)?;
                manifest.insert(path, file(&place, 0o444)?)?;
            }
        }
        Ok(())
    }
}

/// How far back what was there before is found, as a power of two: over all programs, which are static and
/// have much in common. The kernel's decoder takes up to 27.
const WINDOW_LOG: u32 = 24;

/// How many bytes that were there before are worth a reference. Instructions are short; only the levels from
/// 16 on look for so few.
const MIN_MATCH: CParameter = CParameter::MinMatch(3);

/// One frame by one thread, without checks of its own: the kernel's decoder wants no more, and
/// the bytes depend on nothing but content and level.
fn compress(
    manifest: &Manifest,
    out: &mut File,
    level: i32,
    path: &Path,
) -> Result<(), InitrdError> {
    let failed = |source| InitrdError::Write {
        path: path.to_owned(),
        source,
    };
    let mut encoder = zstd::Encoder::new(BufWriter::new(out), level).map_err(failed)?;
    encoder.window_log(WINDOW_LOG).map_err(failed)?;
    encoder.set_parameter(MIN_MATCH).map_err(failed)?;
    write_cpio(manifest, &mut encoder)?;
    encoder
        .finish()
        .and_then(|mut writer| writer.flush())
        .map_err(failed)
}

fn insert_modules(closure: &Closure<'_>, manifest: &mut Manifest) -> Result<(), InitrdError> {
    let folder = Path::new("lib/modules").join(closure.tree().release());
    manifest.insert_directories(&folder)?;
    for module in closure.modules() {
        let path = folder.join(module.plain_path());
        insert_parents(&path, manifest)?;
        manifest.insert(path, module_node(module)?)?;
    }
    for (name, text) in closure.texts() {
        let node = Node::new(0o444, Content::Bytes(text.into_bytes()));
        manifest.insert(folder.join(name), node)?;
    }
    Ok(())
}

/// The module's file, unpacked: the initrd is compressed as a whole, and stage 1 stays small.
fn module_node(module: &Module) -> Result<Node, InitrdError> {
    if module.is_compressed() {
        Ok(Node::new(0o444, Content::Bytes(module.read()?)))
    } else {
        file(&module.source, 0o444)
    }
}

fn insert_link(link: &Link, manifest: &mut Manifest) -> Result<(), InitrdError> {
    let refused = |path: &Path, reason| InitrdError::Link {
        link: link.path.clone(),
        path: path.to_owned(),
        reason,
    };
    let is_held = link
        .closure
        .iter()
        .any(|object| link.target.starts_with(&object.path));
    if !is_held {
        return Err(refused(&link.target, "is in no object of its closure"));
    }
    let mut objects = Vec::new();
    for object in &link.closure {
        let place = object
            .path
            .strip_prefix("/")
            .ok()
            .filter(|place| place.starts_with("nix/store"))
            .ok_or_else(|| refused(&object.path, "is not in /nix/store"))?;
        insert_parents(place, manifest)?;
        objects.push(ObjectTree {
            path: place.to_owned(),
            source: object.source.clone(),
            content: None,
        });
    }
    manifest.insert_objects(objects)?;
    insert_parents(&link.path, manifest)?;
    manifest.insert(&link.path, Node::symlink(&link.target))?;
    Ok(())
}

fn insert_parents(path: &Path, manifest: &mut Manifest) -> Result<(), ManifestError> {
    path.parent()
        .map_or(Ok(()), |parent| manifest.insert_directories(parent))
}

fn file(path: &Path, mode: u32) -> Result<Node, InitrdError> {
    let failed = |source| InitrdError::Read {
        path: path.to_owned(),
        source,
    };
    let metadata = fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(failed(io::Error::other("not a regular file")));
    }
    let content = Content::File {
        path: path.to_owned(),
        size: metadata.len(),
    };
    Ok(Node::new(mode, content))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::process::Command;

    use super::*;
    use crate::kernel_modules::tests::make_tree;

    const STAGE1: &str = r#"{ "version": 1, "deviceTimeoutSeconds": 30, "rebootDelaySeconds": 5,
        "kernelModules": ["virtio_net"],
        "fileSystems": [{ "mountPoint": "/", "device": "LABEL=root", "fsType": "ext4" }] }"#;

    fn object(root: &Path, name: &str) -> StoreObject {
        let source = root.join(name);
        fs::create_dir_all(source.join("bin")).unwrap();
        fs::write(source.join("bin/tool"), "tool").unwrap();
        StoreObject {
            path: Path::new("/nix/store").join(name),
            source,
        }
    }

    fn initrd<'a>(root: &Path, modules: &'a ModuleTree) -> Initrd<'a> {
        fs::write(root.join("init"), "static").unwrap();
        fs::create_dir_all(root.join("firmware/virtio")).unwrap();
        fs::write(root.join("firmware/virtio/net.bin"), "fw").unwrap();
        let shared = object(root, "00000000000000000000000000000001-libc");
        let program = |name: &str, directory: &str| Link {
            path: Path::new("bin").join(name),
            target: format!("/nix/store/{directory}/bin/tool").into(),
            closure: vec![object(root, directory), shared.clone()],
        };
        Initrd {
            microcode: Vec::new(),
            init: root.join("init"),
            stage1: Stage1::parse(STAGE1).unwrap(),
            modules,
            wanted: Wanted::new(&["fuse", "missing"], &["ext4".to_owned()]),
            firmware: vec![root.join("firmware")],
            links: vec![
                program("fsck.ext4", "00000000000000000000000000000002-e2fsprogs"),
                program("sh", "00000000000000000000000000000003-bash"),
            ],
        }
    }

    fn listing(manifest: &Manifest) -> String {
        let mut text = String::new();
        for (path, node) in manifest.entries() {
            let kind = match &node.content {
                Content::Directory => "/".to_owned(),
                Content::Symlink(target) => format!(" -> {}", target.display()),
                Content::CharDevice { major, minor } => format!(" c {major}:{minor}"),
                Content::BlockDevice { major, minor } => format!(" b {major}:{minor}"),
                Content::HardLink(target) => format!(" = {}", target.display()),
                Content::Bytes(_) | Content::File { .. } => String::new(),
            };
            writeln!(text, "{:04o} {}{kind}", node.mode, path.display()).unwrap();
        }
        text
    }

    #[test]
    fn everything_has_its_place() {
        let root = tempfile::tempdir().unwrap();
        let tree = ModuleTree::scan(&[make_tree(root.path())]).unwrap();
        let manifest = initrd(root.path(), &tree).manifest().unwrap();
        expect_test::expect![[r#"
            0755 /
            0755 bin/
            0777 bin/fsck.ext4 -> /nix/store/00000000000000000000000000000002-e2fsprogs/bin/tool
            0777 bin/sh -> /nix/store/00000000000000000000000000000003-bash/bin/tool
            0755 dev/
            0600 dev/console c 5:1
            0666 dev/null c 1:3
            0755 etc/
            0444 etc/stage-1.json
            0555 init
            0755 lib/
            0755 lib/firmware/
            0755 lib/firmware/virtio/
            0444 lib/firmware/virtio/net.bin
            0755 lib/modules/
            0755 lib/modules/6.1.0-test/
            0755 lib/modules/6.1.0-test/kernel/
            0755 lib/modules/6.1.0-test/kernel/crypto/
            0444 lib/modules/6.1.0-test/kernel/crypto/crc32c-intel.ko
            0444 lib/modules/6.1.0-test/kernel/crypto/crc32c_generic.ko
            0755 lib/modules/6.1.0-test/kernel/drivers/
            0444 lib/modules/6.1.0-test/kernel/drivers/fuse.ko
            0755 lib/modules/6.1.0-test/kernel/fs/
            0755 lib/modules/6.1.0-test/kernel/fs/ext4/
            0444 lib/modules/6.1.0-test/kernel/fs/ext4/ext4.ko
            0755 lib/modules/6.1.0-test/kernel/fs/jbd2/
            0444 lib/modules/6.1.0-test/kernel/fs/jbd2/jbd2.ko
            0444 lib/modules/6.1.0-test/kernel/fs/mbcache.ko
            0755 lib/modules/6.1.0-test/kernel/net/
            0444 lib/modules/6.1.0-test/kernel/net/virtio-net.ko
            0444 lib/modules/6.1.0-test/modules.alias
            0444 lib/modules/6.1.0-test/modules.builtin
            0444 lib/modules/6.1.0-test/modules.dep
            0444 lib/modules/6.1.0-test/modules.softdep
            0755 nix/
            0755 nix/store/
            0555 nix/store/00000000000000000000000000000001-libc/
            0555 nix/store/00000000000000000000000000000001-libc/bin/
            0444 nix/store/00000000000000000000000000000001-libc/bin/tool
            0555 nix/store/00000000000000000000000000000002-e2fsprogs/
            0555 nix/store/00000000000000000000000000000002-e2fsprogs/bin/
            0444 nix/store/00000000000000000000000000000002-e2fsprogs/bin/tool
            0555 nix/store/00000000000000000000000000000003-bash/
            0555 nix/store/00000000000000000000000000000003-bash/bin/
            0444 nix/store/00000000000000000000000000000003-bash/bin/tool
            0555 proc/
            0755 run/
            0555 sys/
            0755 sysroot/
            1777 tmp/
        "#]]
        .assert_eq(&listing(&manifest));
        let dependencies = manifest.get(Path::new("lib/modules/6.1.0-test/modules.dep"));
        let Content::Bytes(bytes) = &dependencies.unwrap().content else {
            panic!("it is a file");
        };
        expect_test::expect![[r#"
            kernel/fs/mbcache.ko:
            kernel/fs/jbd2/jbd2.ko: kernel/fs/mbcache.ko
            kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko kernel/fs/mbcache.ko
            kernel/crypto/crc32c_generic.ko:
            kernel/crypto/crc32c-intel.ko:
            kernel/net/virtio-net.ko:
            kernel/drivers/fuse.ko:
        "#]]
        .assert_eq(std::str::from_utf8(bytes).unwrap());
        let description = manifest.get(Path::new("etc/stage-1.json")).unwrap();
        let Content::Bytes(bytes) = &description.content else {
            panic!("it is a file");
        };
        let text = std::str::from_utf8(bytes).unwrap();
        assert_eq!(Stage1::parse(text).unwrap(), Stage1::parse(STAGE1).unwrap());
    }

    #[test]
    fn it_is_one_frame_and_always_the_same() {
        let root = tempfile::tempdir().unwrap();
        let tree = ModuleTree::scan(&[make_tree(root.path())]).unwrap();
        let initrd = initrd(root.path(), &tree);
        let paths = [root.path().join("one"), root.path().join("two")];
        for path in &paths {
            initrd.write(path, 3).unwrap();
        }
        let one = fs::read(&paths[0]).unwrap();
        assert_eq!(one, fs::read(&paths[1]).unwrap());
        assert_eq!(
            zstd::zstd_safe::find_frame_compressed_size(&one).unwrap(),
            one.len()
        );
        let cpio = root.path().join("initrd.cpio");
        fs::write(&cpio, zstd::decode_all(&*one).unwrap()).unwrap();
        let output = Command::new("bsdtar")
            .arg("-tf")
            .arg(&cpio)
            .output()
            .expect("bsdtar is missing; apt-get install libarchive-tools");
        assert!(output.status.success());
        let listed = String::from_utf8(output.stdout).unwrap();
        assert!(listed.contains("lib/modules/6.1.0-test/kernel/fs/ext4/ext4.ko\n"));
    }

    #[test]
    fn errors_name_what_is_missing() {
        let root = tempfile::tempdir().unwrap();
        let tree = ModuleTree::scan(&[make_tree(root.path())]).unwrap();
        let mut broken = initrd(root.path(), &tree);
        broken.stage1.kernel_modules = vec!["virtio-blk".to_owned()];
        expect_test::expect![
            "cannot find kernel module 'virtio-blk' for 6.1.0-test; did you mean 'virtio_net'?"
        ]
        .assert_eq(&broken.manifest().unwrap_err().to_string());
        let mut broken = initrd(root.path(), &tree);
        broken.links[0].closure.remove(0);
        expect_test::expect!["cannot place /bin/fsck.ext4 in the initrd: '/nix/store/00000000000000000000000000000002-e2fsprogs/bin/tool' is in no object of its closure"].assert_eq(&broken.manifest().unwrap_err().to_string());
        let mut broken = initrd(root.path(), &tree);
        broken.init = root.path().join("nowhere");
        let error = broken.manifest().unwrap_err().to_string();
        assert!(error.ends_with("for the initrd: No such file or directory (os error 2)"));
    }
}
