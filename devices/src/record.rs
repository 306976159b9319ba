//! What is known of a device, in the files that libudev reads: `/run/udev/data/<id>` and `/run/udev/tags/<tag>/<id>`.
//!
//! ```text
//! S:disk/by-uuid/…   a link below /dev
//! L:100              the priority of its links, if it is not 0
//! I:1234567          when the device was first seen, in microseconds since the kernel's start
//! E:ID_BUS=usb       a property that the kernel does not say
//! G:seat             a tag that it has or had; Q:seat one that it has
//! V:1                the version of this form
//! ```
//!
//! Invariant: a record is replaced as a whole, and a device whose record is there was handled by the rules.
//!
//! Source: `sd_device` in systemd's documentation says what is read; the form is that of its files.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::device::{Device, Properties};
use crate::event::Event;
use crate::path::{self, named};

/// What is known of a device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// Names below `/dev`.
    pub links: BTreeSet<String>,
    /// Which of two devices has a name that both want: the one with more.
    pub link_priority: i32,
    /// Microseconds since the kernel's start.
    pub first_seen: u64,
    /// What rules have found out.
    pub properties: Properties,
    /// Tags that it has.
    pub tags: BTreeSet<String>,
    /// Tags that it had and has not any more.
    pub old_tags: BTreeSet<String>,
}

impl Record {
    /// What is kept of `event`, whose device was `before`.
    #[must_use]
    pub fn of(event: &Event, before: Option<&Self>, now: u64) -> Self {
        let kernels = event.device.uevent();
        let is_ours = |name: &str| {
            !name.starts_with('.')
                && !["ACTION", "DEVPATH", "SUBSYSTEM", "SEQNUM", "DEVNAME"].contains(&name)
        };
        let properties = event.properties.iter();
        let properties = properties
            .filter(|(name, value)| is_ours(name) && kernels.get(*name) != Some(*value))
            .map(|(name, value)| (name.clone(), value.clone()));
        let had = before
            .into_iter()
            .flat_map(|before| before.tags.union(&before.old_tags));
        Self {
            links: event.links.clone(),
            link_priority: event.link_priority,
            first_seen: before
                .map(|before| before.first_seen)
                .filter(|seen| *seen > 0)
                .unwrap_or(now),
            properties: properties.collect(),
            old_tags: had
                .filter(|tag| !event.tags.contains(*tag))
                .cloned()
                .collect(),
            tags: event.tags.clone(),
        }
    }

    /// What it tells beside the properties that rules have found out.
    #[must_use]
    pub fn told(&self) -> Properties {
        let links: Vec<String> = self
            .links
            .iter()
            .map(|link| format!("/dev/{link}"))
            .collect();
        let words = |tags: &mut dyn Iterator<Item = &String>| {
            tags.fold(String::new(), |words, tag| {
                if words.is_empty() {
                    format!(":{tag}:")
                } else {
                    words + tag + ":"
                }
            })
        };
        let first_seen = Some(self.first_seen).filter(|first_seen| *first_seen > 0);
        let told = [
            ("DEVLINKS", links.join(" ")),
            ("TAGS", words(&mut self.tags.union(&self.old_tags))),
            ("CURRENT_TAGS", words(&mut self.tags.iter())),
            (
                "USEC_INITIALIZED",
                first_seen.map_or_else(String::new, |first_seen| first_seen.to_string()),
            ),
        ];
        let told = told.into_iter().filter(|(_, value)| !value.is_empty());
        told.map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Reads a record. Lines of other versions are left out.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut record = Self::default();
        let mut all_tags = BTreeSet::new();
        for (key, value) in text.lines().filter_map(|line| line.split_once(':')) {
            match key {
                "S" => drop(record.links.insert(value.to_owned())),
                "L" => record.link_priority = value.parse().unwrap_or_default(),
                "I" => record.first_seen = value.parse().unwrap_or_default(),
                "E" => {
                    if let Some((name, value)) = value.split_once('=') {
                        record.properties.insert(name.to_owned(), value.to_owned());
                    }
                }
                "G" => drop(all_tags.insert(value.to_owned())),
                "Q" => drop(record.tags.insert(value.to_owned())),
                _ => {}
            }
        }
        record.old_tags = all_tags.difference(&record.tags).cloned().collect();
        record
    }

