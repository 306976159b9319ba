//! The database of valid objects, `ROOT/nix/var/nix/db/db.sqlite`, in Nix's schema 10.
//!
//! Hashes are written as `sha256:<base-16>`, signatures separated by spaces. `Refs` has a row for
//! each reference, self references too. The write-ahead log lets readers and one writer work at
//! once; writers of other processes are waited for.
//! Source: the tables that Nix 2.8 and 2.34 create.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cairn_store_path::StorePath;
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use crate::collect::Liveness;
use crate::error::StoreError;
use crate::info::PathInfo;

/// What the file `schema` next to the database says.
pub(crate) const SCHEMA_VERSION: &str = "10";

pub(crate) const SCHEMA: &str = "\
create table if not exists ValidPaths (
    id               integer primary key autoincrement not null,
    path             text unique not null,
    hash             text not null,
    registrationTime integer not null,
    deriver          text,
    narSize          integer,
    ultimate         integer, -- null implies \"false\"
    sigs             text, -- space-separated
    ca               text -- if not null, an assertion that the path is content-addressed; see ValidPathInfo
);
create table if not exists Refs (
    referrer  integer not null,
    reference integer not null,
    primary key (referrer, reference),
    foreign key (referrer) references ValidPaths(id) on delete cascade,
    foreign key (reference) references ValidPaths(id) on delete restrict
);
create index if not exists IndexReferrer on Refs(referrer);
create index if not exists IndexReference on Refs(reference);
create trigger if not exists DeleteSelfRefs before delete on ValidPaths
  begin
    delete from Refs where referrer = old.id and reference = old.id;
  end;
create table if not exists DerivationOutputs (
    drv  integer not null,
    id   text not null, -- symbolic output id, usually \"out\"
    path text not null,
    primary key (drv, id),
    foreign key (drv) references ValidPaths(id) on delete cascade
);
create index if not exists IndexDerivationOutputs on DerivationOutputs(path);
";

/// How long to wait for another process's transaction.
const BUSY: Duration = Duration::from_mins(10);

/// An object to be registered.
#[derive(Debug, Clone)]
pub(crate) struct Registration {
    pub(crate) info: PathInfo,
    /// For derivations: what they make.
    pub(crate) outputs: Vec<(String, StorePath)>,
}

#[derive(Debug)]
pub(crate) struct Database {
    connection: Mutex<Connection>,
    path: PathBuf,
}

