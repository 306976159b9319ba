//! Disk formats held against QEMU, which reads them all.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail by panicking, as the test does"
)]

mod oracle;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use cairn_image_builder::{Conversion, DiskFormat, convert};
use oracle::run;
use proptest::prelude::*;

const MIB: u64 = 1 << 20;
/// Each format, as QEMU calls it, and whether `qemu-img check` knows it.
const FORMATS: [(DiskFormat, &str, bool); 4] = [
    (DiskFormat::Qcow2, "qcow2", true),
    (DiskFormat::Vmdk, "vmdk", true),
    (DiskFormat::Vdi, "vdi", true),
    (DiskFormat::Vhd, "vpc", false),
];

fn conversion(raw: &Path, format: DiskFormat) -> Conversion<'_> {
    Conversion {
        raw,
        format,
        name: "machine",
        seed: &[7; 32],
        epoch: 1_700_000_000,
    }
}

fn qemu_img(args: &[&str]) -> String {
    let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
    run("qemu-utils", "qemu-img", &args)
}

/// A raw image with `pieces` in it: offset, length, and whether zlib can make them smaller.
fn raw(path: &Path, size: u64, pieces: &[(u64, usize, bool)]) -> PathBuf {
    let file = File::create(path).unwrap();
    file.set_len(size).unwrap();
    for (offset, length, text) in pieces {
        let length = (*length).min(usize::try_from(size - offset).unwrap());
        let mut bytes = vec![b't'; length];
        if !text {
            blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        }
        file.write_all_at(&bytes, *offset).unwrap();
    }
    path.to_owned()
}

fn check(raw: &Path, scratch: &Path) {
    let size = fs::metadata(raw).unwrap().len();
    for (format, name, checked) in FORMATS {
        let output = scratch.join(name);
        convert(&conversion(raw, format), &output).unwrap();
        let output = output.to_str().unwrap();
        if checked {
            let text = qemu_img(&["check", "-f", name, output]);
            assert!(text.contains("No errors were found"), "{text}");
        }
        let info = qemu_img(&["info", "-f", name, "--output=json", output]);
        assert!(
            info.contains(&format!("\"virtual-size\": {size},")),
            "{info}"
        );
        qemu_img(&[
            "compare",
            "-f",
            "raw",
            "-F",
            name,
            raw.to_str().unwrap(),
            output,
        ]);
    }
}

/// Data in the first and the last sector, in neighbouring units and alone in one; zeros that are
/// no hole; more than one table of each format.
fn sample(scratch: &Path) -> PathBuf {
    let path = raw(
        &scratch.join("raw"),
        600 * MIB,
        &[
            (0, 512, false),
            (3 * MIB - 7, 2 << 20, false),
            (70 * MIB, 3 << 20, true),
            (513 * MIB + 65_536, 100_000, false),
            (600 * MIB - 512, 512, true),
        ],
    );
    let file = File::options().write(true).open(&path).unwrap();
    file.write_all_at(&vec![0; 1 << 20], 200 * MIB).unwrap();
    path
}

#[test]
fn qemu_finds_the_same_disk() {
    let scratch = tempfile::tempdir().unwrap();
    check(&sample(scratch.path()), scratch.path());
    for (_, name, _) in FORMATS {
        let blocks = scratch.path().join(name).metadata().unwrap().blocks();
        assert!(blocks * 512 < 12 * MIB, "{name}: {blocks} blocks");
    }
}

#[test]
fn bytes_do_not_depend_on_where_the_holes_are() {
    let scratch = tempfile::tempdir().unwrap();
    let sparse = raw(
        &scratch.path().join("sparse"),
        40 * MIB,
        &[(5 * MIB, 3_000_000, false)],
    );
    let full = scratch.path().join("full");
    fs::write(&full, fs::read(&sparse).unwrap()).unwrap();
    let formats = FORMATS.map(|(format, ..)| format);
    for format in formats.into_iter().chain([DiskFormat::Ova]) {
        let made = |raw: &Path| {
            let output = scratch.path().join("output");
            convert(&conversion(raw, format), &output).unwrap();
            fs::read(&output).unwrap()
        };
        assert!(made(&sparse) == made(&full), "{format:?}");
    }
}

