//! What stays of a `Packages` file, and what is refused.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

const DIGEST: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn parse(text: &str) -> Result<Index, ParseIndexError> {
    Index::parse(text.replace("DIGEST", DIGEST).as_bytes(), "amd64")
}

#[expect(clippy::needless_pass_by_value, reason = "reads better in the tests")]
fn check(text: &str, expected: Expect) {
    let shown = match parse(text) {
        Ok(index) => index.packages().map(show).collect::<Vec<_>>().join("\n"),
        Err(error) => error.to_string(),
    };
    expected.assert_eq(&shown);
}

fn show(package: Package<'_>) -> String {
    format!(
        "{} {} {} {:?} {} {} {} {} {} {:?} {:?} {:?}",
        package.name(),
        package.version(),
        package.architecture(),
        package.source(),
        package.section(),
        package.priority(),
        package.filename(),
        package.size(),
        package.essential(),
        package.multi_arch(),
        package.dependency_fields(),
        package.conflict_fields(),
    )
}

#[test]
fn keeps_what_is_needed() {
    check(
        "Package: bb\nSource: src (2:1-1)\nVersion: 1-1+b2\nArchitecture: amd64\nMulti-Arch: same\n\
         Priority: required\nEssential: yes\nSection: libs\nPre-Depends: cc\nDepends: dd (>= 1),\n ee\n\
         Breaks: ff\nFilename: pool/b.deb\nSize: 7\nSHA256: DIGEST\nDescription: text\n\n\
         Package: aa\nVersion: 1\nArchitecture: all\nFilename: pool/a.deb\nSize: 8\nSHA256: DIGEST\n\n\
         Package: other\nVersion: 1\nArchitecture: arm64\n",
        expect![[r#"
            aa 1 all ("aa", "1")  4 pool/a.deb 8 false No ["", ""] ["", ""]
            bb 1-1+b2 amd64 ("src", "2:1-1") libs 0 pool/b.deb 7 true Same ["cc", "dd (>= 1),\n ee"] ["", "ff"]"#]],
    );
}

#[test]
fn refuses_what_cannot_be_used() {
    check(
        "Package: aa\n",
        expect![[r#"package "aa": field Version is missing or wrong"#]],
    );
    check(
        "Package: ../a\nVersion: 1\n",
        expect![[r#"package "../a": field Package is missing or wrong"#]],
    );
    let head = "Package: aa\nVersion: 1\nArchitecture: all\n";
    check(
        &format!("{head}Filename: ../../etc/passwd\nSize: 1\nSHA256: DIGEST\n"),
        expect![[r#"package "aa": field Filename is missing or wrong"#]],
    );
    check(
        &format!("{head}Filename: a.deb\nSize: -1\nSHA256: DIGEST\n"),
        expect![[r#"package "aa": field Size is missing or wrong"#]],
    );
    check(
        &format!("{head}Filename: a.deb\nSize: 1\nSHA256: abc\n"),
        expect![[r#"package "aa": field SHA256 is missing or wrong"#]],
    );
    check(
        &format!("{head}Filename: a.deb\nSize: 1\nSHA256: DIGEST\nProvides: x (>= 1)\n"),
        expect![[r#"package "aa": field Provides is missing or wrong"#]],
    );
    check(
        "nonsense\n",
        expect![[r#""nonsense" is not of the form "Name: value""#]],
    );
}

#[test]
fn finds_names_and_provisions() {
    let package = |name: &str, provides: &str| {
        format!(
            "Package: {name}\nVersion: 1\nArchitecture: all\nFilename: a.deb\nSize: 1\n\
             SHA256: DIGEST\nProvides: {provides}\n\n"
        )
    };
    let text =
        package("mawk", "awk") + &package("gawk", "awk, gnu-awk (= 5)") + &package("mawk", "");
    let index = parse(&text).unwrap();
    assert_eq!(
        (
            index.len(),
            index.named("mawk").count(),
            index.named("awk").count()
        ),
        (3, 2, 0)
    );
    let providers = |name: &str| -> Vec<_> {
        index
            .providers(name)
            .map(|(package, version)| (package.name(), version))
            .collect()
    };
    assert_eq!(providers("awk"), [("gawk", None), ("mawk", None)]);
    assert_eq!(providers("gnu-awk"), [("gawk", Some("5"))]);
    assert_eq!(providers("none"), []);
}

proptest! {
    #[test]
    fn hostile_indices_never_panic(
        lines in proptest::collection::vec(
            "(Package|Version|Architecture|Filename|Size|SHA256|Provides|Source|Depends|)(: ?|)\
             (aa|1|all|a/b|DIGEST|x \\(= 1\\)|[ -~é\n]{0,20})\n{1,2}", 0..24),
    ) {
        if let Ok(index) = parse(&lines.concat()) {
            for package in index.packages() {
                prop_assert!(index.named(package.name()).any(|other| other == package));
                show(package);
            }
        }
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(Index::parse(bytes.as_slice(), "amd64"));
    }
}
