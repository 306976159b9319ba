//! Which question comes next, and whether what is typed answers it. Nothing here has an effect.

use anyhow::Result;
use cairn_system::UserName;

use super::super::answers::{Answers, Secret};
use super::super::words::{HostName, PasswordHash, SshKey};
use super::draft::Draft;
use super::names::{choose, mebibytes, size};
use super::offers::{self, Offers};
use super::question::{Prompt, Question, file_system};

/// The shortest passphrase of a disk: whoever has the disk can try as many as he likes.
const SHORTEST_PASSPHRASE: usize = 8;

/// The longest passphrase that cryptsetup takes from a terminal.
pub const LONGEST_PASSPHRASE: usize = 512;

/// Goes back.
const BACK: &str = "<";

/// The dialogue, at one of its questions.
#[derive(Debug)]
pub struct Dialogue<'a> {
    offers: &'a Offers,
    draft: Draft,
    question: Question,
    /// The questions that led here.
    before: Vec<Question>,
}

/// What an answer has led to.
#[derive(Debug)]
pub struct Taken {
    /// What was understood, if that is not what was typed.
    pub note: Option<String>,
    /// What comes.
    pub turn: Turn,
}

/// What comes after an answer.
#[derive(Debug)]
pub enum Turn {
    /// A question.
    Question,
    /// The same, and from now on what is typed comes from this keyboard.
    Keyboard(String),
    /// Everything is answered, and the plan is to be shown.
    Plan(Box<Answers>),
    /// The plan is agreed to.
    Agreed(Box<Answers>),
}

/// The hash of a password.
pub type Hash<'a> = &'a dyn Fn(&str) -> Result<PasswordHash>;

/// Why an answer is none.
type Refusal = String;

impl<'a> Dialogue<'a> {
    /// At its first question.
    #[must_use]
    pub fn new(offers: &'a Offers) -> Self {
        Self {
            offers,
            draft: Draft::new(offers),
            question: Question::Keyboard,
            before: Vec::new(),
        }
    }

    /// The question.
    #[must_use]
    pub fn prompt(&self) -> Prompt {
        self.question.prompt(&self.draft, self.offers)
    }

    /// The plan is there, and is asked about.
    pub fn show_plan(&mut self, plan: String) {
        self.draft.plan = plan;
        self.go(Question::Agreement);
    }

    /// From the disk on again, with what was answered as what Enter takes: the answers lead to no plan.
    pub fn restart(&mut self) {
        self.before = vec![Question::Keyboard];
        self.question = Question::Disk;
    }

