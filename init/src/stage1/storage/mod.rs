//! What is opened before it can be mounted: devices in LUKS, volume groups of LVM, arrays of software
//! RAID; and the memory of a machine that fell asleep.
//!
//! [`plan`] decides what is next whenever a device has come; here it is done, by Debian's own programs,
//! which the initrd has if the configuration needs them. There is no udev, and the programs are told so:
//! they make their nodes in `/dev` themselves.
//!
//! Invariants: a secret is on no command line and in no log, and is overwritten when stage 1 ends;
//! an array that is not whole is started only when the time for its members is over, and that is said.

mod arrays;
mod groups;
mod luks;
mod passphrase;
mod plan;
mod resume;
mod tpm;

use std::time::{Duration, Instant};

use cairn_system::{Device, EncryptedDevice, Storage};

use super::block::{Block, Blocks};
use super::failure::Stage1Error;
use super::hardware::{Hardware, Waiting};
use cairn_probe::{LVM_MEMBER, RAID_MEMBER};

use luks::{Asked, Typed, Unattended};
use plan::{Key, Lock, Progress, Sight, Step};

pub use resume::resume;

/// No daemon makes nodes for programs that use the device mapper.
const NO_UDEV: (&str, &str) = ("DM_DISABLE_UDEV", "1");

/// What is opened, and how far that is.
#[derive(Debug)]
pub struct Opener {
    wishes: Storage,
    progress: Progress,
    start: Instant,
    /// How long devices of keys are waited for.
    patience: Duration,
    /// PINs and passphrases that have opened a device.
    known: Vec<Typed>,
    /// Whether arrays and groups were started without some of their members.
    incomplete_started: bool,
}

/// What the opener has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advance {
    /// Something was done: look again.
    Done,
    /// There is nothing to do before a device comes, or before so much time has passed.
    Idle(Option<Duration>),
}

impl Opener {
    /// Nothing is open yet. What the programs need of the kernel is loaded.
    #[must_use]
    pub fn new(wishes: &Storage, patience: Duration, hardware: &mut Hardware) -> Self {
        let mut modules = Vec::new();
        if !wishes.encrypted.is_empty() || wishes.volume_groups {
            modules.push("dm_mod");
        }
        if wishes.arrays {
            modules.push("md_mod");
        }
        for module in modules {
            if let Err(error) = hardware.autoload.load(module) {
                log::warn!("{error}");
            }
        }
        Self {
            wishes: wishes.clone(),
            progress: Progress::default(),
            start: Instant::now(),
            patience,
            known: Vec::new(),
            incomplete_started: false,
        }
    }

    /// Does what is next.
    pub fn advance(&mut self, hardware: &mut Hardware) -> Advance {
        let now = self.start.elapsed();
        let sight = hardware.with_blocks(|blocks| self.sight(blocks));
        match self.progress.next(&sight, now) {
            Step::AddToArray(name) => arrays::add(&name),
            Step::AddToGroup(name) => groups::add(&name),
            Step::UseKey(index) => self.use_key(index, hardware),
            Step::Ask(index) => self.ask(index, hardware),
            Step::GiveUp(index) => {
                if let Some(device) = self.wishes.encrypted.get(index) {
                    log::error!("{} stays locked: its key did not come", device.name);
                }
            }
            Step::Wait(until) => {
                return Advance::Idle(until.map(|until| until.saturating_sub(now)));
            }
        }
        Advance::Done
    }

    /// Starts arrays and groups without the members that did not come; whether there is anything that
    /// it may have started.
    pub fn start_incomplete(&mut self, hardware: &Hardware) -> bool {
        if std::mem::replace(&mut self.incomplete_started, true) {
            return false;
        }
        let arrays = self.wishes.arrays && arrays::start_incomplete();
        let is_volume = |block: &Block| block.kind() == LVM_MEMBER;
        let has_volumes =
            self.wishes.volume_groups && hardware.with_blocks(|blocks| blocks.all().any(is_volume));
        if has_volumes {
            groups::start_incomplete();
        }
        arrays || has_volumes
    }

    fn sight(&self, blocks: &Blocks) -> Sight {
        let of_kind = |wished: bool, kind: &str| {
            let all = blocks.all().filter(|block| wished && block.kind() == kind);
            all.map(|block| block.name.clone()).collect()
        };
        Sight {
            array_members: of_kind(self.wishes.arrays, RAID_MEMBER),
            physical_volumes: of_kind(self.wishes.volume_groups, LVM_MEMBER),
            encrypted: self
                .wishes
                .encrypted
                .iter()
                .map(|device| Lock {
                    is_open: is_open(blocks, device.name.as_str()),
                    // Opening it tells of several.
                    is_there: blocks.find(&device.device) != Ok(None)
                        && device
                            .header
                            .as_ref()
                            .is_none_or(|place| is_there(blocks, place)),
                    key: self.key(device, blocks),
                })
                .collect(),
        }
    }

