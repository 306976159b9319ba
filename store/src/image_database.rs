//! A fresh database for an image: the same objects give the same bytes.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rusqlite::Connection;

use crate::database::{Registration, SCHEMA, SCHEMA_VERSION, insert, insert_edges};
use crate::error::{StoreError, io_error};
use crate::info::PathInfo;

/// Writes `nix/var/nix/db/db.sqlite` and the file `schema` below `root`, for exactly the objects
/// `infos`, in any order. Everything that they refer to must be among them. Registration times are
/// 1, so that the files depend on nothing else. Derivers are kept although they need not be in the
/// image; what a derivation makes is not recorded.
///
/// # Errors
/// There is a database already, a reference is missing, or the files cannot be written.
pub fn write_database(root: &Path, infos: &[PathInfo]) -> Result<(), StoreError> {
    let folder = root.join("nix/var/nix/db");
    fs::create_dir_all(&folder).map_err(io_error("create folder", &folder))?;
    let path = folder.join("db.sqlite");
    if path.symlink_metadata().is_ok() {
        return Err(StoreError::Root {
            path,
            why: "there is a database already",
        });
    }
    let objects = registrations(&path, infos)?;
    let write = || -> rusqlite::Result<()> {
        let mut connection = Connection::open(&path)?;
        connection.execute_batch(
            "pragma page_size = 4096; pragma journal_mode = off; pragma synchronous = off;
             pragma foreign_keys = on;",
        )?;
        // One transaction: the header counts them.
        let transaction = connection.transaction()?;
        transaction.execute_batch(SCHEMA)?;
        for object in &objects {
            insert(&transaction, &object.info)?;
        }
        for object in &objects {
            insert_edges(&transaction, object)?;
        }
        transaction.commit()?;
        connection.close().map_err(|(_, error)| error)
    };
    write().map_err(|source| StoreError::Database {
        verb: "write",
        path: path.clone(),
        source,
    })?;
    let schema = folder.join("schema");
    fs::write(&schema, SCHEMA_VERSION).map_err(io_error("write", &schema))?;
    Ok(())
}

fn registrations(path: &Path, infos: &[PathInfo]) -> Result<Vec<Registration>, StoreError> {
    let known: BTreeSet<_> = infos.iter().map(|info| &info.path).collect();
    for info in infos {
        if let Some(missing) = info.references.iter().find(|path| !known.contains(path)) {
            return Err(StoreError::Damaged {
                path: path.to_owned(),
                what: format!("{} refers to {missing}, which is not included", info.path),
            });
        }
    }
    let mut sorted: Vec<PathInfo> = infos.to_vec();
    sorted.sort_by(|one, other| one.path.cmp(&other.path));
    sorted.dedup_by(|one, other| one.path == other.path);
    Ok(sorted
        .into_iter()
        .map(|info| Registration {
            info: PathInfo {
                registration_time: 1,
                ..info
            },
            outputs: Vec::new(),
        })
        .collect())
}