    /// The text of the record, which has as many lines as it says: what would be a line of its own is left out.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |key: char, value: &dyn std::fmt::Display| {
            let value = value.to_string();
            if !value.contains('\n') && writeln!(text, "{key}:{value}").is_err() {
                log::error!("a record cannot be written"); // a String can
            }
        };
        for link in &self.links {
            line('S', link);
        }
        if self.link_priority != 0 {
            line('L', &self.link_priority);
        }
        line('I', &self.first_seen);
        for (name, value) in &self.properties {
            line('E', &format_args!("{name}={value}"));
        }
        for tag in self.tags.union(&self.old_tags) {
            line('G', tag);
        }
        for tag in &self.tags {
            line('Q', tag);
        }
        line('V', &1);
        text
    }
}

/// The records of all devices.
#[derive(Debug, Clone)]
pub struct Records {
    folder: PathBuf,
}

impl Records {
    /// Those in `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(folder: &Path) -> io::Result<Self> {
        for name in ["data", "tags"] {
            let folder = folder.join(name);
            fs::create_dir_all(&folder).map_err(|error| named(&folder, &error))?;
        }
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// Those in `folder`, which need not be there.
    #[must_use]
    pub fn of(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// The record of the device with this id; none if the rules have not handled it.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<Record> {
        let path = self.path(id)?;
        match fs::read(&path) {
            Ok(text) => Some(Record::parse(&String::from_utf8_lossy(&text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                log::warn!("{}: {error}; the device counts as new", path.display());
                None
            }
        }
    }

    /// Whether the rules have handled the device with this id.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.path(id).is_some_and(|path| path.exists())
    }

    /// The ids of all devices that have one.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn ids(&self) -> io::Result<BTreeSet<String>> {
        let folder = self.folder.join("data");
        let entries = fs::read_dir(&folder).map_err(|error| named(&folder, &error))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(names.filter(|name| !name.starts_with('.')).collect())
    }

    /// Removes what a program has left that was killed while it wrote a record.
    ///
    /// # Errors
    /// The file system's.
    pub fn sweep(&self) -> io::Result<()> {
        let folder = self.folder.join("data");
        for entry in fs::read_dir(&folder).map_err(|error| named(&folder, &error))? {
            let path = entry.map_err(|error| named(&folder, &error))?.path();
            let name = path.file_name().unwrap_or_default();
            if name.to_string_lossy().starts_with('.') {
                path::remove(&path)?;
            }
        }
        Ok(())
    }

    /// Writes the record in place of `before`.
    ///
    /// # Errors
    /// The file system's; the earlier record may still be there, or some of its tags.
    pub fn put(&self, id: &str, record: &Record, before: Option<&Record>) -> io::Result<()> {
        let path = self.path(id).ok_or_else(|| no_name(id))?;
        let text = record.text();
        if before.is_none_or(|before| before.text() != text) {
            let new = path.with_file_name(format!(".{id}"));
            let written = fs::write(&new, &text).and_then(|()| fs::rename(&new, &path));
            if let Err(error) = written {
                // What is half written would take the room that is missing; the earlier record stays.
                path::remove(&new)?;
                return Err(named(&path, &error));
            }
        }
        let old = before.map(all_tags).unwrap_or_default();
        let new = all_tags(record);
        for tag in new.difference(&old) {
            let folder = self.folder.join("tags").join(tag);
            fs::create_dir_all(&folder)
                .and_then(|()| fs::write(folder.join(id), ""))
                .map_err(|error| named(&folder, &error))?;
        }
        self.untag(id, old.difference(&new))
    }

    /// Removes the record that is `before`.
    ///
    /// # Errors
    /// The file system's.
    pub fn remove(&self, id: &str, before: &Record) -> io::Result<()> {
        let path = self.path(id).ok_or_else(|| no_name(id))?;
        path::remove(&path)?;
        self.untag(id, all_tags(before).iter())
    }

