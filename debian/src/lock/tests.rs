//! The lock's text, and texts that are refused.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

/// A package without dependencies.
pub(crate) fn package(name: &str, version: &str) -> LockedPackage {
    LockedPackage {
        name: name.to_owned(),
        version: version.parse().unwrap(),
        architecture: "amd64".to_owned(),
        source: name.to_owned(),
        source_version: version.parse().unwrap(),
        section: "utils".to_owned(),
        description: None,
        homepage: None,
        essential: false,
        multi_arch: MultiArch::No,
        release: "bookworm".to_owned(),
        filename: format!("pool/main/{name}_{version}.deb"),
        size: 1,
        sha256: Sha256::of(name.as_bytes()),
        dependencies: BTreeSet::new(),
        provides: BTreeMap::new(),
    }
}

fn lock() -> Lock {
    let mut bash = package("bash", "5.2-1");
    bash.dependencies.insert("libc6".to_owned());
    bash.provides.insert("shell".to_owned(), None);
    bash.provides
        .insert("sh-api".to_owned(), Some("2".parse().unwrap()));
    let release = LockedRelease {
        codename: "bookworm".to_owned(),
        suite: "stable".to_owned(),
        date: "Sat, 11 Jul 2026 10:16:37 UTC".to_owned(),
        sha256: Sha256::of(b""),
    };
    let request = Request::parse(["bash", "libc6=2.36"])
        .unwrap()
        .excluding(["dpkg"]);
    Lock::new(request, vec![release], vec![package("libc6", "2.36"), bash]).unwrap()
}