impl Database {
    /// Opens the database, and makes its tables if they are not there.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Database {
            verb: "open",
            path: path.to_owned(),
            source,
        };
        let connection = Connection::open(path).map_err(failed)?;
        connection.busy_timeout(BUSY).map_err(failed)?;
        connection
            .execute_batch(
                "pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on;",
            )
            .map_err(failed)?;
        connection.execute_batch(SCHEMA).map_err(failed)?;
        connection.set_prepared_statement_cache_capacity(32);
        Ok(Self {
            connection: Mutex::new(connection),
            path: path.to_owned(),
        })
    }

    /// A panic while the lock was held cannot have left a transaction open: they roll back.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, verb: &'static str) -> impl FnOnce(rusqlite::Error) -> StoreError {
        let path = self.path.clone();
        move |source| StoreError::Database { verb, path, source }
    }

    fn damaged(&self, what: String) -> StoreError {
        StoreError::Damaged {
            path: self.path.clone(),
            what,
        }
    }

    fn store_path(&self, text: &str) -> Result<StorePath, StoreError> {
        text.parse()
            .map_err(|error| self.damaged(format!("{error}")))
    }

    pub(crate) fn is_valid(&self, path: &StorePath) -> Result<bool, StoreError> {
        let connection = self.lock();
        let found = connection
            .prepare_cached("select 1 from ValidPaths where path = ?1")
            .and_then(|mut statement| statement.exists([path.to_string()]));
        found.map_err(self.failed("query"))
    }

    pub(crate) fn query(&self, path: &StorePath) -> Result<Option<PathInfo>, StoreError> {
        let connection = self.lock();
        let row = connection
            .prepare_cached(
                "select id, hash, registrationTime, deriver, narSize, ultimate, sigs, ca \
                 from ValidPaths where path = ?1",
            )
            .and_then(|mut statement| {
                statement
                    .query_row([path.to_string()], |row| {
                        Ok(Row {
                            id: row.get(0)?,
                            hash: row.get(1)?,
                            time: row.get(2)?,
                            deriver: row.get(3)?,
                            size: row.get(4)?,
                            ultimate: row.get(5)?,
                            signatures: row.get(6)?,
                            content_address: row.get(7)?,
                        })
                    })
                    .optional()
            })
            .map_err(self.failed("query"))?;
        let Some(row) = row else { return Ok(None) };
        let references = connection
            .prepare_cached(
                "select path from Refs join ValidPaths on reference = id where referrer = ?1",
            )
            .and_then(|mut statement| {
                statement
                    .query_map([row.id], |row| row.get::<_, String>(0))?
                    .collect::<Result<Vec<_>, _>>()
            })
            .map_err(self.failed("query"))?;
        drop(connection);
        self.path_info(path, row, &references).map(Some)
    }

    fn path_info(
        &self,
        path: &StorePath,
        row: Row,
        references: &[String],
    ) -> Result<PathInfo, StoreError> {
        let references = references
            .iter()
            .map(|reference| self.store_path(reference))
            .collect::<Result<BTreeSet<_>, _>>()?;
        let deriver = row.deriver.filter(|deriver| !deriver.is_empty());
        Ok(PathInfo {
            path: path.clone(),
            nar_hash: row
                .hash
                .parse()
                .map_err(|error| self.damaged(format!("{path}: {error}")))?,
            nar_size: u64::try_from(row.size.unwrap_or(0))
                .map_err(|_| self.damaged(format!("{path} has a negative size")))?,
            references,
            deriver: deriver.map(|path| self.store_path(&path)).transpose()?,
            registration_time: row.time,
            ultimate: row.ultimate.unwrap_or(0) != 0,
            signatures: row
                .signatures
                .unwrap_or_default()
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
            content_address: row.content_address.filter(|text| !text.is_empty()),
        })
    }

    /// Who refers to `path`, itself included if it does.
    pub(crate) fn referrers(&self, path: &StorePath) -> Result<BTreeSet<StorePath>, StoreError> {
        let connection = self.lock();
        let referrers = connection
            .prepare_cached(
                "select path from Refs join ValidPaths on referrer = id \
                 where reference = (select id from ValidPaths where path = ?1)",
            )
            .and_then(|mut statement| {
                statement
                    .query_map([path.to_string()], |row| row.get::<_, String>(0))?
                    .collect::<Result<Vec<_>, _>>()
            })
            .map_err(self.failed("query"))?;
        drop(connection);
        referrers.iter().map(|path| self.store_path(path)).collect()
    }

    /// All objects and all references between them, by row number.
    pub(crate) fn graph(&self) -> Result<Graph, StoreError> {
        let connection = self.lock();
        let read = || -> rusqlite::Result<Graph> {
            Ok(Graph {
                paths: connection
                    .prepare_cached("select id, path from ValidPaths")?
                    .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                    .collect::<Result<_, _>>()?,
                references: connection
                    .prepare_cached("select referrer, reference from Refs")?
                    .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                    .collect::<Result<_, _>>()?,
            })
        };
        read().map_err(self.failed("query"))
    }

    /// All objects, what they refer to, and the derivations that made them and are there.
    pub(crate) fn liveness(&self) -> Result<Liveness, StoreError> {
        let connection = self.lock();
        let pairs = |sql: &str| -> rusqlite::Result<Vec<(String, String)>> {
            connection
                .prepare_cached(sql)?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        };
        let read = || {
            // One moment for all three.
            connection.execute_batch("begin")?;
            let all = (
                pairs("select path, '' from ValidPaths")?,
                pairs(
                    "select f.path, t.path from Refs \
                     join ValidPaths f on referrer = f.id join ValidPaths t on reference = t.id",
                )?,
                pairs(
                    "select o.path, d.path from DerivationOutputs \
                     join ValidPaths o on o.path = DerivationOutputs.path \
                     join ValidPaths d on d.id = drv where o.deriver = d.path",
                )?,
            );
            Ok(all)
        };
        let result = read();
        let ended = connection.execute_batch("rollback");
        let (paths, references, derivers) = result.map_err(self.failed("query"))?;
        ended.map_err(self.failed("query"))?;
        drop(connection);
        let edge = |(from, to): &(String, String)| {
            Ok::<_, StoreError>((self.store_path(from)?, self.store_path(to)?))
        };
        let edges =
            |rows: &[(String, String)]| rows.iter().map(edge).collect::<Result<Vec<_>, _>>();
        let paths = paths.iter().map(|(path, _)| self.store_path(path));
        Ok(Liveness::new(
            paths.collect::<Result<_, _>>()?,
            edges(&references)?,
            edges(&derivers)?,
        ))
    }

    /// Removes objects, all but those that another object refers to, and what these refer to.
    /// Returns what was removed; that is on the disk.
    pub(crate) fn unregister(
        &self,
        mut paths: BTreeSet<StorePath>,
    ) -> Result<BTreeSet<StorePath>, StoreError> {
        let mut connection = self.lock();
        let mut write = || -> rusqlite::Result<()> {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            while let Some(needed) = referred_from_elsewhere(&transaction, &paths)? {
                paths.remove(&needed);
            }
            for path in &paths {
                transaction
                    .prepare_cached(
                        "delete from Refs where referrer = \
                         (select id from ValidPaths where path = ?1)",
                    )?
                    .execute([path.to_string()])?;
            }
            for path in &paths {
                transaction
                    .prepare_cached("delete from ValidPaths where path = ?1")?
                    .execute([path.to_string()])?;
            }
            transaction.commit()
        };
        write().map_err(self.failed("write"))?;
        Ok(paths)
    }

    /// Registers objects, all or none. The objects that they refer to must be valid or among them.
    pub(crate) fn register(&self, objects: &[Registration]) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let mut write = || -> rusqlite::Result<()> {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for object in objects {
                insert(&transaction, &object.info)?;
            }
            for object in objects {
                insert_edges(&transaction, object)?;
            }
            transaction.commit()
        };
        write().map_err(self.failed("write"))
    }
}

