//! Trees of small modules made by the C compiler, whose indices are held against depmod's.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use expect_test::expect;

use super::trie::tests::read;
use super::*;

const RELEASE: &str = "6.1.0-test";

/// Makes a module: its information, what it exports and what it needs.
pub(crate) fn make_module(path: &Path, info: &[&str], exports: &[&str], needs: &[&str]) {
    let mut source = ".section .modinfo,\"a\"\n".to_owned();
    for text in info {
        writeln!(source, ".asciz \"{text}\"").unwrap();
    }
    source.push_str(".section __ksymtab,\"a\"\n");
    for name in exports {
        writeln!(source, "__ksymtab_{name}: .long 0").unwrap();
    }
    source.push_str(".section __ksymtab_strings,\"a\"\n");
    for name in exports {
        writeln!(source, ".asciz \"{name}\"").unwrap();
        writeln!(source, ".globl __crc_{name}\n.set __crc_{name}, 1").unwrap();
    }
    source.push_str(".data\n");
    for name in needs {
        writeln!(source, ".quad {name}").unwrap();
    }
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut child = Command::new("cc")
        .args(["-c", "-x", "assembler", "-", "-o"])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .expect("cc is missing; apt-get install gcc");
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(source.as_bytes()).unwrap();
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

/// A folder `lib/modules/<release>` with a file system, its helpers and a few drivers.
pub(crate) fn make_tree(root: &Path) -> PathBuf {
    let folder = root.join("lib/modules").join(RELEASE);
    let module = |path: &str, info: &[&str], exports: &[&str], needs: &[&str]| {
        make_module(&folder.join(path), info, exports, needs);
    };
    module(
        "kernel/fs/ext4/ext4.ko",
        &[
            "license=GPL",
            "alias=fs-ext4",
            "alias=ext3",
            "softdep=pre: crypto-crc32c",
            "depends=jbd2,mbcache",
        ],
        &[],
        &["jbd2_start", "mb_cache_create", "printk"],
    );
    module(
        "kernel/fs/jbd2/jbd2.ko",
        &[],
        &["jbd2_start"],
        &["mb_cache_create"],
    );
    module(
        "kernel/fs/mbcache.ko",
        &[],
        &["mb_cache_create"],
        &["printk"],
    );
    module(
        "kernel/crypto/crc32c_generic.ko",
        &["alias=crypto-crc32c", "alias=crc32c"],
        &["crc"],
        &[],
    );
    module(
        "kernel/crypto/crc32c-intel.ko",
        &["alias=crypto-crc32c", "alias=cpu:type:x86*feature:*0094*"],
        &[],
        &[],
    );
    module(
        "kernel/net/virtio-net.ko",
        &[
            "alias=virtio:d00000001v*",
            "firmware=virtio/net.bin",
            "firmware=virtio/none.bin",
        ],
        &["vnet_open", "vnet_a", "vnet_b"],
        &["failover"],
    );
    module(
        "kernel/drivers/fuse.ko",
        &[
            "alias=devname:fuse",
            "alias=char-major-10-229",
            "alias=usb:v1234p[0-9a-f-]*",
        ],
        &[],
        &[],
    );
    let order = "kernel/fs/mbcache.ko\nkernel/fs/jbd2/jbd2.ko\nkernel/fs/ext4/ext4.ko\n\
        kernel/crypto/crc32c_generic.ko\nkernel/crypto/crc32c-intel.ko\n\
        kernel/net/virtio-net.ko\nkernel/drivers/fuse.ko\n";
    fs::write(folder.join("modules.order"), order).unwrap();
    let builtin = "kernel/drivers/virtio/virtio.ko\nkernel/net/core/failover.ko\n";
    fs::write(folder.join("modules.builtin"), builtin).unwrap();
    let info = b"virtio.license=GPL\0virtio.file=drivers/virtio/virtio\0\
        virtio.alias=pci:v00001AF4d*\0failover.license=GPL\0failover.file=net/core/failover\0";
    fs::write(folder.join("modules.builtin.modinfo"), info).unwrap();
    folder
}

#[test]
fn text_indices() {
    let root = tempfile::tempdir().unwrap();
    let tree = ModuleTree::scan(&[make_tree(root.path())]).unwrap();
    let mut text = String::new();
    for (name, bytes) in tree.indices().unwrap() {
        if !is_binary(name) {
            let content = String::from_utf8(bytes).unwrap();
            text.extend(["== ", name, "\n", &content]);
        }
    }
    expect![[r#"
        == modules.alias
        # Aliases extracted from modules themselves.
        alias fs-ext4 ext4
        alias ext3 ext4
        alias crypto-crc32c crc32c_generic
        alias crc32c crc32c_generic
        alias crypto-crc32c crc32c_intel
        alias cpu:type:x86*feature:*0094* crc32c_intel
        alias virtio:d00000001v* virtio_net
        alias devname:fuse fuse
        alias char-major-10-229 fuse
        alias usb:v1234p[0-9a-f-]* fuse
        == modules.dep
        kernel/fs/mbcache.ko:
        kernel/fs/jbd2/jbd2.ko: kernel/fs/mbcache.ko
        kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko kernel/fs/mbcache.ko
        kernel/crypto/crc32c_generic.ko:
        kernel/crypto/crc32c-intel.ko:
        kernel/net/virtio-net.ko:
        kernel/drivers/fuse.ko:
        == modules.devname
        # Device nodes to trigger on-demand module loading.
        fuse fuse c10:229
        == modules.softdep
        # Soft dependencies extracted from modules themselves.
        softdep ext4 pre: crypto-crc32c
        == modules.symbols
        # Aliases for symbols, used by symbol_request().
        alias symbol:crc crc32c_generic
        alias symbol:jbd2_start jbd2
        alias symbol:mb_cache_create mbcache
        alias symbol:vnet_a virtio_net
        alias symbol:vnet_b virtio_net
        alias symbol:vnet_open virtio_net
    "#]]
    .assert_eq(&text);
}

/// The same tree by Debian's depmod (package kmod), file by file.
#[test]
fn depmod_writes_the_same() {
    let (own, reference) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let own_folder = make_tree(own.path());
    let reference_folder = make_tree(reference.path());
    ModuleTree::scan(&[&own_folder])
        .unwrap()
        .write_indices(&own_folder)
        .unwrap();
    let status = Command::new("/usr/sbin/depmod")
        .arg("-b")
        .arg(reference.path())
        .arg(RELEASE)
        .status()
        .expect("depmod is missing; apt-get install kmod");
    assert!(status.success());
    let mut compared = 0;
    for entry in fs::read_dir(&reference_folder).unwrap() {
        let name = entry.unwrap().file_name();
        let name = name.to_str().unwrap();
        if !name.starts_with("modules.") {
            continue;
        }
        let found = fs::read(own_folder.join(name)).unwrap();
        let wanted = fs::read(reference_folder.join(name)).unwrap();
        compared += 1;
        if is_binary(name) && name != "modules.dep.bin" {
            assert!(found == wanted, "{name} differs");
        } else if is_binary(name) {
            let sets = |bytes: &[u8]| -> BTreeMap<_, _> {
                let line = |(key, values): (String, Vec<(u32, String)>)| {
                    (
                        key,
                        values
                            .iter()
                            .map(|(_, line)| words(line))
                            .collect::<Vec<_>>(),
                    )
                };
                read(bytes).into_iter().map(line).collect()
            };
            assert_eq!(sets(&found), sets(&wanted), "{name}");
        } else {
            assert_eq!(lines(&found), lines(&wanted), "{name}");
        }
    }
    assert_eq!(compared, 13);
}

fn is_binary(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|end| end == "bin")
}

/// The words of a line, sorted: the order of dependencies may differ where it has no meaning.
fn words(line: &str) -> Vec<String> {
    let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    words.sort();
    words
}

/// The lines, sorted, without comments.
fn lines(bytes: &[u8]) -> Vec<Vec<String>> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines: Vec<Vec<String>> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(words)
        .collect();
    lines.sort();
    lines
}

#[test]
fn modprobe_reads_the_indices() {
    let root = tempfile::tempdir().unwrap();
    let folder = make_tree(root.path());
    ModuleTree::scan(&[&folder])
        .unwrap()
        .write_indices(&folder)
        .unwrap();
    let depends = |name: &str| {
        let output = Command::new("/usr/sbin/modprobe")
            .args(["-S", RELEASE, "--show-depends", "-C", "/dev/null", "-d"])
            .args([root.path(), Path::new(name)])
            .output()
            .expect("modprobe is missing; apt-get install kmod");
        String::from_utf8(output.stdout)
            .unwrap()
            .replace(&format!("{}/", folder.display()), "")
    };
    expect![[r#"
        insmod kernel/fs/mbcache.ko 
        insmod kernel/fs/jbd2/jbd2.ko 
        insmod kernel/crypto/crc32c_generic.ko 
        insmod kernel/crypto/crc32c-intel.ko 
        insmod kernel/fs/ext4/ext4.ko 
    "#]]
    .assert_eq(&depends("fs-ext4"));
    expect![[r#"
        insmod kernel/net/virtio-net.ko 
    "#]]
    .assert_eq(&depends("virtio:d00000001v00001234"));
    expect![[r#"
        builtin virtio
    "#]]
    .assert_eq(&depends("pci:v00001AF4d00001000"));
    expect![[r#"
        insmod kernel/net/virtio-net.ko 
    "#]]
    .assert_eq(&depends("symbol:vnet_a"));
}

fn names(closure: &Closure<'_>) -> String {
    let names: Vec<&str> = closure
        .modules()
        .map(|module| module.name.as_str())
        .collect();
    names.join(" ")
}

#[test]
fn closures() {
    let root = tempfile::tempdir().unwrap();
    let tree = ModuleTree::scan(&[make_tree(root.path())]).unwrap();
    let closure = |wanted: &[&str]| {
        let required: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
        tree.closure(&Wanted::new(&["no_such_thing"], &required))
    };
    for (wanted, expected) in [
        (
            &["ext4"][..],
            "mbcache jbd2 ext4 crc32c_generic crc32c_intel",
        ),
        (
            &["fs-ext4"],
            "mbcache jbd2 ext4 crc32c_generic crc32c_intel",
        ),
        (&["virtio_net"], "virtio_net"),
        (&["virtio:d00000001v00001AF4"], "virtio_net"),
        (&["virtio", "failover", "pci:v00001AF4d00001000"], ""),
        (&[], ""),
    ] {
        assert_eq!(names(&closure(wanted).unwrap()), expected, "{wanted:?}");
    }
    expect!["cannot find kernel module 'virtio-nett' for 6.1.0-test; did you mean 'virtio_net'?"]
        .assert_eq(&closure(&["virtio-nett"]).unwrap_err().to_string());
    expect!["cannot find kernel module 'zfs' for 6.1.0-test"]
        .assert_eq(&closure(&["zfs"]).unwrap_err().to_string());
}

#[test]
fn compressed_modules_are_read() {
    let root = tempfile::tempdir().unwrap();
    let folder = make_tree(root.path());
    let plain = ModuleTree::scan(&[&folder]).unwrap();
    let pack = |name: &str, suffix: &str, bytes: Vec<u8>| {
        fs::remove_file(folder.join(name)).unwrap();
        fs::write(folder.join(format!("{name}{suffix}")), bytes).unwrap();
    };
    let content = |name: &str| fs::read(folder.join(name)).unwrap();
    let name = "kernel/fs/jbd2/jbd2.ko";
    pack(name, ".zst", zstd::encode_all(&*content(name), 3).unwrap());
    let name = "kernel/fs/ext4/ext4.ko";
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(&content(name)).unwrap();
    pack(name, ".xz", xz.finish().unwrap());
    let name = "kernel/fs/mbcache.ko";
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&content(name)).unwrap();
    pack(name, ".gz", gz.finish().unwrap());

    let packed = ModuleTree::scan(&[&folder]).unwrap();
    let wanted = Wanted::new(&[], &["ext4".to_owned()]);
    let packed = packed.closure(&wanted).unwrap();
    let plain = plain.closure(&wanted).unwrap();
    assert_eq!(packed.texts(), plain.texts());
    for module in packed.modules() {
        assert!(module.read().unwrap().starts_with(b"\x7fELF"));
    }
}

#[test]
fn damaged_modules_are_named() {
    let root = tempfile::tempdir().unwrap();
    let folder = make_tree(root.path());
    let path = folder.join("kernel/fs/mbcache.ko");
    let whole = fs::read(&path).unwrap();
    // However short it is, it is an error or a module, never a crash.
    for length in (0..whole.len()).step_by(7) {
        fs::write(&path, &whole[..length]).unwrap();
        if let Err(error) = ModuleTree::scan(&[&folder]) {
            assert!(error.to_string().contains("mbcache.ko"), "{error}");
        }
    }
    fs::remove_file(&path).unwrap();
    fs::write(path.with_extension("ko.xz"), b"no xz").unwrap();
    let error = ModuleTree::scan(&[&folder]).unwrap_err().to_string();
    assert!(error.contains("mbcache.ko.xz"), "{error}");
}

#[test]
fn folders_are_merged_and_the_first_counts() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let base = make_tree(one.path());
    let extra = two.path().join("lib/modules").join(RELEASE);
    make_module(&extra.join("extra/zfs.ko"), &[], &[], &["mb_cache_create"]);
    make_module(&extra.join("updates/jbd2.ko"), &[], &["jbd2_start"], &[]);
    let tree = ModuleTree::scan(&[&extra, &base]).unwrap();
    assert_eq!(tree.get("jbd2").unwrap().path, Path::new("updates/jbd2.ko"));
    let wanted = Wanted::new(&[], &["zfs".to_owned()]);
    assert_eq!(names(&tree.closure(&wanted).unwrap()), "mbcache zfs");
    let other = two.path().join("lib/modules/6.2");
    fs::create_dir_all(&other).unwrap();
    let error = ModuleTree::scan(&[&base, &other]).unwrap_err().to_string();
    assert!(error.contains("of the other folders"), "{error}");
}

/// What a configuration says of modules is as if they said it themselves.
#[test]
fn soft_dependencies_of_a_configuration() {
    let root = tempfile::tempdir().unwrap();
    let mut tree = ModuleTree::scan(&[make_tree(root.path())]).unwrap();
    tree.add_soft_dependency("ext4  pre: fuse post: virtio-net")
        .unwrap();
    // It is there before anything.
    tree.add_soft_dependency("virtio pre: fuse").unwrap();
    let refused = ["ext4 fuse", "ext4", "exd4 pre: fuse"].map(|rule| {
        let error = tree.add_soft_dependency(rule).unwrap_err();
        format!("{error}\n")
    });
    let wanted = Wanted::new(&[], &["ext4".to_owned()]);
    let closure = tree.closure(&wanted).unwrap();
    let names: Vec<&str> = closure.modules().map(|it| it.name.as_str()).collect();
    let soft = closure
        .texts()
        .into_iter()
        .find(|(name, _)| *name == "modules.softdep");
    expect![[r"
        cannot read the soft dependency 'ext4 fuse'; write: softdep MODULE pre: OTHER … post: OTHER …
        cannot read the soft dependency 'ext4'; write: softdep MODULE pre: OTHER … post: OTHER …
        cannot find kernel module 'exd4' for 6.1.0-test; did you mean 'ext4'?
        mbcache jbd2 ext4 crc32c_generic crc32c_intel virtio_net fuse
        # Soft dependencies extracted from modules themselves.
        softdep ext4 pre: crypto-crc32c
        softdep ext4 pre: fuse post: virtio-net
    "]]
    .assert_eq(&format!(
        "{}{}\n{}",
        refused.concat(),
        names.join(" "),
        soft.unwrap().1
    ));
}
