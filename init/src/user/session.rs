//! Sessions: who is logged in, as far as users' services go.
//!
//! A session is a process that has asked PAM for one (login, sshd, …) and that lives as long as it. PAM
//! has us told when it begins (`pam_exec`); that it has ended, whoever is interested sees from the
//! process, whatever way it has gone. So nobody has to tell, and nobody can forget to.
//!
//! A number may be given to another process later: the time at which the process was started, which
//! the file holds, tells them apart.
//!
//! Source: `pam_exec(8)`.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use cairn_sys::pidfd;
use cairn_system::ServiceName;
use cairn_system::control::{Request, Response, SOCKET};

use super::account;
use crate::process_stat::ProcessStat;

/// The parent of all that is known of sessions.
pub const SESSIONS: &str = "/run/cairn/sessions";

/// How long a login waits for the user's services to be looked after: a login that takes long is better
/// than none.
const PATIENCE: Duration = Duration::from_secs(10);

/// The files of the sessions of the user of this number.
pub fn directory(sessions: &Path, uid: u32) -> PathBuf {
    sessions.join(uid.to_string())
}

/// PAM says that a session begins: it is noted, and the user's supervisor is started.
///
/// # Errors
/// It cannot be noted. A user who has no supervisor is none.
pub fn begin() -> anyhow::Result<()> {
    let variable = |name: &str| std::env::var(name).with_context(|| format!("{name} is not set"));
    if variable("PAM_TYPE")? != "open_session" {
        return Ok(());
    }
    let name = variable("PAM_USER")?;
    let account = account::find(Path::new("/etc"), &name)?;
    let leader = std::os::unix::process::parent_id();
    note(Path::new(SESSIONS), account.credentials.uid, leader)?;
    start(&name)
}

/// Notes that the process `leader` is a session of the user of this number.
///
/// # Errors
/// A file cannot be written: the message names it.
pub fn note(sessions: &Path, uid: u32, leader: u32) -> anyhow::Result<()> {
    let leader_is = ProcessStat::of(leader);
    let ProcessStat { started, .. } =
        leader_is.with_context(|| format!("process {leader} is gone"))?;
    let directory = directory(sessions, uid);
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    forget_ended(sessions, uid)?;
    // Under its name it is whole.
    let file = directory.join(leader.to_string());
    let new = directory.join(format!(".{leader}"));
    fs::write(&new, started.to_string())
        .and_then(|()| fs::rename(&new, &file))
        .with_context(|| format!("cannot write {}", file.display()))
}

/// The processes of all sessions of a user that live, by number; and whether there is any session,
/// be it one that has ended.
pub fn living(sessions: &Path, uid: u32) -> (Vec<(u32, OwnedFd)>, bool) {
    let Ok(entries) = fs::read_dir(directory(sessions, uid)) else {
        return (Vec::new(), false);
    };
    let numbers: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
        .collect();
    let any = !numbers.is_empty();
    let living = numbers
        .into_iter()
        .filter_map(|(pid, file)| Some((pid, leader(pid, &file)?)))
        .collect();
    (living, any)
}

/// The session's process, if it lives.
fn leader(pid: u32, file: &Path) -> Option<OwnedFd> {
    // First held, then looked at: what is held keeps its number.
    let process = pidfd::open(pid).ok()?;
    let noted: u64 = fs::read_to_string(file).ok()?.trim().parse().ok()?;
    ProcessStat::of(pid)
        .is_some_and(|stat| stat.started == noted)
        .then_some(process)
}

/// Removes what is noted of sessions of a user that have ended.
///
/// # Errors
/// A file cannot be removed: the message names it.
pub fn forget_ended(sessions: &Path, uid: u32) -> anyhow::Result<()> {
    let directory = directory(sessions, uid);
    let Ok(entries) = fs::read_dir(&directory) else {
        return Ok(()); // there never was one
    };
    for entry in entries.flatten() {
        let number = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        let path = entry.path();
        if number.is_some_and(|pid| leader(pid, &path).is_none()) {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove {}", path.display()));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Has the machine's supervisor start the user's.
fn start(name: &str) -> anyhow::Result<()> {
    let name = ServiceName::try_from(format!("user@{name}").as_str())?;
    let mut stream =
        UnixStream::connect(SOCKET).with_context(|| format!("cannot connect to {SOCKET}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(&Request::Start { name })?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if let Some(reason) = Response::refusal(&answer)? {
        // Such as a user that the configuration does not have.
        log::debug!("{reason}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_session_lives_as_long_as_its_process() {
        let folder = tempfile::tempdir().unwrap();
        let sessions = folder.path();
        assert_eq!(living(sessions, 7).0.len(), 0);
        let mut one = Command::new("sleep").arg("1000").spawn().unwrap();
        let mut two = Command::new("sleep").arg("1000").spawn().unwrap();
        note(sessions, 7, one.id()).unwrap();
        note(sessions, 7, two.id()).unwrap();
        let numbers = |uid| {
            let mut numbers: Vec<u32> = living(sessions, uid).0.iter().map(|l| l.0).collect();
            numbers.sort_unstable();
            numbers
        };
        let mut both = vec![one.id(), two.id()];
        both.sort_unstable();
        assert_eq!((numbers(7), numbers(8)), (both, vec![]));
        one.kill().unwrap();
        one.wait().unwrap();
        assert_eq!(numbers(7), [two.id()]);
        // A process that has got the number of one that was a session.
        fs::write(directory(sessions, 7).join(two.id().to_string()), "1").unwrap();
        assert!(matches!(living(sessions, 7), (none, true) if none.is_empty()));
        forget_ended(sessions, 7).unwrap();
        assert_eq!(fs::read_dir(directory(sessions, 7)).unwrap().count(), 0);
        two.kill().unwrap();
        two.wait().unwrap();
        assert!(note(sessions, 7, two.id()).is_err());
    }
}