/// One of `paths` that an object refers to which is not among them.
fn referred_from_elsewhere(
    transaction: &Transaction<'_>,
    paths: &BTreeSet<StorePath>,
) -> rusqlite::Result<Option<StorePath>> {
    let names: BTreeSet<String> = paths.iter().map(ToString::to_string).collect();
    let mut referrers = transaction.prepare_cached(
        "select path from Refs join ValidPaths on referrer = id \
         where reference = (select id from ValidPaths where path = ?1)",
    )?;
    for path in paths {
        for referrer in referrers.query_map([path.to_string()], |row| row.get::<_, String>(0))? {
            if !names.contains(&referrer?) {
                return Ok(Some(path.clone()));
            }
        }
    }
    Ok(None)
}

struct Row {
    id: i64,
    hash: String,
    time: i64,
    deriver: Option<String>,
    size: Option<i64>,
    ultimate: Option<i64>,
    signatures: Option<String>,
    content_address: Option<String>,
}

/// Rows of the two tables that make the graph.
pub(crate) struct Graph {
    pub(crate) paths: Vec<(i64, String)>,
    pub(crate) references: Vec<(i64, i64)>,
}

pub(crate) fn insert(transaction: &Transaction<'_>, info: &PathInfo) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "insert into ValidPaths \
             (path, hash, registrationTime, deriver, narSize, ultimate, sigs, ca) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
             on conflict (path) do update set hash = excluded.hash, \
             narSize = excluded.narSize, ultimate = excluded.ultimate, \
             sigs = excluded.sigs, ca = excluded.ca",
        )?
        .execute(params![
            info.path.to_string(),
            info.nar_hash.to_string(),
            info.registration_time,
            info.deriver.as_ref().map(ToString::to_string),
            i64::try_from(info.nar_size).unwrap_or(i64::MAX),
            info.ultimate.then_some(1),
            (!info.signatures.is_empty()).then(|| info.signatures.join(" ")),
            info.content_address,
        ])?;
    Ok(())
}

pub(crate) fn insert_edges(
    transaction: &Transaction<'_>,
    object: &Registration,
) -> rusqlite::Result<()> {
    let mut edge = transaction.prepare_cached(
        "insert or replace into Refs (referrer, reference) values (\
         (select id from ValidPaths where path = ?1), (select id from ValidPaths where path = ?2))",
    )?;
    let path = object.info.path.to_string();
    transaction
        .prepare_cached(
            "delete from Refs where referrer = (select id from ValidPaths where path = ?1)",
        )?
        .execute([&path])?;
    for reference in &object.info.references {
        edge.execute([&path, &reference.to_string()])?;
    }
    let mut output = transaction.prepare_cached(
        "insert or replace into DerivationOutputs (drv, id, path) values (\
         (select id from ValidPaths where path = ?1), ?2, ?3)",
    )?;
    for (name, target) in &object.outputs {
        output.execute([&path, name, &target.to_string()])?;
    }
    Ok(())
}
