//! A release file: what the archive vouches for, and until when.
//!
//! Source: Debian's repository format. The text that is parsed here has been verified
//! ([`crate::signature`]).

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use cairn_store_path::Sha256;

use crate::control::{Paragraph, ParseControlError};
use crate::date::parse_date;
use crate::lock::is_safe_filename;

/// How far in the future a release may be dated: clocks differ.
const CLOCK_TOLERANCE: Duration = Duration::from_hours(24);

/// The fields of a release file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Who made it, such as `Debian`.
    pub origin: String,
    /// The suite, such as `stable`.
    pub suite: String,
    /// The codename, such as `bookworm`.
    pub codename: String,
    /// The date as written.
    pub date: String,
    /// The same, understood.
    pub signed: SystemTime,
    /// When it must have been replaced, if it says so.
    pub valid_until: Option<SystemTime>,
    /// Whether files are also reachable by their digest.
    pub by_hash: bool,
    /// Whether its packages are only taken if nothing else has them, as in backports.
    pub not_automatic: bool,
    /// Whether packages for `all` are listed in an index of their own.
    pub index_for_all: bool,
    /// The files below the suite's folder.
    pub files: BTreeMap<String, ReleaseFile>,
}

/// A file that the release vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReleaseFile {
    /// Its digest.
    pub sha256: Sha256,
    /// Its size in bytes.
    pub size: u64,
}

/// Why a verified release file is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    /// The text is no release file.
    #[error("{0}")]
    Control(#[from] ParseControlError),
    /// A field is missing or has an unusable value.
    #[error("field {0} is missing or wrong")]
    Field(&'static str),
    /// Another suite than the one asked for.
    #[error("it is for suite {suite} ({codename})")]
    OtherSuite {
        /// The file's suite.
        suite: String,
        /// The file's codename.
        codename: String,
    },
    /// Past its `Valid-Until`.
    #[error(
        "it was valid until {0} only: the mirror is out of date, or someone holds back updates; \
         use another mirror, or accept expired releases for an archive of the past"
    )]
    Expired(String),
    /// Dated in the future.
    #[error("it is dated {0}, in the future; is this computer's clock right?")]
    Future(String),
}

impl Release {
    /// Reads the text of a release file.
    ///
    /// # Errors
    /// [`ReleaseError::Control`] and [`ReleaseError::Field`].
    pub fn parse(text: &str) -> Result<Self, ReleaseError> {
        let paragraph = Paragraph::parse(text)?;
        let field = |name| paragraph.get(name).unwrap_or_default().to_owned();
        let date = field("Date");
        let valid_until = paragraph.get("Valid-Until").map(parse_date);
        let lists_all = field("Architectures")
            .split_ascii_whitespace()
            .any(|name| name == "all");
        Ok(Self {
            origin: field("Origin"),
            suite: field("Suite"),
            codename: field("Codename"),
            signed: parse_date(&date).ok_or(ReleaseError::Field("Date"))?,
            date,
            valid_until: match valid_until {
                Some(None) => return Err(ReleaseError::Field("Valid-Until")),
                Some(Some(until)) => Some(until),
                None => None,
            },
            by_hash: field("Acquire-By-Hash").eq_ignore_ascii_case("yes"),
            not_automatic: field("NotAutomatic").eq_ignore_ascii_case("yes"),
            index_for_all: lists_all
                && !field("No-Support-for-Architecture-all").contains("Packages"),
            files: files(
                paragraph
                    .get("SHA256")
                    .ok_or(ReleaseError::Field("SHA256"))?,
            )?,
        })
    }

    /// Whether this release answers for `suite` (a suite or codename) at the time `now`.
    ///
    /// # Errors
    /// [`ReleaseError::OtherSuite`], [`ReleaseError::Future`], and unless `accept_expired`,
    /// [`ReleaseError::Expired`].
    pub fn check(
        &self,
        suite: &str,
        now: SystemTime,
        accept_expired: bool,
    ) -> Result<(), ReleaseError> {
        if ![&self.suite, &self.codename].contains(&&suite.to_owned()) {
            let (suite, codename) = (self.suite.clone(), self.codename.clone());
            return Err(ReleaseError::OtherSuite { suite, codename });
        }
        if self.signed > now + CLOCK_TOLERANCE {
            return Err(ReleaseError::Future(self.date.clone()));
        }
        match self.valid_until {
            Some(until) if until < now && !accept_expired => {
                Err(ReleaseError::Expired(format_day(until)))
            }
            _ => Ok(()),
        }
    }

