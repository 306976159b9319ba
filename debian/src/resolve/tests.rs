//! Small archives, whole answers.

use expect_test::{Expect, expect};

use super::*;

/// An archive from lines such as `bash 5.2 | Depends: libc6 (>= 2) | Essential: yes`; a line of
/// dashes begins the next suite.
fn archive(lines: &str) -> Archive {
    let suites = lines.split("----").map(|suite| {
        let lines = suite.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.map(paragraph).collect::<String>()
    });
    let suites: Vec<String> = suites.collect();
    Archive::of_texts(&suites.iter().map(String::as_str).collect::<Vec<_>>())
}

fn paragraph(line: &str) -> String {
    let mut parts = line.split(" ; ");
    let (name, version) = parts.next().unwrap().split_once(' ').unwrap();
    let fields = parts
        .map(|field| format!("{field}\n"))
        .collect::<Vec<_>>()
        .concat();
    format!(
        "Package: {name}\nVersion: {version}\nArchitecture: amd64\nFilename: pool/{name}.deb\n\
         Size: 1\nSHA256: {}\n{fields}\n",
        cairn_store_path::Sha256::of(line.as_bytes()).to_base16(),
    )
}

#[expect(clippy::needless_pass_by_value, reason = "reads better in the tests")]
fn check(lines: &str, wanted: &str, expected: Expect) {
    let (excluded, wanted): (Vec<&str>, Vec<&str>) = wanted
        .split_whitespace()
        .partition(|word| word.starts_with('-'));
    let excluded = excluded
        .into_iter()
        .map(|name| name.trim_start_matches('-'));
    let request = Request::parse(wanted).unwrap().excluding(excluded);
    let shown = match archive(lines).resolve(&request) {
        Ok(lock) => lock
            .packages()
            .iter()
            .map(show)
            .collect::<Vec<_>>()
            .join("\n"),
        Err(error) => error.to_string(),
    };
    expected.assert_eq(&shown);
}

fn show(package: &LockedPackage) -> String {
    let edges = package
        .dependencies
        .iter()
        .cloned()
        .collect::<Vec<_>>()
        .join(" ");
    format!("{} {} -> {edges}", package.name, package.version)
        .trim_end()
        .to_owned()
}

#[test]
fn known_versions_stay_as_long_as_there_are() {
    let old = archive("aa 1 ; Depends: bb\nbb 1\ncc 1");
    let new = archive("aa 2 ; Depends: bb\nbb 1\ncc 1\n----\nbb 2\ncc 2");
    let request = |wanted: &[&str]| Request::parse(wanted.iter().copied()).unwrap();
    let before = old.resolve(&request(&["aa"])).unwrap();
    let more = request(&["aa", "cc"]);
    let versions = |known: Option<&Lock>| {
        let lock = new.resolve_keeping(&more, known).unwrap();
        let packages = lock.packages().iter();
        packages
            .map(|package| format!("{} {}", package.name, package.version))
            .collect::<Vec<_>>()
    };
    // `aa 1` is gone, `bb 1` is not, and nobody has said which `cc`.
    assert_eq!(versions(Some(&before)), ["aa 2", "bb 1", "cc 2"]);
    assert_eq!(versions(None), ["aa 2", "bb 2", "cc 2"]);
}

#[test]
fn a_name_that_does_not_exist_has_near_ones() {
    check(
        "htop 3\natop 2\nnginx 1\nlibnginx-mod 1",
        "htpo",
        expect!["cannot find package htpo: the archive has none of this name; near are htop"],
    );
}