#[test]
fn an_appliance_is_a_description_a_disk_and_their_sums() {
    let scratch = tempfile::tempdir().unwrap();
    let raw = sample(scratch.path());
    let ova = scratch.path().join("machine.ova");
    convert(&conversion(&raw, DiskFormat::Ova), &ova).unwrap();
    let text = |args: &[&str]| {
        let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
        run("tar", "tar", &args)
    };
    let listing = text(&["--utc", "--full-time", "-tvf", ova.to_str().unwrap()]);
    let listing: Vec<String> = listing
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            [words[0], words[1], words[3], words[4], words[5]].join(" ")
        })
        .collect();
    expect_test::expect![[r#"
        -rw-r--r-- 0/0 2023-11-14 22:13:20 machine.ovf
        -rw-r--r-- 0/0 2023-11-14 22:13:20 machine-disk1.vmdk
        -rw-r--r-- 0/0 2023-11-14 22:13:20 machine.mf
    "#]]
    .assert_eq(&(listing.join("\n") + "\n"));
    let folder = scratch.path().to_str().unwrap();
    text(&["-C", folder, "-xf", ova.to_str().unwrap()]);
    // `SHA256(NAME)= SUM` is a form that sha256sum knows, but for spaces.
    let sums = fs::read_to_string(scratch.path().join("machine.mf")).unwrap();
    let spaced: Vec<String> = sums
        .lines()
        .map(|line| line.replace("SHA256(", "SHA256 (").replace(")= ", ") = "))
        .collect();
    fs::write(scratch.path().join("sums"), spaced.join("\n") + "\n").unwrap();
    let script = format!("cd '{folder}' && sha256sum --strict -c sums");
    let checked = run("coreutils", "sh", &["-c", &script].map(OsStr::new));
    assert_eq!(checked, "machine.ovf: OK\nmachine-disk1.vmdk: OK\n");
    let disk = scratch.path().join("machine-disk1.vmdk");
    let disk_size = fs::metadata(&disk).unwrap().len();
    qemu_img(&[
        "compare",
        "-f",
        "raw",
        "-F",
        "vmdk",
        raw.to_str().unwrap(),
        disk.to_str().unwrap(),
    ]);
    let ovf = fs::read_to_string(scratch.path().join("machine.ovf")).unwrap();
    assert!(ovf.contains(&format!("ovf:size=\"{disk_size}\"")));
    run(
        "libxml2-utils",
        "xmllint",
        &[
            "--noout".as_ref(),
            "--nonet".as_ref(),
            "--relaxng".as_ref(),
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ovf.rng").as_ref(),
            scratch.path().join("machine.ovf").as_os_str(),
        ],
    );
    // What the machine is made of is there.
    for (attribute, of) in [
        ("fileRef=\"file1\"", "ovf:id=\"file1\""),
        ("ovf:/disk/disk1", "diskId=\"disk1\""),
        (">NAT</rasd:Connection>", "ovf:name=\"NAT\""),
    ] {
        assert!(
            ovf.contains(attribute) && ovf.contains(of),
            "{attribute}: {ovf}"
        );
    }
}

#[test]
fn what_goes_wrong_is_named_and_leaves_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let odd = raw(&scratch.path().join("odd"), MIB + 512, &[]);
    let good = raw(&scratch.path().join("good"), MIB, &[(0, 4096, false)]);
    let output = scratch.path().join("output");
    let failed = |conversion: &Conversion<'_>, output: &Path| {
        let error = convert(conversion, output).unwrap_err().to_string();
        error.replace(scratch.path().to_str().unwrap(), "SCRATCH")
    };
    let nameless = Conversion {
        name: "a/b",
        ..conversion(&good, DiskFormat::Ova)
    };
    let found = [
        failed(
            &conversion(&scratch.path().join("missing"), DiskFormat::Vdi),
            &output,
        ),
        failed(&conversion(scratch.path(), DiskFormat::Vdi), &output),
        failed(&conversion(&odd, DiskFormat::Vhd), &output),
        failed(&nameless, &output),
        failed(
            &conversion(&good, DiskFormat::Qcow2),
            &scratch.path().join("no/folder"),
        ),
        failed(&conversion(&good, DiskFormat::Qcow2), scratch.path()),
    ];
    expect_test::expect![[r#"
        cannot read the disk image 'SCRATCH/missing': No such file or directory (os error 2)
        cannot read the disk image 'SCRATCH': it is no regular file
        cannot convert 'SCRATCH/odd' to VHD: its size is no multiple of 1 MiB
        cannot convert 'SCRATCH/good' to OVA: a virtual machine cannot be named 'a/b'
        cannot write 'SCRATCH/no/folder': No such file or directory (os error 2)
        cannot write 'SCRATCH': Is a directory (os error 21)
    "#]]
    .assert_eq(&(found.join("\n") + "\n"));
    let names = fs::read_dir(scratch.path()).unwrap();
    let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["good", "odd"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn every_disk_is_found_the_same(
        mib in 1u64..140,
        pieces in prop::collection::vec((any::<prop::sample::Index>(), 1usize..3_000_000, any::<bool>()), 0..6),
    ) {
        let scratch = tempfile::tempdir().unwrap();
        let size = mib * MIB;
        let place = |index: prop::sample::Index| index.index(usize::try_from(size).unwrap()) as u64;
        let pieces: Vec<_> = pieces
            .into_iter()
            .map(|(index, length, text)| (place(index), length, text))
            .collect();
        let raw = raw(&scratch.path().join("raw"), size, &pieces);
        check(&raw, scratch.path());
    }
}