    fn key(&self, device: &EncryptedDevice, blocks: &Blocks) -> Key {
        let (patience, or_people) = match (&device.key_file, &device.tpm2) {
            (Some(file), _) => {
                let seconds = file.timeout_seconds.map(u64::from);
                let patience = seconds.map_or(self.patience, Duration::from_secs);
                (patience, file.or_passphrase)
            }
            (None, Some(tpm)) => (Duration::from_secs(tpm.timeout_seconds.into()), true),
            (None, None) => return Key::None,
        };
        if luks::has_key(device, blocks) {
            return Key::There { or_people };
        }
        Key::Absent {
            patience,
            or_people,
        }
    }

    fn use_key(&mut self, index: usize, hardware: &Hardware) {
        let Some(device) = self.wishes.encrypted.get(index) else {
            return;
        };
        let opened = hardware.with_blocks(|blocks| {
            if device.key_file.is_some() {
                luks::open_with_key(device, blocks).map(|()| Unattended::Opened)
            } else {
                luks::open_with_tpm(device, blocks)
            }
        });
        match opened {
            Ok(Unattended::Opened) => {
                log::info!("{} is open", device.name);
                self.progress.settle(index);
            }
            Ok(Unattended::NeedsPin) => self.progress.key_failed(index),
            Err(error) => {
                log::warn!("{error:#}");
                self.progress.key_failed(index);
            }
        }
    }

    fn ask(&mut self, index: usize, hardware: &mut Hardware) {
        let Some(device) = self.wishes.encrypted.get(index) else {
            return;
        };
        if let Some(tpm) = device.tpm2.as_ref().filter(|_| !tpm::is_there()) {
            log::warn!(
                "cannot open {} with the TPM: there is none after {} s; check the firmware's settings",
                device.name,
                tpm.timeout_seconds
            );
        }
        match luks::open_with_people(device, &self.known, hardware) {
            Ok(Asked::Opened(typed)) => {
                log::info!("{} is open", device.name);
                self.progress.settle(index);
                let reused = typed.filter(|_| self.wishes.reuse_passphrases);
                self.known.extend(reused);
            }
            Ok(Asked::Interrupted) => {}
            Err(error) => {
                log::error!("{error:#}");
                self.progress.settle(index);
            }
        }
    }

    /// What of the wishes is neither open nor given up, for people; empty if there is nothing.
    fn left(&self, blocks: &Blocks) -> Vec<String> {
        let wishes = self.wishes.encrypted.iter().enumerate();
        let locked = wishes.filter(|(index, device)| {
            !self.progress.is_settled(*index) && !is_open(blocks, device.name.as_str())
        });
        let mut left: Vec<String> = locked
            .map(|(_, device)| format!("{} for {}", device.device, device.name))
            .collect();
        if self.wishes.arrays {
            left.extend(
                arrays::incomplete()
                    .iter()
                    .map(|name| format!("members of {name}")),
            );
        }
        left
    }
}

fn is_open(blocks: &Blocks, name: &str) -> bool {
    blocks
        .all()
        .any(|block| block.mapper.as_deref() == Some(name))
}

/// Whether a device is there; a path outside of `/dev` is a file of the initrd.
fn is_there(blocks: &Blocks, device: &Device) -> bool {
    place(blocks, device).is_some()
}

/// Where a device is, or a file of the initrd.
fn place(blocks: &Blocks, device: &Device) -> Option<std::path::PathBuf> {
    match device {
        Device::Path(path) if !path.starts_with("/dev/") => {
            Some(path.into()).filter(|path: &std::path::PathBuf| path.exists())
        }
        device => match blocks.find(device) {
            Ok(found) => found.map(|(node, _)| node),
            Err(ambiguous) => {
                log::warn!("none is used: {ambiguous}");
                None
            }
        },
    }
}

/// Opens what no mount of stage 1 has needed; what cannot be opened in time is left, with a warning:
/// mounts of stage 2 say what they lack.
///
/// # Errors
/// The kernel's events cannot be read.
pub fn finish(hardware: &mut Hardware, timeout: Duration) -> Result<(), Stage1Error> {
    let Some(left) = hardware
        .opener()
        .map(|opener| hardware.with_blocks(|blocks| opener.left(blocks)))
    else {
        return Ok(());
    };
    if left.is_empty() {
        return Ok(());
    }
    let waiting = Waiting {
        what: &left.join(", "),
        purpose: "what is mounted later",
        timeout,
    };
    let done = hardware.wait_for_opener(&waiting, |opener, blocks| opener.left(blocks).is_empty());
    if let Err(waited) = done.map_err(Stage1Error::Events)? {
        log::warn!(
            "still missing after {} s: {}",
            waited.as_secs(),
            waiting.what
        );
    }
    Ok(())
}
