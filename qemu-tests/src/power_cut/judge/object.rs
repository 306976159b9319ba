//! Store objects and the store's database, as a recovered disk has them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;

use anyhow::{Context as _, bail, ensure};
use cairn_store_path::{Sha256, Sha256Writer};
use rusqlite::{Connection, OpenFlags};

use super::super::disk::ReadAt;
use super::super::ext4::{Ext4, Ext4Error, FileKind, Inode};

/// Folders below folders; a loop on the disk ends there.
const MAX_DEPTH: usize = 64;

/// More than the database of any machine here has.
const MAX_DATABASE: u64 = 256 << 20;

/// Where the database is.
const DATABASE: &str = "/nix/var/nix/db/db.sqlite";

/// The SHA-256 of a tree's archive in Nix's format, and the archive's length. This is a second
/// implementation, which shares nothing with the store's.
///
/// # Errors
/// The tree cannot be read, or has what no archive has.
pub fn archive_hash<D: ReadAt>(
    system: &Ext4<D>,
    inode: &Inode,
) -> Result<(Sha256, u64), Ext4Error> {
    let mut archive = Archive {
        hasher: Sha256Writer::new(),
    };
    archive.text(b"nix-archive-1")?;
    archive.node(system, inode, 0)?;
    Ok(archive.hasher.finish())
}

struct Archive {
    hasher: Sha256Writer,
}

impl Archive {
    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        io::Write::write_all(&mut self.hasher, bytes)
    }

    fn text(&mut self, text: &[u8]) -> io::Result<()> {
        self.bytes(&(text.len() as u64).to_le_bytes())?;
        self.bytes(text)?;
        self.pad(text.len() as u64)
    }

    fn pad(&mut self, length: u64) -> io::Result<()> {
        let missing = usize::try_from(length.next_multiple_of(8) - length).unwrap_or_default();
        self.bytes([0; 8].get(..missing).unwrap_or_default())
    }

    fn node<D: ReadAt>(
        &mut self,
        system: &Ext4<D>,
        inode: &Inode,
        depth: usize,
    ) -> Result<(), Ext4Error> {
        if depth > MAX_DEPTH {
            return Err(Ext4Error::Damaged("folders without end".to_owned()));
        }
        self.text(b"(")?;
        self.text(b"type")?;
        match inode.kind() {
            FileKind::Regular => {
                self.text(b"regular")?;
                if inode.mode & 0o100 != 0 {
                    self.text(b"executable")?;
                    self.text(b"")?;
                }
                self.text(b"contents")?;
                self.bytes(&inode.size.to_le_bytes())?;
                system.read_pieces(inode, &mut |piece| self.bytes(piece))?;
                self.pad(inode.size)?;
            }
            FileKind::Symlink => {
                self.text(b"symlink")?;
                self.text(b"target")?;
                self.text(&system.target(inode)?)?;
            }
            FileKind::Directory => {
                self.text(b"directory")?;
                let mut entries = system.entries(inode)?;
                entries.sort();
                for (name, number) in entries {
                    self.text(b"entry")?;
                    self.text(b"(")?;
                    self.text(b"name")?;
                    self.text(&name)?;
                    self.text(b"node")?;
                    self.node(system, &system.inode(number)?, depth + 1)?;
                    self.text(b")")?;
                }
            }
            FileKind::Other => {
                let number = inode.number;
                return Err(Ext4Error::Damaged(format!("inode {number} is of no kind")));
            }
        }
        self.text(b")")?;
        Ok(())
    }
}

/// What the store's database says of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The archive's hash, as the database writes it.
    pub hash: String,
    /// The archive's length.
    pub size: u64,
    /// What it refers to, by path.
    pub references: BTreeSet<String>,
}

/// Every registered object, by its path.
pub type Registry = BTreeMap<String, Object>;

/// Reads the database, which must be whole: `SQLite` recovers it from its log and checks all of it.
///
/// # Errors
/// It is missing, damaged, or has rows that contradict each other.
pub fn registry<D: ReadAt>(system: &Ext4<D>) -> anyhow::Result<Registry> {
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let copy = folder.path().join("db.sqlite");
    let database = system.read(DATABASE, MAX_DATABASE).context(DATABASE)?;
    fs::write(&copy, database).context("cannot copy the database")?;
    match system.read(&format!("{DATABASE}-wal"), MAX_DATABASE) {
        Err(Ext4Error::NotFound(_)) => {}
        log => {
            let log = log.context("the database's log")?;
            fs::write(folder.path().join("db.sqlite-wal"), log)
                .context("cannot copy the database's log")?;
        }
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let connection = Connection::open_with_flags(&copy, flags).context("cannot open it")?;
    let check: String = connection
        .query_row("pragma integrity_check", [], |row| row.get(0))
        .context("cannot check it")?;
    ensure!(check == "ok", "the database's own check: {check}");
    let mut objects = Registry::new();
    let mut paths = connection.prepare("select path, hash, narSize from ValidPaths")?;
    let mut rows = paths.query([])?;
    while let Some(row) = rows.next()? {
        let object = Object {
            hash: row.get(1)?,
            size: u64::try_from(row.get::<_, i64>(2)?).context("a negative size")?,
            references: BTreeSet::new(),
        };
        objects.insert(row.get(0)?, object);
    }
    let mut edges = connection.prepare(
        "select one.path, other.path from Refs \
         left join ValidPaths one on one.id = referrer \
         left join ValidPaths other on other.id = reference",
    )?;
    let mut rows = edges.query([])?;
    while let Some(row) = rows.next()? {
        let (one, other): (Option<String>, Option<String>) = (row.get(0)?, row.get(1)?);
        let (Some(one), Some(other)) = (one, other) else {
            bail!("the database refers to what is not in it");
        };
        if let Some(object) = objects.get_mut(&one) {
            object.references.insert(other);
        }
    }
    Ok(objects)
}

/// `path` and all that it refers to.
///
/// # Errors
/// Something of it is not registered.
pub fn closure<'a>(registry: &'a Registry, path: &'a str) -> anyhow::Result<BTreeSet<&'a str>> {
    let mut closure = BTreeSet::new();
    let mut left = vec![path];
    while let Some(path) = left.pop() {
        if !closure.insert(path) {
            continue;
        }
        let object = registry.get(path);
        let object = object.with_context(|| format!("{path} is not registered"))?;
        left.extend(object.references.iter().map(String::as_str));
    }
    Ok(closure)
}
