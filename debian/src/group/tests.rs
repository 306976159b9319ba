//! Groups of small locks.

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::lock::tests::package;
use crate::request::Request;

/// A lock from lines such as `libacl1 acl libs: libc6 libgcc-s1`: package, source (with `!` if the
/// package is essential), section, dependencies.
fn lock(lines: &str) -> Lock {
    let packages = lines.lines().map(|line| {
        let (head, dependencies) = line.trim().split_once(':').unwrap();
        let [name, source, section] = head.split(' ').collect::<Vec<_>>()[..] else {
            panic!()
        };
        let mut package = package(name, "1");
        package.essential = source.ends_with('!');
        package.source = source.trim_end_matches('!').to_owned();
        package.section = section.to_owned();
        package.dependencies = dependencies.split_whitespace().map(str::to_owned).collect();
        package
    });
    Lock::new(Request::new([]), vec![], packages.collect()).unwrap()
}

#[expect(clippy::needless_pass_by_value, reason = "reads better in the tests")]
fn check(lines: &str, expected: Expect) {
    let mut text = String::new();
    for (at, group) in groups(&lock(lines), &["perl-base"]).iter().enumerate() {
        let Group {
            name,
            packages,
            inputs,
            ..
        } = group;
        writeln!(text, "{at} {name} {packages:?} {inputs:?}").unwrap();
    }
    expected.assert_eq(&text);
}