    /// Takes a line. The inner error is what is wrong with it; the question stays.
    ///
    /// # Errors
    /// A password cannot be hashed.
    pub fn take(&mut self, line: &str, hash: Hash<'_>) -> Result<Result<Taken, Refusal>> {
        let is_secret = self.prompt().echo == super::Echo::Hidden;
        let line = if is_secret { line } else { line.trim() };
        if line == BACK {
            return Ok(self.back());
        }
        if let Some(refusal) = illegible(line) {
            return Ok(Err(refusal.to_owned()));
        }
        let note = match self.answer(line, hash)? {
            Ok(note) => note,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let keyboard = self.question == Question::Keyboard;
        let turn = match (self.question.next(&self.draft, self.offers), self.question) {
            (Some(next), _) => {
                self.go(next);
                if keyboard {
                    Turn::Keyboard(self.draft.keyboard.clone())
                } else {
                    Turn::Question
                }
            }
            (None, question) => match self.draft.answers(self.offers) {
                Ok(Some(answers)) if question == Question::Agreement => {
                    Turn::Agreed(Box::new(answers))
                }
                Ok(Some(answers)) => Turn::Plan(Box::new(answers)),
                Ok(None) => return Ok(Err("there is no disk to install to".to_owned())),
                Err(error) => return Ok(Err(error.to_string())),
            },
        };
        Ok(Ok(Taken { note, turn }))
    }

    fn go(&mut self, next: Question) {
        self.before.push(self.question);
        self.question = next;
    }

    fn back(&mut self) -> Result<Taken, Refusal> {
        // What was typed the first time is not kept: it is asked for both times again.
        let Some(question) = std::iter::from_fn(|| self.before.pop()).find(|it| !it.is_again())
        else {
            return Err("this is the first question; Ctrl-C leaves".to_owned());
        };
        self.question = question;
        self.draft.first_entry = None;
        Ok(Taken {
            note: None,
            turn: Turn::Question,
        })
    }

    /// Notes the answer. What was understood, if that is not what was typed.
    fn answer(&mut self, line: &str, hash: Hash<'_>) -> Result<Result<Option<String>, Refusal>> {
        Ok(match self.question {
            Question::Disk => self.disk(line).map(Some),
            Question::Passphrase => passphrase(line).map(|secret| {
                self.draft.first_entry = Some(secret);
                None
            }),
            Question::RootPassword if self.draft.user.is_some() => self.password(line, Need::May),
            Question::UserPassword | Question::RootPassword => self.password(line, Need::Must),
            Question::PassphraseAgain
            | Question::UserPasswordAgain
            | Question::RootPasswordAgain => {
                let question = self.question;
                match self.same(line) {
                    Ok(secret) => self
                        .keep_secret(question, secret, hash)
                        .map(|()| Ok(None))?,
                    Err(refusal) => Err(refusal),
                }
            }
            Question::Agreement if line == self.draft.disk_name(self.offers) => Ok(None),
            Question::Agreement => Err(format!(
                "'{line}' is not '{}'; < goes back, Ctrl-C leaves",
                self.draft.disk_name(self.offers)
            )),
            _ => self.text(line),
        })
    }

    /// The questions whose answers are seen.
    fn text(&mut self, line: &str) -> Result<Option<String>, Refusal> {
        let (draft, offers) = (&mut self.draft, self.offers);
        match self.question {
            Question::FileSystem => keep(line, &mut draft.file_system, |line| {
                file_system(&line.to_lowercase())
                    .ok_or_else(|| format!("'{line}' is none of ext4, btrfs, xfs"))
            }),
            Question::Encryption => keep(line, &mut draft.encrypted, yes_no),
            Question::Swap => {
                keep(line, &mut draft.swap_mib, |line| {
                    mebibytes(line).ok_or_else(|| format!("'{line}' is no size like 512M or 2G"))
                })?;
                let understood = size(draft.swap_mib);
                Ok((!line.is_empty() && line != understood)
                    .then(|| format!("swap space: {understood}")))
            }
            Question::HostName => keep(line, &mut draft.host_name, |line| {
                HostName::try_from(line)
                    .map(String::from)
                    .map_err(|error| error.to_string())
            }),
            Question::TimeZone => {
                named("time zone", &offers.time_zones, line, &mut draft.time_zone)
            }
            Question::Locale => named("language", &offers.locales, line, &mut draft.locale),
            Question::Keyboard => named("keyboard", &offers.keyboards, line, &mut draft.keyboard),
            Question::User => keep(line, &mut draft.user, user),
            Question::UserKey => keep(line, &mut draft.user_key, ssh_key),
            _ => keep(line, &mut draft.ssh, yes_no),
        }
    }

    fn keep_secret(&mut self, question: Question, secret: Secret, hash: Hash<'_>) -> Result<()> {
        match question {
            Question::PassphraseAgain => self.draft.passphrase = Some(secret),
            Question::UserPasswordAgain => {
                self.draft.user_password = Some(hash(secret.reveal())?);
            }
            _ => self.draft.root_password = Some(hash(secret.reveal())?),
        }
        Ok(())
    }

    /// By its number in the list, its name or its path. With Enter alone, the one that was chosen before,
    /// or the only one.
    fn disk(&mut self, line: &str) -> Result<String, Refusal> {
        let number = line
            .parse::<usize>()
            .ok()
            .and_then(|number| number.checked_sub(1));
        let place = if line.is_empty() {
            self.draft.disk.or_else(|| self.offers.only_disk())
        } else {
            let is_named = |disk| offers::name(disk) == line || disk.path.as_os_str() == line;
            self.offers.usable().position(is_named).or(number)
        };
        let found = place.and_then(|place| Some((place, self.offers.usable().nth(place)?)));
        let Some((place, disk)) = found else {
            if self.offers.usable().next().is_none() {
                return Err("there is no disk that could have the system; Ctrl-C leaves".to_owned());
            }
            return Err(match line {
                "" => "type the number of one of them".to_owned(),
                _ => format!("'{line}' is none of them; type the number of one"),
            });
        };
        self.draft.disk = Some(place);
        Ok(disk.path.display().to_string())
    }

    fn password(&mut self, line: &str, need: Need) -> Result<Option<String>, Refusal> {
        match (line, need) {
            ("", Need::May) => {
                self.draft.first_entry = None;
                self.draft.root_password = None;
            }
            ("", Need::Must) => return Err("it needs a password".to_owned()),
            _ => self.draft.first_entry = Some(Secret::new(line.to_owned())),
        }
        Ok(None)
    }

    /// What was typed twice. If it was not the same, it is asked for from the first time on.
    fn same(&mut self, line: &str) -> Result<Secret, Refusal> {
        let first = self.draft.take_entry();
        match first {
            Some(first) if first.reveal() == line => Ok(first),
            _ => {
                if let Some(question) = self.before.pop() {
                    self.question = question;
                }
                Err("the two are not the same; once more".to_owned())
            }
        }
    }
}

/// Why nobody could type `line` again, if it is so.
pub fn illegible(line: &str) -> Option<&'static str> {
    // What was read is made text with this character in the place of all that is none.
    if line.contains(char::REPLACEMENT_CHARACTER) {
        return Some("there is a character in it that is not in UTF-8; type it again");
    }
    line.chars()
        .any(char::is_control)
        .then_some("there is a control character in it; type it again")
}

