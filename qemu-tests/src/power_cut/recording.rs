//! A machine's disk while commands run on it: the image that it began with, the log of all writes,
//! and where in the log each command began and was done.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::BufReader;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use super::cut::{Cut, Medium, Survivors};
use super::disk::{Disk, ReadAt as _};
use super::write_log::{SECTOR, WriteLog};
use crate::Machine;

/// The log's name.
const LOG: &str = "writes.log";
/// The name of the file beside it.
const NOTES: &str = "recording.json";

/// How many partitions are looked at.
const PARTITIONS: u64 = 8;

/// C12A7328-F81F-11D2-BA4B-00A0C93EC93B, as the table has it.
const EFI_SYSTEM: [u8; 16] = [
    0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b,
];

/// Bytes that are compared at once.
const PIECE: u64 = 1 << 20;

/// A command that was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What it was.
    pub name: String,
    /// The entries of the log from before it began to when all of it was on the disk.
    pub entries: Range<usize>,
    /// How many entries there were when it said that it was done.
    pub done: usize,
    /// How many there were when what is there for a while was on the disk.
    pub between: Option<usize>,
    /// The toplevel that boots once, if one does.
    pub once: Option<String>,
}

/// What is written beside the log, so that it can be judged again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Notes {
    /// The image that the disk began as.
    image: PathBuf,
    steps: Vec<Noted>,
}

/// A command, and the log's length in bytes: when it began, when it was done, and when all of it was
/// on the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Noted {
    name: String,
    begin: u64,
    done: u64,
    end: u64,
    #[serde(flatten)]
    middle: Middle,
}

/// What a command goes through, other than from before to after.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Middle {
    between: Option<u64>,
    once: Option<String>,
}

/// A command that runs, and is watched.
#[derive(Debug)]
pub struct Course<'a> {
    /// Where.
    pub machine: &'a Machine,
    log: &'a Path,
    middle: RefCell<Middle>,
}

impl Course<'_> {
    /// What is there now is neither as before nor as after, and is not half of anything: it is
    /// synced, and noted.
    ///
    /// # Errors
    /// The machine does not sync.
    pub fn is_between(&self) -> anyhow::Result<()> {
        let length = synced(self.machine, self.log)?;
        self.middle.borrow_mut().between = Some(length);
        Ok(())
    }

    /// This toplevel will boot, once.
    pub fn boots_once(&self, toplevel: &str) {
        self.middle.borrow_mut().once = Some(toplevel.to_owned());
    }
}

fn synced(machine: &Machine, log: &Path) -> anyhow::Result<u64> {
    machine.agent().succeed("sync")?;
    length(log)
}

fn length(log: &Path) -> anyhow::Result<u64> {
    let metadata = fs::metadata(log);
    Ok(metadata
        .with_context(|| format!("cannot look at {}", log.display()))?
        .len())
}

/// Watches a machine whose first disk is recorded.
#[derive(Debug)]
pub struct Recorder<'a> {
    machine: &'a Machine,
    log: PathBuf,
    steps: Vec<Noted>,
}

impl<'a> Recorder<'a> {
    /// Watches the machine.
    ///
    /// # Errors
    /// Its first disk is not recorded.
    pub fn new(machine: &'a Machine) -> anyhow::Result<Self> {
        let log = machine.write_log(0);
        let log = log.context("cannot record: the first disk's writes are not logged")?;
        Ok(Self {
            machine,
            log: log.to_owned(),
            steps: Vec::new(),
        })
    }

