//! The file of an unattended installation: TOML.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::answers::Answers;

/// Why there are no answers.
#[derive(Debug, thiserror::Error)]
pub enum AnswersError {
    /// There is no such file.
    #[error("cannot read the answers '{}': {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no TOML. The line itself is not shown, here and below: it may have a password.
    #[error("cannot read the answers: at line {line}: {problem}")]
    Syntax {
        /// The line.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// A field is unknown, missing or of the wrong kind.
    #[error("cannot use the answers: at line {line}: at '{field}': {problem}")]
    Field {
        /// The line.
        line: usize,
        /// Its path, such as `users[1].name`.
        field: String,
        /// What is wrong.
        problem: String,
    },
    /// Each field is well-formed, but they contradict each other.
    #[error("cannot use the answers: {0}")]
    Contradiction(String),
}

impl Answers {
    /// The answers in a file.
    ///
    /// # Errors
    /// See [`AnswersError`].
    pub fn read(path: &Path) -> Result<Self, AnswersError> {
        let text = fs::read_to_string(path).map_err(|source| AnswersError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text)
    }

    /// The answers that `text` is.
    ///
    /// # Errors
    /// See [`AnswersError`].
    pub fn parse(text: &str) -> Result<Self, AnswersError> {
        let problem = |error: &toml::de::Error| (line_of(text, error), error.message().to_owned());
        let document = toml::Deserializer::parse(text).map_err(|error| {
            let (line, problem) = problem(&error);
            AnswersError::Syntax { line, problem }
        })?;
        let answers: Self = serde_path_to_error::deserialize(document).map_err(|error| {
            let field = error.path().to_string();
            let (line, problem) = problem(error.inner());
            let problem = in_plain_words(without_secrets(&field, problem));
            AnswersError::Field {
                line,
                field,
                problem,
            }
        })?;
        answers.check().map_err(AnswersError::Contradiction)?;
        Ok(answers)
    }

    /// Whether the answers go together.
    fn check(&self) -> Result<(), String> {
        let mut names: Vec<&str> = self.users.iter().map(|user| user.name.as_str()).collect();
        names.sort_unstable();
        for pair in names.windows(2) {
            if let [one, other] = pair
                && one == other
            {
                return Err(format!("two users are called '{one}'"));
            }
        }
        if names.contains(&"root") {
            return Err("root is no user of that list; write [root]".to_owned());
        }
        if self.configuration.is_none() {
            return Ok(());
        }
        let generated = [
            ("host-name", self.host_name.is_some()),
            ("time-zone", self.time_zone.is_some()),
            ("locale", self.locale.is_some()),
            ("keyboard", self.keyboard.is_some()),
            ("extra", self.extra.is_some()),
            ("users", !self.users.is_empty()),
            ("root.ssh-keys", !self.root.ssh_keys.is_empty()),
        ];
        match generated.iter().find(|(_, given)| *given) {
            Some((field, _)) => Err(format!(
                "'{field}' says what is in a configuration that is written, and 'configuration' names \
                 one that is ready; leave one of them out"
            )),
            None => Ok(()),
        }
    }
}

/// What is wrong with a field, without what stands there if that is nobody's business.
fn without_secrets(field: &str, problem: String) -> String {
    let is_secret = ["password", "encryption"]
        .iter()
        .any(|word| field.contains(word));
    match problem.split_once(", expected ") {
        Some((_, expected)) if is_secret => {
            format!("something else stands there; expected {expected}")
        }
        _ => problem,
    }
}

/// What Rust and its libraries say, as the file's language has it.
fn in_plain_words(problem: String) -> String {
    const WORDS: [(&str, &str); 5] = [
        ("expected path string", "expected a path"),
        (
            "expected u32",
            "expected a whole number from 0 to 4294967295",
        ),
        ("expected struct ", "expected a table, "),
        ("expected a sequence", "expected a list"),
        (
            "wanted exactly 1 element, more than 1 element",
            "one of them excludes the others",
        ),
    ];
    let found = WORDS.iter().find(|(theirs, _)| problem.contains(theirs));
    match found {
        Some((theirs, ours)) => problem.replace(theirs, ours),
        None => problem,
    }
}

/// The number of the line that `error` is about.
fn line_of(text: &str, error: &toml::de::Error) -> usize {
    let start = error.span().map_or(0, |span| span.start);
    text.bytes()
        .take(start)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: &Expect) {
        let shown = match Answers::parse(text) {
            Ok(answers) => format!("{answers:#?}"),
            Err(error) => error.to_string(),
        };
        expected.assert_eq(&shown);
    }

    /// Logs of installations are read by others.
    #[test]
    fn no_error_shows_a_secret() {
        for text in [
            "[root]\nhashed-password = 'geheim'",
            "[root]\nhashed-password = 4711",
            "[layout]\nencryption = 'geheim'",
            "[layout.encryption]\npassphrase = 4711",
            "[layout.encryption]\npassphrase = 'geheim",
            "[layout.encryption]\npassphrase = 'geheim' 'x'",
            "[[users]]\nname = 'anna'\nhashed-password = ['geheim']",
        ] {
            let text = format!("disk = '/dev/x'\n{text}");
            let error = anyhow::Error::from(Answers::parse(&text).unwrap_err());
            let shown = crate::message(&error);
            assert!(
                !shown.contains("geheim") && !shown.contains("4711"),
                "{shown}"
            );
            assert!(
                shown.contains("at line ") && !shown.contains('\n'),
                "{shown}"
            );
        }
    }