impl Offers {
    /// The place of the disk, if there is one alone.
    pub(super) fn only_disk(&self) -> Option<usize> {
        (self.usable().count() == 1).then_some(0)
    }
}

/// Whether Enter alone is an answer.
#[derive(Clone, Copy)]
enum Need {
    Must,
    May,
}

/// Sets `value` if something was typed.
fn keep<T>(
    line: &str,
    value: &mut T,
    parse: impl FnOnce(&str) -> Result<T, Refusal>,
) -> Result<Option<String>, Refusal> {
    if !line.is_empty() {
        *value = parse(line)?;
    }
    Ok(None)
}

/// Sets `value` to the name of which something was typed.
fn named(
    kind: &str,
    names: &[String],
    line: &str,
    value: &mut String,
) -> Result<Option<String>, Refusal> {
    keep(line, value, |line| {
        if names.is_empty() {
            return Ok(line.to_owned());
        }
        choose(kind, names, line)
    })?;
    Ok((!line.is_empty() && line != value).then(|| format!("{kind}: {value}")))
}

fn yes_no(line: &str) -> Result<bool, Refusal> {
    match line.to_lowercase().as_str() {
        "y" | "yes" => Ok(true),
        "n" | "no" => Ok(false),
        _ => Err(format!("'{line}' is neither yes nor no")),
    }
}

fn passphrase(line: &str) -> Result<Secret, Refusal> {
    let length = line.chars().count();
    if length < SHORTEST_PASSPHRASE {
        return Err(format!("it needs {SHORTEST_PASSPHRASE} characters or more"));
    }
    if line.len() > LONGEST_PASSPHRASE {
        return Err(format!("it may have {LONGEST_PASSPHRASE} bytes at most"));
    }
    if !line.is_ascii() {
        return Err(
            "only letters without accents, digits and signs can be typed at every boot".to_owned(),
        );
    }
    Ok(Secret::new(line.to_owned()))
}

fn user(line: &str) -> Result<Option<UserName>, Refusal> {
    match line {
        "-" => Ok(None),
        "root" => Err("root is there in any case, and is asked for below".to_owned()),
        name => UserName::try_from(name)
            .map(Some)
            .map_err(|error| error.to_string()),
    }
}

fn ssh_key(line: &str) -> Result<Option<SshKey>, Refusal> {
    if line == "-" {
        return Ok(None);
    }
    if line.contains("PRIVATE KEY") {
        return Err("that is a private key: it is to stay where it is; the public one is in the file with .pub".to_owned());
    }
    SshKey::try_from(line)
        .map(Some)
        .map_err(|error| error.to_string())
}
