//! Imports of small packages made here: what becomes of their files, and what is refused.

#![cfg(test)]

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cairn_debian::import::{Documentation, Import, ImportError, Input, Limits, Report, import};
use cairn_store_path::StorePath;
use expect_test::{Expect, expect};
use proptest::prelude::*;

/// Entries of a `data.tar`.
struct Data(tar::Builder<Vec<u8>>);

impl Data {
    fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    /// Writes the name into the header as it is: the library refuses hostile ones.
    fn entry(
        mut self,
        kind: tar::EntryType,
        name: &str,
        link: &str,
        mode: u32,
        content: &[u8],
    ) -> Self {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        header.set_username("root").expect("a name");
        header.set_groupname("shadow").expect("a name");
        header.set_cksum();
        self.0.append(&header, content).expect("an entry");
        self
    }

    fn dir(self, name: &str) -> Self {
        self.entry(tar::EntryType::Directory, name, "", 0o755, b"")
    }

    fn file(self, name: &str, content: &str) -> Self {
        self.entry(tar::EntryType::Regular, name, "", 0o644, content.as_bytes())
    }

    fn program(self, name: &str, content: &str) -> Self {
        self.entry(tar::EntryType::Regular, name, "", 0o755, content.as_bytes())
    }

    fn link(self, name: &str, target: &str) -> Self {
        self.entry(tar::EntryType::Symlink, name, target, 0o777, b"")
    }

    fn hard(self, name: &str, target: &str) -> Self {
        self.entry(tar::EntryType::Link, name, target, 0o644, b"")
    }

    fn bytes(self) -> Vec<u8> {
        self.0.into_inner().expect("an archive")
    }
}

fn member(name: &str, content: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
        0,
        0,
        0,
        100_644,
        content.len()
    )
    .into_bytes();
    bytes.extend_from_slice(content);
    if content.len() % 2 == 1 {
        bytes.push(b'\n');
    }
    bytes
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).expect("xz");
    encoder.finish().expect("xz")
}

fn package(name: &str, postinst: &str, data: Data) -> Vec<u8> {
    let control = Data::new()
        .file("./control", &format!("Package: {name}\nVersion: 1\n"))
        .program("./postinst", postinst)
        .bytes();
    let mut deb = b"!<arch>\n".to_vec();
    deb.extend(member("debian-binary", b"2.0\n"));
    deb.extend(member("control.tar", &control));
    deb.extend(member("data.tar.xz", &xz(&data.bytes())));
    deb
}

fn output() -> StorePath {
    StorePath::new([1; 20], "own").expect("a store path")
}

struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a scratch folder"))
    }

    fn import(
        &self,
        packages: &[Vec<u8>],
        inputs: &[Input],
        limits: Limits,
    ) -> Result<Report, ImportError> {
        let debs: Vec<PathBuf> = packages
            .iter()
            .enumerate()
            .map(|(number, bytes)| {
                let path = self.0.path().join(format!("{number}.deb"));
                fs::write(&path, bytes).expect("a package");
                path
            })
            .collect();
        import(&Import {
            debs: &debs,
            output: &output(),
            destination: &self.out(),
            inputs,
            limits,
            documentation: Documentation::Drop,
        })
    }

    fn out(&self) -> PathBuf {
        self.0.path().join("out")
    }

    /// Every path below the destination with its kind, mode and target or content.
    fn listing(&self) -> String {
        let mut lines = Vec::new();
        list(&self.out(), "", &mut lines);
        lines.sort();
        lines.join("\n") + "\n"
    }

    fn message(&self, error: &ImportError) -> String {
        error
            .to_string()
            .replace(&self.0.path().display().to_string(), "")
    }
}

fn list(folder: &Path, above: &str, lines: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = format!("{above}{}", entry.file_name().to_string_lossy());
        let meta = entry.path().symlink_metadata().expect("metadata");
        if meta.is_symlink() {
            let target = fs::read_link(entry.path()).expect("a link");
            lines.push(format!("{name} -> {}", target.display()));
        } else if meta.is_dir() {
            lines.push(format!("{name}/"));
            list(&entry.path(), &format!("{name}/"), lines);
        } else if name != "nix-support/import-report.json" {
            let text = fs::read_to_string(entry.path()).expect("a file");
            lines.push(format!(
                "{name} {:o} {text:?}",
                meta.permissions().mode() & 0o7777
            ));
        }
    }
}