    fn untag<'t>(&self, id: &str, tags: impl Iterator<Item = &'t String>) -> io::Result<()> {
        for tag in tags {
            let path = self.folder.join("tags").join(tag).join(id);
            path::remove(&path)?;
        }
        Ok(())
    }

    fn path(&self, id: &str) -> Option<PathBuf> {
        let is_name = !id.is_empty() && !id.starts_with('.') && !id.contains(['/', '\0']);
        is_name.then(|| self.folder.join("data").join(id))
    }
}

impl Records {
    /// `device` with what is known of it.
    #[must_use]
    pub fn known(&self, device: &Device) -> Record {
        let id = device.id();
        id.and_then(|id| self.get(&id)).unwrap_or_default()
    }
}

/// Tags that are the names of a file.
fn all_tags(record: &Record) -> BTreeSet<String> {
    let tags = record.tags.union(&record.old_tags);
    let is_name =
        |tag: &&String| !tag.is_empty() && !tag.starts_with('.') && !tag.contains(['/', '\0']);
    tags.filter(is_name).cloned().collect()
}

fn no_name(id: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("'{id}' is no name of a record"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use proptest::prelude::*;

    fn event() -> Event {
        let fields = [
            ("MAJOR", "8"),
            ("MINOR", "0"),
            ("DEVNAME", "sda"),
            ("SUBSYSTEM", "block"),
            ("SEQNUM", "7"),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let device = Device::of_event(
            Path::new("/sys"),
            "/devices/x/sda",
            &Properties::from(fields),
        )
        .unwrap();
        let mut event = Event::new("add", device);
        for (name, value) in [("ID_BUS", "ata"), (".PRIVATE", "x"), ("EVIL", "a\nG:root")] {
            event.properties.insert(name.to_owned(), value.to_owned());
        }
        event.links.insert("disk/by-id/x".to_owned());
        event.tags.insert("seat".to_owned());
        event
    }

    #[test]
    fn a_record_has_what_the_kernel_does_not_say() {
        let before = Record::parse("I:5\nG:old\nQ:old\nV:1\n");
        let record = Record::of(&event(), Some(&before), 9);
        expect![[r#"
            S:disk/by-id/x
            I:5
            E:ID_BUS=ata
            G:old
            G:seat
            Q:seat
            V:1
        "#]]
        .assert_eq(&record.text());
    }

    #[test]
    fn records_come_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::open(folder.path()).unwrap();
        let record = Record::of(&event(), None, 9);
        records.put("b8:0", &record, None).unwrap();
        assert_eq!(records.ids().unwrap(), BTreeSet::from(["b8:0".to_owned()]));
        assert!(folder.path().join("tags/seat/b8:0").exists());
        let read = records.get("b8:0").unwrap();
        assert_eq!(read, Record::parse(&record.text()));
        let other = Record {
            tags: BTreeSet::from(["new".to_owned()]),
            ..read.clone()
        };
        records.put("b8:0", &other, Some(&read)).unwrap();
        assert!(!folder.path().join("tags/seat/b8:0").exists());
        records.remove("b8:0", &other).unwrap();
        assert_eq!(records.get("b8:0"), None);
        assert!(!folder.path().join("tags/new/b8:0").exists());
        records.remove("b8:0", &other).unwrap();
        fs::write(folder.path().join("data/.b8:0"), "half").unwrap();
        records.sweep().unwrap();
        assert_eq!(fs::read_dir(folder.path().join("data")).unwrap().count(), 0);
        fs::create_dir(folder.path().join("data/b8:0")).unwrap();
        assert!(records.put("b8:0", &other, None).is_err());
        assert!(!folder.path().join("data/.b8:0").exists());
        assert!(records.put("../x", &other, None).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            links in proptest::collection::btree_set("[a-z/]{1,8}", 0..4),
            names in proptest::collection::btree_map("[A-Z_]{1,8}", "[ -~]{0,8}", 0..4),
            tags in proptest::collection::btree_set("[a-z]{1,8}", 0..4),
            link_priority in -100..100,
        ) {
            let record = Record { links, link_priority, first_seen: 3, properties: names, tags, old_tags: BTreeSet::new() };
            prop_assert_eq!(Record::parse(&record.text()), record);
        }

        #[test]
        fn any_text_is_read(text in "\\PC{0,80}") {
            drop(Record::parse(&text));
        }
    }
}
