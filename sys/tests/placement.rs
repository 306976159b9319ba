//! A process that moves itself into its control group. In a program of its own, for what is held up between
//! its birth and its execution has a copy of each descriptor there is.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "functions of a test fail the test"
)]

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use cairn_sys::process::{
    Credentials, Exit, OpenFiles, Placement, Prepared, Report, Started, Streams, reap_pidfd,
};

/// A folder that looks like a control group, into which nobody gets while its pipe is full.
fn jammed() -> (PathBuf, File) {
    let folder = std::env::temp_dir().join(format!("cairn-jammed-{}", std::process::id()));
    fs::create_dir(&folder).unwrap();
    let path = folder.join("cgroup.procs");
    assert!(
        Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
    let mut pipe = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(&path)
        .unwrap();
    while pipe.write(&[b'x'; 4096]).is_ok() {}
    (folder, pipe)
}

/// Starts a process, which comes as far as the door.
fn start(folder: &Path) -> Started {
    let own = fs::metadata("/proc/self").unwrap();
    let credentials = Credentials {
        uid: own.uid(),
        gid: own.gid(),
        ..Credentials::default()
    };
    let files = OpenFiles { soft: 64, hard: 64 };
    let prepared = Prepared::new([OsStr::new("/bin/true")], [], credentials, files).unwrap();
    let null = File::create("/dev/null").unwrap();
    let streams = Streams {
        input: None,
        output: null.as_fd(),
        error: None,
        passed: &[],
        numbered: None,
    };
    let group = File::open(folder).unwrap();
    let started = prepared
        .start(Placement::Moves(group.as_fd()), streams, None)
        .unwrap();
    assert!(!started.placed);
    let stat = format!("/proc/{}/stat", started.pid);
    while !fs::read_to_string(&stat).unwrap().contains(") S ") {
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(report(&started), Report::Pending);
    started
}

fn report(started: &Started) -> Report {
    started.report.read().unwrap()
}

fn end(started: &Started) -> Exit {
    for _ in 0..5000 {
        if let Some(exit) = reap_pidfd(started.pidfd.as_fd()).unwrap() {
            return exit;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("it does not end");
}

#[test]
fn until_it_has_moved_it_ends_with_who_has_started_it() {
    let (folder, mut pipe) = jammed();
    // As far as that is concerned, a thread is who.
    let bereft = thread::scope(|scope| scope.spawn(|| start(&folder)).join().unwrap());
    assert_eq!(end(&bereft), Exit::Signal(libc::SIGKILL));
    // Once it has moved, it says so and goes on.
    let (moved, first) = thread::scope(|scope| {
        let both = scope.spawn(|| {
            let started = start(&folder);
            while pipe.read(&mut [0; 4096]).is_ok() {}
            loop {
                match report(&started) {
                    Report::Pending => thread::yield_now(),
                    first => return (started, first),
                }
            }
        });
        both.join().unwrap()
    });
    match (first, end(&moved)) {
        (Report::Placed, Exit::Status(0)) => assert_eq!(report(&moved), Report::Executed),
        // Without root it cannot have these groups.
        (Report::Placed | Report::Failed(_), Exit::Status(127)) => {}
        other => panic!("{other:?}"),
    }
    fs::remove_dir_all(&folder).unwrap();
}
