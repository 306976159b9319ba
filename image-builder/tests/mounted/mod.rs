//! The kernel's view of an image.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use crate::oracle::run;
use crate::tree::is_root;

/// An image that is mounted at a folder, until it is dropped.
pub struct Mounted(PathBuf);

impl Mounted {
    /// `image`, of this kind and with these options, at `place`, which must not be there; says so if that
    /// cannot be.
    pub fn new(kind: &str, options: &str, image: &Path, place: &Path) -> Option<Self> {
        if !is_root() || !Path::new("/dev/loop-control").exists() {
            println!(
                "the kernel's view: needs root and loop devices, which this test was not given"
            );
            return None;
        }
        fs::create_dir(place).unwrap();
        let args: [&OsStr; 6] = [
            "-t".as_ref(),
            kind.as_ref(),
            "-o".as_ref(),
            options.as_ref(),
            image.as_os_str(),
            place.as_os_str(),
        ];
        run("mount", "mount", &args);
        Some(Self(place.to_owned()))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // A child of another test that does not run its own program yet has the files open that this one had.
        let unmounts = || {
            let output = Command::new("umount").arg(&self.0).output();
            output.unwrap().status.success()
        };
        let pause = || {
            sleep(Duration::from_millis(100));
            false
        };
        let in_time = (0..50).any(|_| unmounts() || pause());
        assert!(in_time, "cannot unmount {}", self.0.display());
        fs::remove_dir(&self.0).unwrap();
    }
}
