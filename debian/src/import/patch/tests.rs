//! Tests of patching.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;

use super::*;
use crate::import::elf::{Reading, library_names, read};

const PATH: &str = "/nix/store/00000000000000000000000000000000-libc/lib/x86_64-linux-gnu";

fn dynamic(bytes: &[u8]) -> Elf {
    match read(bytes) {
        Ok(Reading::Dynamic(elf)) => *elf,
        other => panic!("not dynamic: {other:?}"),
    }
}

fn patched(bytes: &[u8], interpreter: &str) -> Vec<u8> {
    let wanted = Wanted {
        interpreter: Some(interpreter.as_bytes()),
        search_path: PATH.as_bytes(),
    };
    plan(bytes, &dynamic(bytes), wanted)
        .expect("a patch")
        .apply(bytes)
}

/// What a tool prints of a file, without the last line break.
fn ask(tool: &str, package: &str, argument: &str, file: &Path) -> String {
    let output = Command::new(tool).arg(argument).arg(file).output();
    let output = output
        .unwrap_or_else(|error| panic!("cannot run {tool}: {error}; apt-get install {package}"));
    assert!(
        output.status.success(),
        "{tool}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        output.stderr.is_empty(),
        "{tool}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned()
}

/// A program that prints what it was given, linked with the options.
fn compile(folder: &Path, options: &[&str]) -> Vec<u8> {
    let source = folder.join("p.c");
    fs::write(&source, "#include <stdio.h>\n#include <errno.h>\n__thread int t = 7;\nint main(int c, char **v) { errno = 0; printf(\"%d %s\\n\", t * 6, v[c - 1]); return errno; }\n").expect("source");
    let program = folder.join("p");
    let status = Command::new("gcc")
        .args(options)
        .arg(&source)
        .arg("-o")
        .arg(&program)
        .status()
        .expect("apt-get install gcc libc6-dev");
    assert!(status.success(), "gcc {options:?}");
    fs::read(program).expect("the program")
}

#[test]
fn programs_of_all_kinds_run_and_tools_agree() {
    for options in [
        &["-pie"][..],
        &["-no-pie"],
        &["-pie", "-Wl,--enable-new-dtags", "-Wl,-rpath,/old:/paths"],
        &["-pie", "-Wl,--disable-new-dtags", "-Wl,-rpath,/old"],
        &["-pie", "-Wl,--spare-dynamic-tags=0"],
        &["-no-pie", "-Wl,--spare-dynamic-tags=0", "-Wl,-z,now"],
        &["-pie", "-Wl,--build-id=none", "-Wl,--hash-style=sysv"],
        &[
            "-pie",
            "-Wl,-z,max-page-size=0x200000",
            "-Wl,-z,noseparate-code",
        ],
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let bytes = compile(folder.path(), options);
        let interpreter = dynamic(&bytes).interpreter.expect("a program");
        // A longer name of the same loader shows that the name really moved.
        let interpreter = format!("//{}", String::from_utf8_lossy(&interpreter));
        let new = patched(&bytes, &interpreter);
        assert_eq!(read(&new), Err(ElfError::AlreadyPatched));
        let program = folder.path().join("patched");
        fs::write(&program, &new).expect("a file");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a mode");
        let output = Command::new(&program)
            .arg("here")
            .output()
            .expect("it starts");
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(
            (text.as_ref(), output.status.success()),
            ("42 here\n", true),
            "{options:?}"
        );
        assert_eq!(
            ask("patchelf", "patchelf", "--print-rpath", &program),
            PATH,
            "{options:?}"
        );
        assert_eq!(
            ask("patchelf", "patchelf", "--print-interpreter", &program),
            interpreter
        );
        assert_eq!(
            ask("patchelf", "patchelf", "--print-needed", &program),
            "libc.so.6"
        );
        let table = ask("readelf", "binutils", "-dW", &program);
        assert_eq!(table.matches("(RUNPATH)").count(), 1, "{table}");
        assert_eq!(table.matches("(RPATH)").count(), 0, "{table}");
    }
}

#[test]
fn what_needs_no_loader_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    for options in [&["-static"][..], &["-static-pie"], &["-c"]] {
        let bytes = compile(folder.path(), options);
        assert_eq!(read(&bytes), Ok(Reading::SelfContained), "{options:?}");
    }
}

#[test]
fn a_file_without_a_header_to_give_up_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let bytes = compile(folder.path(), &["-pie"]);
    let mut elf = dynamic(&bytes);
    elf.segments
        .retain(|segment| ![PT_NOTE, PT_GNU_PROPERTY].contains(&segment.kind));
    let wanted = Wanted {
        interpreter: None,
        search_path: b"/x",
    };
    assert_eq!(plan(&bytes, &elf, wanted), Err(ElfError::NoRoom));
}

#[test]
fn names_of_libraries_are_found_among_the_strings() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut bytes = compile(folder.path(), &["-pie"]);
    bytes.extend_from_slice(
        b"\0libgcc_s.so.1\0x libno.so.2\0libc.so.6\0libx.so\0notlib.so.1\0libend.so",
    );
    let names = library_names(&bytes, &dynamic(&bytes));
    let names: Vec<_> = names
        .iter()
        .map(|name| String::from_utf8_lossy(name))
        .collect();
    assert_eq!(names, ["libgcc_s.so.1", "libx.so"]);
}

fn sample() -> &'static (Vec<u8>, Vec<usize>) {
    static SAMPLE: std::sync::OnceLock<(Vec<u8>, Vec<usize>)> = std::sync::OnceLock::new();
    SAMPLE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let bytes = compile(folder.path(), &["-pie", "-s"]);
        let elf = dynamic(&bytes);
        let headers = 0..elf.headers_at + elf.segments.len() * PROGRAM_HEADER;
        let table = elf.dynamic_at..elf.dynamic_at + elf.dynamic.len() * DYNAMIC_ENTRY;
        let sections = bytes.len() - 1800..bytes.len();
        (bytes, headers.chain(table).chain(sections).collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Lies in the headers, the dynamic table or the section headers give an error or a patch
    /// inside the file.
    #[test]
    fn lies_do_no_harm(
        lies in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), Just(0), Just(255)]), 1..6),
        cut in prop_oneof![4 => Just(0usize), 1 => 0usize..16000],
    ) {
        let (bytes, places) = sample();
        let mut bytes = bytes.clone();
        for (index, value) in lies {
            bytes[places[index.index(places.len())]] = value;
        }
        bytes.truncate(bytes.len().saturating_sub(cut));
        if let Ok(Reading::Dynamic(elf)) = read(&bytes) {
            std::hint::black_box(library_names(&bytes, &elf));
            let wanted = Wanted { interpreter: Some(b"/ld.so"), search_path: b"/a:/b" };
            if let Ok(patch) = plan(&bytes, &elf, wanted) {
                for (at, edit) in &patch.edits {
                    prop_assert!(*at + edit.len() as u64 <= bytes.len() as u64);
                }
                patch.apply(&bytes);
            }
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(tail in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.extend_from_slice(&tail);
        std::hint::black_box(read(&bytes).is_ok());
    }
}