#[test]
fn follows_dependencies_and_takes_the_highest_version() {
    check(
        "aa 1 ; Depends: bb (>= 2), cc:any ; Recommends: dd
         bb 2 ; Pre-Depends: cc
         cc 1
         dd 1
         ----
         bb 2.1~rc1 ; Depends: aa",
        "aa",
        expect![[r#"
            aa 1 -> bb cc
            bb 2.1~rc1 -> aa
            cc 1 ->"#]],
    );
}

#[test]
fn essential_packages_come_along_unless_excluded() {
    let lines = "aa 1\nbase 1 ; Essential: yes ; Depends: libx\nlibx 1\ndpkg 1 ; Essential: yes";
    check(
        lines,
        "aa -dpkg",
        expect![[r#"
        aa 1 ->
        base 1 -> libx
        libx 1 ->"#]],
    );
    let request = Request {
        essential: false,
        ..Request::parse(["aa"]).unwrap()
    };
    assert_eq!(
        archive(lines).resolve(&request).unwrap().packages().len(),
        1
    );
}

#[test]
fn an_alternative_that_is_chosen_will_do() {
    let lines = "aa 1 ; Depends: first | second\nbb 1 ; Depends: second\nfirst 1\nsecond 1";
    check(
        lines,
        "aa",
        expect![[r#"
        aa 1 -> first
        first 1 ->"#]],
    );
    check(
        lines,
        "aa bb",
        expect![[r#"
        aa 1 -> second
        bb 1 -> second
        second 1 ->"#]],
    );
}

#[test]
fn an_alternative_that_leads_nowhere_is_left() {
    check(
        "aa 1 ; Depends: first | second\nfirst 1 ; Depends: missing\nsecond 1",
        "aa",
        expect![[r#"
            aa 1 -> second
            second 1 ->"#]],
    );
    check(
        "aa 1 ; Depends: first | second, third\nfirst 1\nsecond 1\nthird 1 ; Breaks: first",
        "aa",
        expect![[r#"
            aa 1 -> second third
            second 1 ->
            third 1 ->"#]],
    );
}

#[test]
fn virtual_packages() {
    let lines = "aa 1 ; Depends: awk, api (>= 2)
        mawk 1 ; Provides: awk ; Priority: required
        gawk 1 ; Provides: awk ; Priority: optional
        old 1 ; Provides: api
        api1 1 ; Provides: api (= 1)
        api2 1 ; Provides: api (= 2)";
    check(
        lines,
        "aa",
        expect![[r#"
        aa 1 -> api2 mawk
        api2 1 ->
        mawk 1 ->"#]],
    );
    check(
        lines,
        "aa gawk",
        expect![[r#"
        aa 1 -> api2 gawk
        api2 1 ->
        gawk 1 ->"#]],
    );
    check(
        lines,
        "awk",
        expect!["cannot find package awk: it is virtual; name one of gawk, mawk"],
    );
}

#[test]
fn excluded_packages_satisfy_what_depends_on_them() {
    let lines = "aa 1 ; Depends: debconf (>= 0.5) | debconf-2.0, init, debconf-2.0
        debconf 1 ; Provides: debconf-2.0
        cdebconf 1 ; Provides: debconf-2.0";
    check(lines, "aa -debconf -init", expect!["aa 1 ->"]);
    check(
        lines,
        "aa -aa",
        expect!["cannot resolve aa: it is wanted and excluded at the same time"],
    );
}

#[test]
fn a_pinned_version_brings_what_it_needs() {
    let lines = "aa 1 ; Depends: lib (= 1)\nlib 1\n----\naa 2 ; Depends: lib (= 2)\nlib 2";
    check(
        lines,
        "aa",
        expect![[r#"
        aa 2 -> lib
        lib 2 ->"#]],
    );
    check(
        lines,
        "aa=1",
        expect![[r#"
        aa 1 -> lib
        lib 1 ->"#]],
    );
    check(
        lines,
        "aa=3",
        expect!["cannot find package aa: no version 3; there is 2, 1"],
    );
    check(
        lines,
        "aa=1 lib",
        expect!["cannot satisfy aa, which depends on lib (= 1), but lib 2 is chosen"],
    );
}

#[test]
fn failures_name_the_chain() {
    check(
        "aa 1 ; Depends: bb (>= 1)\nbb 2 ; Depends: virt\ncc 1 ; Provides: virt ; Depends: dd (<< 1) | ee\ndd 1",
        "aa",
        expect![
            "cannot satisfy aa, which depends on bb (>= 1), which depends on virt (by cc), which depends on dd (<< 1) | ee, but the archive has dd 1, and ee is not in the archive"
        ],
    );
    check(
        "aa 1",
        "bb",
        expect!["cannot find package bb: the archive has none of this name; check the spelling"],
    );
    check(
        "aa 1 ; Depends: bb (1)",
        "aa",
        expect![[r#"cannot resolve aa: cannot read "bb (1)" as a relation to a package"#]],
    );
    check(
        "aa 1 ; Depends: bb:i386\nbb 1",
        "aa",
        expect![
            "cannot satisfy aa, which depends on bb:i386, but bb:i386 is of another architecture"
        ],
    );
}

#[test]
fn conflicts_name_both() {
    check(
        "aa 1 ; Depends: bb\nbb 1 ; Conflicts: cc (<< 2)\ncc 1\ncc2 2 ; Provides: cc (= 1)",
        "aa cc",
        expect![
            "cannot have both bb 1 and cc 1: bb conflicts with cc (<< 2); bb is there for aa, which depends on bb; cc is asked for"
        ],
    );
    check(
        "aa 1 ; Provides: mta ; Conflicts: mta\nbb 1 ; Provides: mta ; Conflicts: mta",
        "aa",
        expect!["aa 1 ->"],
    );
    check(
        "aa 1 ; Provides: mta ; Conflicts: mta\nbb 1 ; Provides: mta ; Conflicts: mta",
        "aa bb",
        expect![
            "cannot have both bb 1 and aa 1: bb conflicts with mta; bb is asked for; aa is asked for"
        ],
    );
    check(
        "aa 1 ; Breaks: bb (<< 1)\nbb 1",
        "aa bb",
        expect![[r#"
        aa 1 ->
        bb 1 ->"#]],
    );
}

#[test]
fn deep_chains_and_many_choices_end() {
    let chain: String = (10..2000)
        .map(|n| format!("pp{n} 1 ; Depends: pp{}\n", n + 1))
        .collect::<Vec<_>>()
        .concat()
        + "pp2000 1";
    assert_eq!(
        archive(&chain)
            .resolve(&Request::parse(["pp10"]).unwrap())
            .unwrap()
            .packages()
            .len(),
        1991
    );
    // Every choice fails only at the very end.
    let choices: String = (10..40)
        .map(|n| {
            format!(
                "pp{n} 1 ; Depends: pp{next} | qq{next}\nqq{n} 1 ; Depends: pp{next} | qq{next}\n",
                next = n + 1
            )
        })
        .collect::<Vec<_>>()
        .concat();
    let error = archive(&choices)
        .resolve(&Request::parse(["pp10"]).unwrap())
        .unwrap_err();
    assert!(
        matches!(
            error,
            ResolveError::Unsatisfiable { .. } | ResolveError::TooHard(_)
        ),
        "{error}"
    );
}