    /// The compressed package index of a component for an architecture: its path below the
    /// suite's folder, and what the release vouches for.
    #[must_use]
    pub fn package_index(
        &self,
        component: &str,
        architecture: &str,
    ) -> Option<(String, ReleaseFile)> {
        let path = |suffix| format!("{component}/binary-{architecture}/Packages{suffix}");
        [".xz", ".gz"].into_iter().map(path).find_map(|path| {
            let file = *self.files.get(&path)?;
            Some((path, file))
        })
    }
}

fn files(field: &str) -> Result<BTreeMap<String, ReleaseFile>, ReleaseError> {
    let file = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let sha256 = crate::digest::parse(words.next()?)?;
        let size = words.next()?.parse().ok()?;
        let path = words.next().filter(|path| is_safe_filename(path))?;
        words
            .next()
            .is_none()
            .then(|| (path.to_owned(), ReleaseFile { sha256, size }))
    };
    let lines = field.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| file(line).ok_or(ReleaseError::Field("SHA256")))
        .collect()
}

fn format_day(time: SystemTime) -> String {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    crate::date::format_date(since.as_secs())
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "Origin: Debian\nSuite: stable-security\nCodename: bookworm-security\n\
        Date: Fri, 20 Nov 2026 00:12:41 UTC\nValid-Until: Fri, 27 Nov 2026 00:12:41 UTC\n\
        Acquire-By-Hash: yes\nArchitectures: all amd64\nSHA256:\n \
        e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 0 main/binary-amd64/Packages.xz\n";

    #[expect(clippy::needless_pass_by_value, reason = "reads better in the tests")]
    fn check(suite: &str, now: &str, accept_expired: bool, expected: Expect) {
        let release = Release::parse(TEXT).unwrap();
        let verdict = release.check(suite, parse_date(now).unwrap(), accept_expired);
        expected.assert_eq(&verdict.map_or_else(|error| error.to_string(), |()| "good".into()));
    }

    #[test]
    fn suite_and_time() {
        let now = "21 Nov 2026 00:00:00 UTC";
        check("bookworm-security", now, false, expect!["good"]);
        check("stable-security", now, false, expect!["good"]);
        check(
            "trixie-security",
            now,
            false,
            expect!["it is for suite stable-security (bookworm-security)"],
        );
        let late = "28 Nov 2026 00:00:00 UTC";
        check(
            "stable-security",
            late,
            false,
            expect![
                "it was valid until 2026-11-27 only: the mirror is out of date, or someone holds back updates; use another mirror, or accept expired releases for an archive of the past"
            ],
        );
        check("stable-security", late, true, expect!["good"]);
        let early = "10 Nov 2026 00:00:00 UTC";
        check(
            "stable-security",
            early,
            true,
            expect![
                "it is dated Fri, 20 Nov 2026 00:12:41 UTC, in the future; is this computer's clock right?"
            ],
        );
    }

    #[test]
    fn index_of_a_component() {
        let release = Release::parse(TEXT).unwrap();
        assert!(release.index_for_all && release.by_hash && !release.not_automatic);
        let (path, file) = release.package_index("main", "amd64").unwrap();
        assert_eq!(
            (path.as_str(), file.size),
            ("main/binary-amd64/Packages.xz", 0)
        );
        assert_eq!(release.package_index("contrib", "amd64"), None);
    }

    proptest! {
        #[test]
        fn hostile_releases_never_panic(
            lines in proptest::collection::vec("(Date|Valid-Until|SHA256|Suite): ?[0-9a-f :/.,JanUTC\n]{0,60}", 0..6),
        ) {
            if let Ok(release) = Release::parse(&lines.join("\n")) {
                let _verdict = release.check("a", SystemTime::now(), false);
            }
        }
    }
}