    /// Runs `command` as a step. What was written before it is on the disk when it begins, so that
    /// 'before' is a state that a cut can have.
    ///
    /// # Errors
    /// The command's.
    pub fn step(
        &mut self,
        name: &str,
        command: impl FnOnce(&Course<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let begin = synced(self.machine, &self.log)?;
        let course = Course {
            machine: self.machine,
            log: &self.log,
            middle: RefCell::default(),
        };
        self.machine.check(name, |_| command(&course))?;
        let done = length(&self.log)?;
        let end = synced(self.machine, &self.log)?;
        let (name, middle) = (name.to_owned(), course.middle.into_inner());
        self.steps.push(Noted {
            name,
            begin,
            done,
            end,
            middle,
        });
        Ok(())
    }

    /// Takes the log away from the machine, which must have ended, into `folder`. The image is what
    /// its disk began as.
    ///
    /// # Errors
    /// The log cannot be moved or read, or it is not what has happened to the disk.
    pub fn finish(self, image: &Path, folder: &Path) -> anyhow::Result<Recording> {
        let log = folder.join(LOG);
        fs::rename(&self.log, &log)
            .with_context(|| format!("cannot move {} to {}", self.log.display(), log.display()))?;
        let notes = Notes {
            image: image.to_owned(),
            steps: self.steps,
        };
        let path = folder.join(NOTES);
        fs::write(&path, serde_json::to_vec_pretty(&notes)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
        let recording = Recording::open(folder)?;
        let disk = self.machine.disk(0).context("the machine has no disk")?;
        let disk = File::open(disk).with_context(|| format!("cannot open {}", disk.display()))?;
        recording.ends_as(&disk)?;
        Ok(recording)
    }
}

/// All that is known of a disk's way.
#[derive(Debug)]
pub struct Recording {
    /// What it began as.
    pub image: File,
    /// The log's file.
    pub content: File,
    /// The log.
    pub log: WriteLog,
    /// Its commands, in their order.
    pub steps: Vec<Step>,
}

impl Recording {
    /// Opens what [`Recorder::finish`] has left in `folder`.
    ///
    /// # Errors
    /// It is not there, or cannot be read.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let open = |path: &Path| {
            File::open(path).with_context(|| format!("cannot open {}", path.display()))
        };
        let (path, log) = (folder.join(NOTES), folder.join(LOG));
        let notes: Notes = serde_json::from_reader(BufReader::new(open(&path)?))
            .with_context(|| format!("cannot read {}", path.display()))?;
        let (image, content) = (open(&notes.image)?, open(&log)?);
        let parsed = WriteLog::parse(&mut BufReader::new(&content))
            .with_context(|| log.display().to_string())?;
        let step = |noted: Noted| Step {
            name: noted.name,
            entries: parsed.entries_before(noted.begin)..parsed.entries_before(noted.end),
            done: parsed.entries_before(noted.done),
            between: noted
                .middle
                .between
                .map(|length| parsed.entries_before(length)),
            once: noted.middle.once,
        };
        let steps = notes.steps.into_iter().map(step).collect();
        Ok(Self {
            image,
            content,
            log: parsed,
            steps,
        })
    }

    /// Checks that all writes together make of the image what `disk` is: the log has lost nothing.
    fn ends_as(&self, disk: &File) -> anyhow::Result<()> {
        let end = Cut {
            after: self.log.entries.len(),
            survivors: Survivors::All,
        };
        let mut medium = Medium::new(&self.log, 1);
        let (sure, rest) = medium.cut(&end);
        let replayed = Disk::new(&self.image, &self.content, vec![sure, &rest]);
        let length = self.length()?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let mut place = 0;
        while place < length {
            let piece = usize::try_from((length - place).min(PIECE))?;
            ours.resize(piece, 0);
            theirs.resize(piece, 0);
            replayed.read_at(place, &mut ours)?;
            disk.read_exact_at(&mut theirs, place)?;
            if ours != theirs {
                let same = ours
                    .iter()
                    .zip(&theirs)
                    .take_while(|(one, other)| one == other);
                let sector = (place + same.count() as u64) / SECTOR;
                anyhow::bail!(
                    "cannot use the log of writes: it has another sector {sector} than the disk"
                );
            }
            place += PIECE;
        }
        Ok(())
    }

    /// Bytes of the disk.
    ///
    /// # Errors
    /// The image cannot be looked at.
    pub fn length(&self) -> anyhow::Result<u64> {
        Ok(self
            .image
            .metadata()
            .context("cannot look at the image")?
            .len())
    }

    /// Which bytes of the disk its first partition has: the root file system.
    ///
    /// # Errors
    /// It has no GUID partition table, or no partition.
    pub fn root(&self) -> anyhow::Result<Range<u64>> {
        let first = self.partitions()?.into_iter().next();
        let (_, bytes) = first.context("the disk has no partition")?;
        Ok(bytes)
    }

    /// Which bytes of the disk its EFI system partition has.
    ///
    /// # Errors
    /// It has no GUID partition table, or no such partition.
    pub fn efi_system(&self) -> anyhow::Result<Range<u64>> {
        let mut partitions = self.partitions()?.into_iter();
        let found = partitions.find(|(kind, _)| *kind == EFI_SYSTEM);
        let (_, bytes) = found.context("the disk has no EFI system partition")?;
        Ok(bytes)
    }

    /// The type and the bytes of each partition, by number.
    fn partitions(&self) -> anyhow::Result<Vec<([u8; 16], Range<u64>)>> {
        let mut header = [0; 92];
        self.image.read_exact_at(&mut header, SECTOR)?;
        ensure!(
            header.starts_with(b"EFI PART"),
            "the disk has no partition table"
        );
        let word = |bytes: &[u8], place: usize| {
            let word = bytes.get(place..).and_then(<[u8]>::first_chunk);
            word.copied().map_or(0, u64::from_le_bytes)
        };
        let place = word(&header, 72) * SECTOR;
        let mut partitions = Vec::new();
        for number in 0..PARTITIONS {
            let mut entry = [0; 128];
            self.image.read_exact_at(&mut entry, place + number * 128)?;
            let (first, last) = (word(&entry, 32), word(&entry, 40));
            if let Some(kind) = entry.first_chunk().filter(|_| first > 0 && first <= last) {
                partitions.push((*kind, first * SECTOR..(last + 1) * SECTOR));
            }
        }
        Ok(partitions)
    }
}
