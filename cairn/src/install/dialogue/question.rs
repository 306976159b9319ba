//! The questions in their order, and how they are put.

use super::super::answers::FileSystemKind;
use super::Echo;
use super::draft::Draft;
use super::offers::{Offers, line};

/// A question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    Keyboard,
    Disk,
    FileSystem,
    Encryption,
    Passphrase,
    PassphraseAgain,
    Swap,
    HostName,
    TimeZone,
    Locale,
    User,
    UserPassword,
    UserPasswordAgain,
    UserKey,
    RootPassword,
    RootPasswordAgain,
    Ssh,
    Agreement,
}

/// How a question is put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// What is shown before the answer, which stands on the last line.
    pub text: String,
    /// Whether the answer is seen.
    pub echo: Echo,
}

impl Question {
    /// The question after this one.
    pub(super) fn next(self, draft: &Draft, offers: &Offers) -> Option<Self> {
        Some(match self {
            Self::Keyboard => Self::Disk,
            Self::Disk => Self::FileSystem,
            Self::FileSystem => Self::Encryption,
            Self::Encryption if draft.encrypted => Self::Passphrase,
            Self::Passphrase => Self::PassphraseAgain,
            Self::Encryption | Self::PassphraseAgain => Self::Swap,
            Self::Swap => Self::HostName,
            Self::HostName => Self::TimeZone,
            Self::TimeZone if !offers.locales.is_empty() => Self::Locale,
            Self::TimeZone | Self::Locale => Self::User,
            Self::User if draft.user.is_none() => Self::RootPassword,
            Self::User => Self::UserPassword,
            Self::UserPassword => Self::UserPasswordAgain,
            Self::UserPasswordAgain => Self::UserKey,
            Self::UserKey => Self::RootPassword,
            Self::RootPassword if draft.first_entry.is_some() => Self::RootPasswordAgain,
            // Whoever has a key comes in with it.
            Self::RootPassword | Self::RootPasswordAgain if draft.key().is_some() => return None,
            Self::RootPassword | Self::RootPasswordAgain => Self::Ssh,
            Self::Ssh | Self::Agreement => return None,
        })
    }

    /// Whether it asks for the same once more.
    pub(super) fn is_again(self) -> bool {
        matches!(
            self,
            Self::PassphraseAgain | Self::UserPasswordAgain | Self::RootPasswordAgain
        )
    }

    /// How it is put, with what was answered before as what Enter takes.
    pub(super) fn prompt(self, draft: &Draft, offers: &Offers) -> Prompt {
        let (text, echo) = match self {
            Self::Disk => (disks(draft, offers), Echo::Shown),
            Self::FileSystem => (
                format!(
                    "\nFile system of the root: ext4, btrfs (with subvolumes for /, /home and /nix) or xfs.\n\
                     File system [{}]: ",
                    draft.file_system.name()
                ),
                Echo::Shown,
            ),
            Self::Encryption => (
                format!(
                    "\nThe disk can be encrypted. Each boot then asks for a passphrase.\nEncrypt [{}]: ",
                    yes_no(draft.encrypted)
                ),
                Echo::Shown,
            ),
            Self::Passphrase => ("Passphrase: ".to_owned(), Echo::Hidden),
            Self::PassphraseAgain => ("The passphrase again: ".to_owned(), Echo::Hidden),
            Self::Swap => (
                format!(
                    "\nSwap space, such as 512M or 2G; 0 for none.\nSwap space [{}]: ",
                    super::names::size(draft.swap_mib)
                ),
                Echo::Shown,
            ),
            Self::HostName => (
                format!("\nName of the machine [{}]: ", draft.host_name),
                Echo::Shown,
            ),
            Self::TimeZone => (
                format!(
                    "\nTime zone; a part of its name is enough.\nTime zone [{}]: ",
                    draft.time_zone
                ),
                Echo::Shown,
            ),
            Self::Locale => (
                format!(
                    "\nLanguage of programs, such as de_DE.UTF-8; a part of its name is enough.\n\
                     Language [{}]: ",
                    draft.locale
                ),
                Echo::Shown,
            ),
            Self::Keyboard => (
                format!(
                    "\nKeyboard on the console, such as de or fr; a part of its name is enough.\n\
                     Keyboard [{}]: ",
                    draft.keyboard
                ),
                Echo::Shown,
            ),
            Self::User => (
                format!(
                    "\nA person who logs in, and may become root with sudo: the login name; - for nobody.\n\
                     Login name [{}]: ",
                    draft.user.as_ref().map_or("-", |user| user.as_str())
                ),
                Echo::Shown,
            ),
            Self::UserPassword => (format!("Password of {}: ", draft.user_name()), Echo::Hidden),
            Self::UserPasswordAgain | Self::RootPasswordAgain => {
                ("The password again: ".to_owned(), Echo::Hidden)
            }
            Self::UserKey => (
                format!(
                    "\nAn SSH key that lets {} in: the line of a file like id_ed25519.pub; - for none.\n\
                     SSH key [{}]: ",
                    draft.user_name(),
                    draft.user_key.as_ref().map_or("-", |key| key.as_str())
                ),
                Echo::Shown,
            ),
            Self::RootPassword => (root_password(draft), Echo::Hidden),
            Self::Ssh => (
                format!(
                    "\nPeople can log in over the network, by SSH.\nSSH [{}]: ",
                    yes_no(draft.ssh)
                ),
                Echo::Shown,
            ),
            Self::Agreement => (
                format!(
                    "\n{}\nTo go on, type the disk's name, {}: ",
                    draft.plan,
                    draft.disk_name(offers)
                ),
                Echo::Shown,
            ),
        };
        Prompt { text, echo }
    }
}

fn yes_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

fn root_password(draft: &Draft) -> String {
    let rule = if draft.user.is_some() {
        "Without one, root does not log in; sudo still leads there.\nPassword of root [none]: "
    } else {
        "Nobody else logs in, so that it needs one.\nPassword of root: "
    };
    format!("\n{rule}")
}

fn disks(draft: &Draft, offers: &Offers) -> String {
    let mut lines = vec!["\nThe disk that the system goes on:".to_owned()];
    for (number, disk) in (1..).zip(offers.usable()) {
        lines.push(format!("  {number}  {}", line(disk)));
    }
    for disk in offers.unusable() {
        lines.push(format!("  -  {}", line(disk)));
        let reasons = disk.uses.iter();
        lines.extend(reasons.map(|reason| format!("     not this one: {reason}")));
    }
    lines.push(match draft.disk.or_else(|| offers.only_disk()) {
        Some(chosen) => format!("Disk [{}]: ", chosen + 1),
        None => "Disk: ".to_owned(),
    });
    lines.join("\n")
}

/// The file system of this name.
pub(super) fn file_system(name: &str) -> Option<FileSystemKind> {
    use FileSystemKind::{Btrfs, Ext4, Xfs};
    [Ext4, Btrfs, Xfs]
        .into_iter()
        .find(|kind| kind.name() == name)
}