    #[test]
    fn everything_that_can_be_said() {
        check(
            r#"
disk = "/dev/disk/by-id/nvme-disk"
wipe = true
host-name = "box"
time-zone = "Europe/Berlin"
locale = "de_DE.UTF-8"
keyboard = "de"
extra = "services.openssh.enable = true;"

[layout]
file-system = "btrfs"
swap-mib = 2048
encryption.passphrase = "a secret"

[root]
hashed-password = "!"
ssh-keys = ["ssh-ed25519 AAAA root"]

[[users]]
name = "anna"
full-name = "Anna Example"
hashed-password = "$6$salt$0123456789abcdef"
ssh-keys = ["ssh-ed25519 AAAA anna"]
administrator = true
"#,
            &expect![[r#"
                Answers {
                    disk: "/dev/disk/by-id/nvme-disk",
                    wipe: true,
                    host_name: Some(
                        "box",
                    ),
                    time_zone: Some(
                        "Europe/Berlin",
                    ),
                    locale: Some(
                        "de_DE.UTF-8",
                    ),
                    keyboard: Some(
                        "de",
                    ),
                    extra: Some(
                        "services.openssh.enable = true;",
                    ),
                    configuration: None,
                    layout: Layout {
                        file_system: Btrfs,
                        swap_mib: 2048,
                        encryption: Some(
                            Passphrase(
                                Secret(…),
                            ),
                        ),
                    },
                    root: Root {
                        hashed_password: Some(
                            PasswordHash(…),
                        ),
                        ssh_keys: [
                            "ssh-ed25519 AAAA root",
                        ],
                    },
                    users: [
                        Account {
                            name: UserName(
                                "anna",
                            ),
                            full_name: Some(
                                "Anna Example",
                            ),
                            hashed_password: Some(
                                PasswordHash(…),
                            ),
                            ssh_keys: [
                                "ssh-ed25519 AAAA anna",
                            ],
                            administrator: true,
                        },
                    ],
                }"#]],
        );
    }

    #[test]
    fn the_least() {
        check(
            "disk = \"/dev/sda\"",
            &expect![[r#"
            Answers {
                disk: "/dev/sda",
                wipe: false,
                host_name: None,
                time_zone: None,
                locale: None,
                keyboard: None,
                extra: None,
                configuration: None,
                layout: Layout {
                    file_system: Ext4,
                    swap_mib: 0,
                    encryption: None,
                },
                root: Root {
                    hashed_password: None,
                    ssh_keys: [],
                },
                users: [],
            }"#]],
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expected) in [
            (
                "",
                expect!["cannot use the answers: at line 1: at '.': missing field `disk`"],
            ),
            (
                "disk = ",
                expect![
                    "cannot read the answers: at line 1: string values must be quoted, expected literal string"
                ],
            ),
            (
                "disk = '/dev/sda'\ndisc = 1",
                expect![
                    "cannot use the answers: at line 2: at 'disc': unknown field `disc`, expected one of `disk`, `wipe`, `host-name`, `time-zone`, `locale`, `keyboard`, `extra`, `configuration`, `layout`, `root`, `users`"
                ],
            ),
            (
                "disk = '/dev/sda'\nlayout.encryption.pass = 'x'",
                expect![
                    "cannot use the answers: at line 2: at 'layout.encryption': something else stands there; expected `passphrase` or `passphrase-file`"
                ],
            ),
            (
                "disk = '/dev/sda'\nlayout.swap = 1",
                expect![
                    "cannot use the answers: at line 2: at 'layout.swap': unknown field `swap`, expected one of `file-system`, `swap-mib`, `encryption`"
                ],
            ),
            (
                "disk = '/dev/sda'\nlayout.file-system = 'zfs'",
                expect![
                    "cannot use the answers: at line 2: at 'layout.file-system': unknown variant `zfs`, expected one of `ext4`, `btrfs`, `xfs`"
                ],
            ),
            (
                "disk = '/dev/sda'\nhost-name = 'a b'",
                expect![
                    "cannot use the answers: at line 2: at 'host-name': that is no host name; 1 to 63 letters, digits and hyphens are allowed, a hyphen neither first nor last"
                ],
            ),
            (
                "disk = '/dev/sda'\nusers = [{ name = 'a' }, { name = 'b', hashed-password = 'x' }]",
                expect![
                    "cannot use the answers: at line 2: at 'users[1].hashed-password': that is no hash of a password; mkpasswd prints one; a password itself does not belong here"
                ],
            ),
            (
                "disk = '/dev/sda'\nusers = [{ name = 'a' }, { name = 'a' }]",
                expect!["cannot use the answers: two users are called 'a'"],
            ),
            (
                "disk = '/dev/sda'\nusers = [{ name = 'root' }]",
                expect!["cannot use the answers: root is no user of that list; write [root]"],
            ),
            (
                "disk = '/dev/sda'\nconfiguration = '/x.nix'\nkeyboard = 'de'",
                expect![
                    "cannot use the answers: 'keyboard' says what is in a configuration that is written, and 'configuration' names one that is ready; leave one of them out"
                ],
            ),
        ] {
            check(text, &expected);
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let text = "disk = '/dev/sda'\nlayout.encryption.passphrase = 'open sesame'\n\
                    root.hashed-password = '$6$salt$0123456789abcdef'";
        let shown = format!("{:?}", Answers::parse(text).unwrap());
        assert!(
            !shown.contains("sesame") && !shown.contains("salt"),
            "{shown}"
        );
    }
}
