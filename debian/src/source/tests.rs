//! Both formats of apt's files, as hosts have them.

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

#[expect(clippy::needless_pass_by_value, reason = "reads better in the tests")]
fn check(files: &[(&str, &str)], expected: Expect) {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let text = match host_sources(root.path()) {
        Ok(sources) => sources.iter().map(show).collect(),
        Err(error) => format!("{error}\n"),
    };
    expected.assert_eq(&text.replace(&root.path().display().to_string(), "ROOT"));
}

fn show(source: &Source) -> String {
    let Source {
        uri,
        suite,
        components,
        architectures,
        keys,
        check_valid_until,
        required,
    } = source;
    let valid = if *check_valid_until { "" } else { " any-time" };
    let required = if *required { " required" } else { "" };
    let mut text = format!("{uri} {suite} {components:?} {architectures:?}{valid}{required}\n");
    for keyring in &keys.keyrings {
        writeln!(text, "  {}", keyring.display()).unwrap();
    }
    for key in keys.embedded.iter().chain(&keys.fingerprints) {
        writeln!(text, "  {key:?}").unwrap();
    }
    text
}

#[test]
fn deb822_with_several_values() {
    check(
        &[(
            "etc/apt/sources.list.d/debian.sources",
            "Types: deb deb-src\n# snapshot\nURIs: http://mirror.example/debian/\nSuites: bookworm\n \
             bookworm-updates\nComponents: main contrib\nSigned-By: /usr/share/keyrings/a.gpg\n\n\
             Types: deb\nURIs: https://b.example\nSuites: x\nComponents: main\nEnabled: no\n\n\
             Types: deb\nURIs: file:/srv/c\nSuites: y\nComponents: main\nArchitectures: amd64 arm64\n\
             Check-Valid-Until: no\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n AAAA\n \
             -----END PGP PUBLIC KEY BLOCK-----\n",
        )],
        expect![[r#"
            http://mirror.example/debian bookworm ["contrib", "main"] []
              ROOT/usr/share/keyrings/a.gpg
            http://mirror.example/debian bookworm-updates ["contrib", "main"] []
              ROOT/usr/share/keyrings/a.gpg
            file:/srv/c y ["main"] ["amd64", "arm64"] any-time
              "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----"
        "#]],
    );
}

#[test]
fn one_line_with_options() {
    check(
        &[
            (
                "etc/apt/sources.list",
                "# main\ndeb http://a.example/debian bookworm main # all\n\
                 deb-src http://a.example/debian bookworm main\n\
                 deb http://a.example/debian bookworm contrib\n\
                 deb cdrom:[Debian 12 _Bookworm_]/ bookworm main\n",
            ),
            (
                "etc/apt/sources.list.d/more.list",
                "deb [ arch=amd64,i386 signed-by=/k.asc check-valid-until=no ] https://b.example x y z\n\
                 deb http://flat.example ./\n",
            ),
            ("etc/apt/sources.list.d/old.list.disabled", "nonsense"),
            ("etc/apt/trusted.gpg.d/key.asc", ""),
        ],
        expect![[r#"
            http://a.example/debian bookworm ["contrib", "main"] [] required
              ROOT/etc/apt/trusted.gpg.d/key.asc
            https://b.example x ["y", "z"] ["amd64", "i386"] any-time
              ROOT/k.asc
        "#]],
    );
}

#[test]
fn mistakes_name_file_and_line() {
    let list = "etc/apt/sources.list";
    check(
        &[],
        expect![[r#"
        cannot find a package source below ROOT: no enabled deb entry with http, https or file; name one with --mirror
    "#]],
    );
    check(
        &[(list, "\ndebs http://a b c")],
        expect![[r#"
        cannot read ROOT/etc/apt/sources.list: line 2: "debs" is neither deb nor deb-src
    "#]],
    );
    check(
        &[(list, "deb [ http://a b c")],
        expect![[r#"
        cannot read ROOT/etc/apt/sources.list: line 1: "]" is missing
    "#]],
    );
    check(
        &[(list, "deb http://a b")],
        expect![[r#"
        cannot read ROOT/etc/apt/sources.list: line 1: the components are missing
    "#]],
    );
    check(
        &[(
            "etc/apt/sources.list.d/a.sources",
            "Types: deb\nURIs: http://a\n",
        )],
        expect![[r#"
        cannot read ROOT/etc/apt/sources.list.d/a.sources: an entry has no field Suites
    "#]],
    );
}

#[test]
fn one_mirror() {
    let sources = |security| -> Vec<String> {
        let sources = mirror_sources(
            "http://m.example/debian/",
            &security,
            "trixie",
            Path::new("/k"),
        );
        sources
            .iter()
            .map(|source| format!("{} {}", source.uri, source.suite))
            .collect()
    };
    assert_eq!(
        sources(Security::None),
        [
            "http://m.example/debian trixie",
            "http://m.example/debian trixie-updates",
        ]
    );
    assert_eq!(
        sources(Security::Beside)[2],
        "http://m.example/debian-security trixie-security"
    );
    assert_eq!(
        sources(Security::At("http://s/".into()))[2],
        "http://s trixie-security"
    );
}

#[test]
fn codename_of_the_host() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("usr/lib")).unwrap();
    let path = root.path().join("usr/lib/os-release");
    std::fs::write(
        &path,
        "PRETTY_NAME=\"Debian\"\nID=debian\nVERSION_CODENAME=\"trixie\"\n",
    )
    .unwrap();
    assert_eq!(host_codename(root.path()).unwrap(), "trixie");
    std::fs::write(&path, "ID=ubuntu\nVERSION_CODENAME=noble\n").unwrap();
    assert!(
        host_codename(root.path())
            .unwrap_err()
            .to_string()
            .contains("name the release")
    );
}

proptest! {
    #[test]
    fn hostile_files_never_panic(text in "(?s)(deb )?[\\[\\]= a-c:/\n#é]{0,40}") {
        drop(one_line::parse(&text));
        drop(deb822::parse(&text));
    }
}