#[test]
fn a_kernel_uses_no_essential_package() {
    check(
        "linux-image-1 linux kernel: kmod
         kmod kmod admin: libc6
         libc6 glibc libs:
         dash dash! shells: libc6",
        expect![[r#"
            0 libc6 ["libc6"] []
            1 dash ["dash"] [0]
            2 kmod ["kmod"] [0, 1]
            3 linux-image-1 ["linux-image-1"] [2]
        "#]],
    );
}

#[test]
fn a_kernel_stays_as_it_is_when_another_one_joins() {
    check(
        "linux-image-1 linux kernel:
         linux-image-1-cloud linux kernel:
         linux-image linux-meta kernel: linux-image-1
         linux-image-cloud linux-meta kernel: linux-image-1-cloud",
        expect![[r#"
            0 linux-image-1 ["linux-image-1"] []
            1 linux-image ["linux-image"] [0]
            2 linux-image-1-cloud ["linux-image-1-cloud"] []
            3 linux-image-cloud ["linux-image-cloud"] [2]
        "#]],
    );
}

#[test]
fn sources_libraries_and_cycles() {
    check(
        "libc6 glibc libs: libgcc-s1
         libgcc-s1 gcc libs: libc6
         libc-bin glibc utils: libc6
         mount util-linux admin: libmount1
         bsdutils util-linux utils: libc6
         libmount1 util-linux libs: libc6",
        expect![[r#"
            0 libc6+libgcc-s1 ["libc6", "libgcc-s1"] []
            1 bsdutils ["bsdutils"] [0]
            2 libc-bin ["libc-bin"] [0]
            3 libmount1 ["libmount1"] [0]
            4 mount ["mount"] [3]
        "#]],
    );
}

#[test]
fn packages_for_developers_change_nothing_for_the_others() {
    check(
        "libc6 glibc libs:
         libc-bin glibc! utils: libc6
         libc6-dev glibc libdevel: libc6
         make make-dfsg devel: libc6",
        expect![[r#"
            0 libc6 ["libc6"] []
            1 libc-bin ["libc-bin"] [0]
            2 libc6-dev ["libc6-dev"] [0, 1]
            3 make ["make"] [0, 1]
        "#]],
    );
}

#[test]
fn essential_packages_are_inputs_of_the_others() {
    check(
        "bash bash! shells: libtinfo6
         libtinfo6 ncurses libs: libc6
         libc6 glibc libs:
         nano nano editors: libc6
         data data misc:",
        expect![[r#"
            0 libc6 ["libc6"] []
            1 libtinfo6 ["libtinfo6"] [0]
            2 bash ["bash"] [1]
            3 data ["data"] [2]
            4 nano ["nano"] [0, 2]
        "#]],
    );
}

#[test]
fn what_is_replaced_is_used_by_those_that_say_so() {
    check(
        "dash dash! shells:
         perl-base perl! perl:
         git git vcs: perl-base
         nano nano editors:",
        expect![[r#"
            0 dash ["dash"] []
            1 perl-base ["perl-base"] [0]
            2 git ["git"] [0, 1]
            3 nano ["nano"] [0]
        "#]],
    );
}

#[test]
fn equal_names_are_told_apart() {
    check(
        "libcap2 libcap2 libs:
         libcap2-bin libcap2 utils: libcap2
         libcap2-extra libcap2 utils: libcap2-bin",
        expect![[r#"
            0 libcap2 ["libcap2"] []
            1 libcap2-bin ["libcap2-bin", "libcap2-extra"] [0]
        "#]],
    );
}

#[test]
fn what_needs_none_of_its_source_stands_apart() {
    check(
        "fdisk util-linux utils: libc6
         libc6 glibc libs:
         util-linux util-linux! utils: util-linux-extra
         util-linux-extra util-linux utils: libc6
         openssh-client openssh net: libc6
         openssh-server openssh net: openssh-client",
        expect![[r#"
            0 libc6 ["libc6"] []
            1 util-linux ["util-linux", "util-linux-extra"] [0]
            2 fdisk ["fdisk"] [0, 1]
            3 openssh ["openssh-client", "openssh-server"] [0, 1]
        "#]],
    );
}

#[test]
fn long_names_are_cut() {
    let lines = (10..40)
        .map(|n| format!("lib{n} ss libs: lib{}\n", if n == 39 { 10 } else { n + 1 }))
        .collect::<Vec<_>>()
        .concat();
    let groups = groups(&lock(&lines), &[]);
    assert_eq!((groups.len(), groups[0].name.as_str()), (1, "lib10+29"));
}

proptest! {
    #[test]
    fn groups_partition_the_lock_in_order(
        edges in proptest::collection::vec((0_usize..12, 0_usize..12), 0..30),
        kinds in proptest::collection::vec((0_usize..5, any::<bool>(), 0_u8..8), 12),
    ) {
        let mut lines = String::new();
        for (at, (source, library, essential)) in kinds.iter().enumerate() {
            let mark = if *essential == 0 { "!" } else { "" };
            let section = if *library { "libs" } else { "utils" };
            write!(lines, "pp{at} ss{source}{mark} {section}:").unwrap();
            for (_, to) in edges.iter().filter(|(from, _)| *from == at) {
                write!(lines, " pp{to}").unwrap();
            }
            lines.push('\n');
        }
        let lock = lock(lines.trim());
        let groups = groups(&lock, &[]);
        let mut names: Vec<&String> = groups.iter().flat_map(|group| &group.packages).collect();
        names.sort();
        prop_assert!(names.iter().copied().eq(lock.packages().iter().map(|p| &p.name).collect::<std::collections::BTreeSet<_>>()));
        let titles: BTreeSet<&String> = groups.iter().map(|group| &group.name).collect();
        prop_assert_eq!(titles.len(), groups.len());
        for (at, group) in groups.iter().enumerate() {
            prop_assert!(group.inputs.iter().all(|input| *input < at));
            // Every dependency is in the group itself or in an input.
            for name in &group.packages {
                for dependency in &lock.package(name).unwrap().dependencies {
                    let inputs = group.inputs.iter().map(|input| &groups[*input]);
                    prop_assert!(inputs.chain([group]).any(|own| own.packages.contains(dependency)));
                }
            }
        }
        prop_assert_eq!(&groups, &super::groups(&lock, &[]));
    }
}