fn check(packages: &[Vec<u8>], expected: &Expect) {
    let scratch = Scratch::new();
    let text = match scratch.import(packages, &[], Limits::default()) {
        Ok(report) => scratch.listing() + &report.to_string(),
        Err(error) => {
            assert!(!scratch.out().exists(), "a failed import leaves nothing");
            scratch.message(&error) + "\n"
        }
    };
    expected.assert_eq(&text);
}

#[test]
fn paths_are_flattened_and_links_fit() {
    let first = Data::new()
        .dir("./")
        .dir("./bin/")
        .dir("./usr/")
        .dir("./var/lib/x/")
        .program("./bin/dash", "#!/bin/sh -e\n/usr/bin/x\n")
        .entry(tar::EntryType::Regular, "./usr/bin/chage", "", 0o4755, b"x")
        .program("./usr/sbin/adduser", "a")
        .link("./sbin/tool", "/bin/tool")
        .program("./bin/tool", "t")
        .link("./lib64/ld.so", "/lib/x/ld.so")
        .file("./usr/lib/x/ld.so", "l")
        .hard("./usr/lib/x/second", "./usr/lib/x/ld.so")
        .file("./usr/share/doc/own/copyright", "c")
        .link("./usr/share/own/README", "../doc/own/README")
        .link("./etc/mtab", "/proc/self/mounts")
        .link("./usr/lib/gone", "/usr/lib/nowhere")
        .link("./usr/bin/pager", "/etc/alternatives/pager")
        .program("./usr/bin/script", "#!/usr/bin/python3\n")
        .file("./usr/lib/pkgconfig/own.pc", "prefix=/usr\n");
    let script = "update-alternatives --install /usr/bin/pager pager /bin/tool 5 \\\n --slave /usr/bin/page page /bin/dash\n";
    check(
        &[package("own", script, first)],
        &expect![[r##"
        bin/
        bin/adduser 755 "a"
        bin/chage 755 "x"
        bin/dash 755 "#!/nix/store/040h2081040h2081040h2081040h2081-own/bin/sh -e\n/usr/bin/x\n"
        bin/page -> dash
        bin/pager -> tool
        bin/script 755 "#!/usr/bin/python3\n"
        bin/sh -> dash
        bin/tool 755 "t"
        etc/
        etc/mtab -> /proc/self/mounts
        lib/
        lib/pkgconfig/
        lib/pkgconfig/own.pc 644 "prefix=/nix/store/040h2081040h2081040h2081040h2081-own\n"
        lib/x/
        lib/x/ld.so 644 "l"
        lib/x/second 644 "l"
        lib64/
        lib64/ld.so -> ../lib/x/ld.so
        nix-support/
        sbin -> bin
        share/
        share/own/
        own: 7 files, 59 bytes; 0 ELF files and 1 scripts relocated
          lib/gone -> /usr/lib/nowhere: dangling link left out
          bin/script: interpreter '/usr/bin/python3' not found
          bin/chage: mode 4755 root:shadow needs a wrapper
    "##]],
    );
}

#[test]
fn merged_usr_links_vanish() {
    let data = Data::new()
        .link("./bin", "usr/bin")
        .link("./lib", "usr/lib")
        .program("./usr/bin/a", "a")
        .file("./usr/lib/b", "b");
    check(
        &[package("base", "", data)],
        &expect![[r#"
        bin/
        bin/a 755 "a"
        lib/
        lib/b 644 "b"
        nix-support/
        base: 2 files, 2 bytes; 0 ELF files and 0 scripts relocated
    "#]],
    );
}

#[test]
fn sbin_stays_where_names_clash() {
    let data = Data::new()
        .program("./usr/bin/a", "1")
        .program("./usr/sbin/a", "2");
    check(
        &[package("p", "", data)],
        &expect![[r#"
        bin/
        bin/a 755 "1"
        nix-support/
        sbin/
        sbin/a 755 "2"
        p: 2 files, 2 bytes; 0 ELF files and 0 scripts relocated
    "#]],
    );
}

#[test]
fn two_packages_may_share_a_file_but_not_disagree() {
    let with = |text: &str| package("p", "", Data::new().file("./usr/share/x", text));
    check(
        &[with("same"), with("same")],
        &expect![[r#"
        nix-support/
        share/
        share/x 644 "same"
        p p: 1 files, 4 bytes; 0 ELF files and 0 scripts relocated
    "#]],
    );
    check(
        &[with("one"), with("other")],
        &expect![[r#"
        cannot merge /0.deb and /1.deb: both have 'share/x', with different content
    "#]],
    );
}

#[test]
fn links_to_inputs_get_their_store_path() {
    let scratch = Scratch::new();
    let real = scratch.0.path().join("input");
    let other = scratch.0.path().join("other");
    fs::create_dir_all(real.join("lib")).expect("a folder");
    fs::create_dir_all(other.join("bin")).expect("a folder");
    fs::write(other.join("bin/dash"), "").expect("a file");
    std::os::unix::fs::symlink("dash", other.join("bin/sh")).expect("a link");
    let logical = |digit, name| StorePath::new([digit; 20], name).expect("a store path");
    let target = format!("{}/bin", logical(3, "other"));
    std::os::unix::fs::symlink(target, real.join("bin")).expect("a link");
    fs::write(real.join("lib/libz.so.1"), "").expect("a file");
    let inputs = [
        Input {
            logical: logical(2, "input"),
            real,
        },
        Input {
            logical: logical(3, "other"),
            real: other,
        },
    ];
    let data = Data::new()
        .link("./usr/lib/libz.so", "libz.so.1")
        .program("./usr/bin/s", "#!/bin/sh\necho\n")
        .link("./usr/lib/up", "../../../../x");
    let refused = scratch.import(&[package("p", "", data)], &inputs, Limits::default());
    assert!(
        matches!(refused, Err(ImportError::Hostile { .. })),
        "{refused:?}"
    );
    let data = Data::new()
        .link("./usr/lib/libz.so", "libz.so.1")
        .program("./usr/bin/s", "#!/bin/sh\necho\n");
    scratch
        .import(&[package("p", "", data)], &inputs, Limits::default())
        .expect("an import");
    expect![[r##"
        bin/
        bin/s 755 "#!/nix/store/081040h2081040h2081040h2081040h2-input/bin/sh\necho\n"
        lib/
        lib/libz.so -> /nix/store/081040h2081040h2081040h2081040h2-input/lib/libz.so.1
        nix-support/
    "##]]
    .assert_eq(&scratch.listing());
}

#[test]
fn hostile_entries_are_refused() {
    use tar::EntryType;
    let long = "n".repeat(99);
    for (data, expected) in [
        (
            Data::new().file("./../../etc/passwd", "x"),
            "has '..' in its name",
        ),
        (Data::new().file("usr/../../x", "x"), "has '..' in its name"),
        (
            Data::new().file("./a\nb", "x"),
            "has a NUL byte or a line break in its name",
        ),
        (
            Data::new()
                .link("./usr/x", "/etc")
                .file("./usr/x/passwd", "x"),
            "would be written through a symbolic link",
        ),
        (
            Data::new().link("./x", "/tmp").file("./usr/x/f", "x"),
            "would be written through a symbolic link",
        ),
        (
            Data::new()
                .link("./usr/bin/x", "/etc/passwd")
                .file("./usr/bin/x", "x"),
            "is in the package twice",
        ),
        (
            Data::new().link("./x", "../../etc/passwd"),
            "is a link to above the root",
        ),
        (
            Data::new().hard("./x", "/etc/passwd"),
            "is a hard link to a file that the package does not have",
        ),
        (
            Data::new().hard("./x", "../../etc/passwd"),
            "has '..' in its name",
        ),
        (
            Data::new().file("./a", "x").file("./a/b", "x"),
            "lies below a file",
        ),
        (
            Data::new().dir("./a").file("./a", "x"),
            "would replace a folder",
        ),
        (
            Data::new().dir("./a").link("./a", "b"),
            "would replace a folder",
        ),
        (
            Data::new().file("./usr", "x"),
            "would replace the prefix itself",
        ),
        (
            Data::new().link("./usr", "/etc"),
            "would replace the prefix itself",
        ),
        (
            Data::new().entry(EntryType::Char, "./null", "", 0o666, b""),
            "is a device node",
        ),
        (
            Data::new().entry(EntryType::Block, "./sda", "", 0o666, b""),
            "is a device node",
        ),
        (
            Data::new().entry(EntryType::Fifo, "./pipe", "", 0o666, b""),
            "is a named pipe",
        ),
        (
            Data::new().file("./nix-support/import-report.json", "x"),
            "has the name of the import report",
        ),
        (
            Data::new().file(&long, "x").file(&long, "y"),
            "is in the package twice, with different content",
        ),
    ] {
        let scratch = Scratch::new();
        let outside = scratch.0.path().join("passwd");
        let error = scratch
            .import(&[package("evil", "", data)], &[], Limits::default())
            .expect_err(expected);
        assert!(matches!(error, ImportError::Hostile { .. }), "{error}");
        assert!(
            error.to_string().contains(expected),
            "{error}, expected: {expected}"
        );
        assert!(!scratch.out().exists() && !outside.exists());
    }
}

#[test]
fn limits_hold() {
    let deb = || {
        vec![package(
            "big",
            "",
            Data::new().file("./a", &"x".repeat(9000)).file("./b", "x"),
        )]
    };
    let limits = Limits {
        unpacked_bytes: 8000,
        ..Limits::default()
    };
    let error = Scratch::new()
        .import(&deb(), &[], limits)
        .expect_err("too large");
    assert!(
        matches!(error, ImportError::TooLarge { limit: 8000, .. }),
        "{error}"
    );
    let limits = Limits {
        entries: 3,
        ..Limits::default()
    };
    let error = Scratch::new()
        .import(&deb(), &[], limits)
        .expect_err("too many");
    assert!(
        matches!(error, ImportError::TooLarge { limit: 3, .. }),
        "{error}"
    );
    // A header that promises more than there is.
    let mut header = tar::Header::new_gnu();
    header.set_path("a").expect("a name");
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(1 << 50);
    header.set_cksum();
    let mut builder = Data::new();
    builder.0.append(&header, &b"x"[..]).expect("an entry");
    let error = Scratch::new()
        .import(&[package("liar", "", builder)], &[], Limits::default())
        .expect_err("a lie");
    assert!(matches!(error, ImportError::TooLarge { .. }), "{error}");
}

#[test]
fn every_cut_is_noticed() {
    let whole = package(
        "p",
        "",
        Data::new().file("./usr/share/a", &"text ".repeat(500)),
    );
    for length in (0..whole.len() - 1).step_by(7).chain([whole.len() - 2]) {
        let scratch = Scratch::new();
        let error = scratch.import(&[whole[..length].to_vec()], &[], Limits::default());
        assert!(
            matches!(error, Err(ImportError::Damaged { .. })),
            "{length}: {error:?}"
        );
        assert!(!scratch.out().exists());
    }
}

#[test]
fn what_is_no_package_is_named() {
    let mut version = b"!<arch>\n".to_vec();
    version.extend(member("debian-binary", b"3.0\n"));
    let mut lzma = b"!<arch>\n".to_vec();
    lzma.extend(member("debian-binary", b"2.0\n"));
    lzma.extend(member("control.tar.lzma", b""));
    check(
        &[b"PK\x03\x04 not a package".to_vec()],
        &expect![[r#"
        cannot read package /0.deb: it is not an ar archive; download it again
    "#]],
    );
    check(
        &[version],
        &expect![[r#"
        cannot read package /0.deb: its format version is '3.0', not 2
    "#]],
    );
    check(
        &[lzma],
        &expect![[r#"
        cannot read package /0.deb: a member is compressed as '.lzma'; xz, zst and gz are known
    "#]],
    );
}

#[test]
fn a_destination_in_use_is_left_alone() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.out()).expect("a folder");
    fs::write(scratch.out().join("mine"), "").expect("a file");
    let error = scratch
        .import(&[], &[], Limits::default())
        .expect_err("in use");
    assert!(matches!(error, ImportError::DestinationInUse(_)), "{error}");
    assert!(scratch.out().join("mine").exists());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Damage anywhere gives an error or an import, never a panic and nothing outside.
    #[test]
    fn damage_never_escapes(at in any::<prop::sample::Index>(), value in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let data = Data::new().dir("./usr/").file("./usr/a", "aaa").link("./b", "usr/a").hard("./c", "./usr/a");
        let control = Data::new().file("./control", "Package: p\n").bytes();
        let mut deb = b"!<arch>\n".to_vec();
        deb.extend(member("debian-binary", b"2.0\n"));
        deb.extend(member("control.tar", &control));
        deb.extend(member("data.tar", &data.bytes()));
        let at = at.index(deb.len());
        deb[at] = value;
        deb.truncate(deb.len() - cut.index(deb.len()) / 16);
        let scratch = Scratch::new();
        let result = scratch.import(&[deb], &[], Limits::default());
        prop_assert_eq!(result.is_ok(), scratch.out().exists());
        let names: Vec<_> = fs::read_dir(scratch.0.path()).expect("a folder").map(|entry| entry.expect("an entry").file_name()).collect();
        prop_assert!(names.iter().all(|name| name == "0.deb" || name == "out"), "{:?}", names);
    }
}
