//! What has been answered so far.

use std::mem;

use cairn_system::UserName;

use super::super::answers::{Account, Answers, Encryption, FileSystemKind, Layout, Root, Secret};
use super::super::disks::Content;
use super::super::words::{HostName, Line, PasswordHash, SshKey, WordError};
use super::offers::{Offers, name};

/// The answers, at first those that Enter takes.
#[derive(Debug)]
pub(super) struct Draft {
    /// Its place among those that can be chosen.
    pub(super) disk: Option<usize>,
    pub(super) file_system: FileSystemKind,
    pub(super) encrypted: bool,
    pub(super) passphrase: Option<Secret>,
    pub(super) swap_mib: u32,
    pub(super) host_name: String,
    pub(super) time_zone: String,
    pub(super) locale: String,
    pub(super) keyboard: String,
    pub(super) user: Option<UserName>,
    pub(super) user_password: Option<PasswordHash>,
    pub(super) user_key: Option<SshKey>,
    pub(super) root_password: Option<PasswordHash>,
    pub(super) ssh: bool,
    /// A password until it has been typed a second time.
    pub(super) first_entry: Option<Secret>,
    /// What the answers lead to.
    pub(super) plan: String,
}

impl Draft {
    pub(super) fn new(offers: &Offers) -> Self {
        Self {
            disk: None,
            file_system: FileSystemKind::default(),
            encrypted: false,
            passphrase: None,
            swap_mib: offers.swap_mib,
            host_name: "cairn".to_owned(),
            time_zone: "UTC".to_owned(),
            locale: "C.UTF-8".to_owned(),
            keyboard: "us".to_owned(),
            user: None,
            user_password: None,
            user_key: None,
            root_password: None,
            ssh: false,
            first_entry: None,
            plan: String::new(),
        }
    }

    /// The key of the person that there is.
    pub(super) fn key(&self) -> Option<&SshKey> {
        self.user_key.as_ref().filter(|_| self.user.is_some())
    }

    pub(super) fn user_name(&self) -> &str {
        self.user.as_ref().map_or("", UserName::as_str)
    }

    /// The chosen disk's name without its folder: `sda`.
    pub(super) fn disk_name<'a>(&self, offers: &'a Offers) -> &'a str {
        let disk = self.disk.and_then(|place| offers.usable().nth(place));
        disk.map_or("", name)
    }

    /// Takes the password that was typed first.
    pub(super) fn take_entry(&mut self) -> Option<Secret> {
        mem::take(&mut self.first_entry)
    }

    /// All of it; nothing if there is no disk.
    pub(super) fn answers(&self, offers: &Offers) -> Result<Option<Answers>, WordError> {
        let Some(disk) = self.disk.and_then(|place| offers.usable().nth(place)) else {
            return Ok(None);
        };
        let passphrase = self.passphrase.clone().filter(|_| self.encrypted);
        let users = match &self.user {
            Some(name) => vec![Account {
                name: name.clone(),
                full_name: None,
                hashed_password: self.user_password.clone(),
                ssh_keys: self.user_key.iter().cloned().collect(),
                administrator: true,
            }],
            None => Vec::new(),
        };
        let said = |text: &str, default: &str| {
            if text == default {
                Ok(None)
            } else {
                Line::try_from(text).map(Some)
            }
        };
        Ok(Some(Answers {
            disk: disk.path.clone(),
            wipe: disk.content != Content::Nothing,
            host_name: Some(HostName::try_from(self.host_name.as_str())?),
            time_zone: Some(Line::try_from(self.time_zone.as_str())?),
            locale: said(&self.locale, "C.UTF-8")?,
            keyboard: said(&self.keyboard, "us")?,
            // A key brings it along.
            extra: (self.ssh && self.key().is_none())
                .then(|| "services.openssh.enable = true;".to_owned()),
            configuration: None,
            layout: Layout {
                file_system: self.file_system,
                swap_mib: self.swap_mib,
                encryption: passphrase.map(Encryption::Passphrase),
            },
            root: Root {
                hashed_password: self.root_password.clone(),
                ssh_keys: Vec::new(),
            },
            users,
        }))
    }
}