#[test]
fn text() {
    expect![[r#"
        {
          "format": 1,
          "request": {
            "architecture": "amd64",
            "wanted": [
              "bash",
              "libc6=2.36"
            ],
            "excluded": [
              "dpkg"
            ],
            "essential": true
          },
          "releases": [
            {
              "codename": "bookworm",
              "suite": "stable",
              "date": "Sat, 11 Jul 2026 10:16:37 UTC",
              "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
            }
          ],
          "packages": [
            {
              "name": "bash",
              "version": "5.2-1",
              "architecture": "amd64",
              "source": "bash",
              "source_version": "5.2-1",
              "section": "utils",
              "essential": false,
              "multi_arch": "no",
              "release": "bookworm",
              "filename": "pool/main/bash_5.2-1.deb",
              "size": 1,
              "sha256": "37d2b12d5d9abc2a364ef9448767ee03938e383c0284193477dc7618f4b7c6c2",
              "dependencies": [
                "libc6"
              ],
              "provides": {
                "sh-api": "2",
                "shell": null
              }
            },
            {
              "name": "libc6",
              "version": "2.36",
              "architecture": "amd64",
              "source": "libc6",
              "source_version": "2.36",
              "section": "utils",
              "essential": false,
              "multi_arch": "no",
              "release": "bookworm",
              "filename": "pool/main/libc6_2.36.deb",
              "size": 1,
              "sha256": "fb9ce3b804ed6882db53398f268a9c8e59ab103221188aee6513dfddde5b9aff",
              "dependencies": []
            }
          ]
        }
    "#]]
    .assert_eq(&lock().to_text());
    assert_eq!(Lock::parse(&lock().to_text()).unwrap(), lock());
}

#[expect(clippy::needless_pass_by_value, reason = "reads better in the tests")]
fn check(from: &str, to: &str, expected: Expect) {
    let text = lock().to_text();
    assert!(text.contains(from), "{from}");
    let error = Lock::parse(&text.replace(from, to)).unwrap_err();
    expected.assert_eq(&error.to_string());
}

#[test]
fn refuses_what_does_not_hold_together() {
    check(
        "\"format\": 1",
        "\"format\": 2",
        expect![
            "cannot read the package lock: it has format 2, this program knows 1; resolve again to renew it"
        ],
    );
    check(
        "\"essential\": true",
        "\"essential\": true, \"more\": 1",
        expect![
            "cannot read the package lock: unknown field `more`, expected one of `architecture`, `wanted`, `excluded`, `essential` at line 12 column 29"
        ],
    );
    check(
        "\"section\"",
        "\"sektion\"",
        expect![
            "cannot read the package lock: unknown field `sektion`, expected one of `name`, `version`, `architecture`, `source`, `source_version`, `section`, `description`, `homepage`, `essential`, `multi_arch`, `release`, `filename`, `size`, `sha256`, `dependencies`, `provides` at line 29 column 15"
        ],
    );
    check(
        "\"name\": \"libc6\"",
        "\"name\": \"bash\"",
        expect!["cannot use the package lock: package bash occurs twice"],
    );
    check(
        "\"name\": \"libc6\"",
        "\"name\": \"libc7\"",
        expect!["cannot use the package lock: package bash: it depends on libc6, which is absent"],
    );
    check(
        "\"version\": \"2.36\"",
        "\"version\": \"2.37\"",
        expect!["cannot use the package lock: libc6=2.36 is wanted, but 2.37 is locked"],
    );
    check(
        "\"version\": \"2.36\"",
        "\"version\": \"\"",
        expect![[
            r#"cannot read the package lock: cannot read "" as a version: it is empty at line 46 column 19"#
        ]],
    );
    check(
        "pool/main/libc6",
        "pool/../libc6",
        expect![[
            r#"cannot use the package lock: package libc6: unsafe file name "pool/../libc6_2.36.deb""#
        ]],
    );
    check(
        "\"size\": 1",
        "\"size\": 0",
        expect!["cannot use the package lock: package bash: its size is 0 bytes"],
    );
    check(
        "e3b0c442",
        "",
        expect![[
            r#"cannot read the package lock: cannot read "98fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" as a SHA-256 digest: 64 hexadecimal digits are expected at line 20 column 5"#
        ]],
    );
    check(
        "{",
        "",
        expect![[
            r#"cannot read the package lock: invalid type: string "format", expected struct Head at line 2 column 10"#
        ]],
    );
    check(
        "\"architecture\": \"amd64\",\n      \"source\": \"bash\"",
        "\"architecture\": \"i386\",\n      \"source\": \"bash\"",
        expect!["cannot use the package lock: package bash: its architecture is i386"],
    );
}

#[test]
fn answers_one_request_only() {
    let lock = lock();
    let request = lock.request().clone();
    assert_eq!(lock.verify(&request), Ok(()));
    let differing = |change: &dyn Fn(&mut Request)| {
        let mut other = request.clone();
        change(&mut other);
        lock.verify(&other).unwrap_err().to_string()
    };
    let mut all = String::new();
    for text in [
        differing(&|request| request.essential = false),
        differing(&|request| assert!(request.wanted.insert("nano".parse().unwrap()))),
        differing(&|request| drop(request.wanted.pop_first())),
        differing(&|request| request.excluded.clear()),
        differing(&|request| request.architecture = "arm64".to_owned()),
    ] {
        all += &(text + "\n");
    }
    expect![[r#"
        the package lock answers another request (essential packages: true); resolve again to renew it
        the package lock answers another request (without nano); resolve again to renew it
        the package lock answers another request (with bash as well); resolve again to renew it
        the package lock answers another request (the exclusions differ in dpkg); resolve again to renew it
        the package lock answers another request (architecture amd64); resolve again to renew it
    "#]].assert_eq(&all);
}

#[test]
fn file_names() {
    for name in [
        "pool/main/b/bash/bash_5.2.15-2+b9_amd64.deb",
        "a",
        "a~b%3a_1:2.deb",
    ] {
        assert!(is_safe_filename(name), "{name}");
    }
    for name in [
        "",
        "/etc/passwd",
        "a/../b",
        "./a",
        "a//b",
        "a/",
        "a b",
        "a\\b",
        "é",
        "a?b",
        "a#b",
    ] {
        assert!(!is_safe_filename(name), "{name}");
    }
}

proptest! {
    #[test]
    fn hostile_texts_never_panic(at in 0_usize..2000, with in "[0-9a-z\"{}\\[\\],:. ]{0,3}") {
        let mut text = lock().to_text();
        let at = at % text.len();
        text.replace_range(at..=at, &with);
        if let Ok(lock) = Lock::parse(&text) {
            prop_assert_eq!(Lock::parse(&lock.to_text()).unwrap(), lock);
        }
    }
}
