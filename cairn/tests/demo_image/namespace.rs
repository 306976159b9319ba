//! A mount namespace with a small disk in it, for as long as the value lives.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::reproducible::is_root;
use super::run::text_of;

/// The namespace; a sleeping process holds it.
pub struct Namespace {
    holder: Child,
    disk: PathBuf,
}

impl Namespace {
    /// A namespace where the folder `disk` is a file system of `size`, in the words of tmpfs(5).
    pub fn with_disk(disk: &Path, size: &str) -> Self {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private"]);
        if !is_root() {
            command.arg("--map-root-user");
        }
        let mut holder = command
            .args(["sh", "-c", "echo ready; exec sleep infinity"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        let stdout = holder.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut ready).unwrap();
        assert_eq!(ready, "ready\n", "mount namespaces are refused here");
        let namespace = Self {
            holder,
            disk: disk.to_owned(),
        };
        let options = format!("size={size},mode=755");
        text_of(
            &namespace
                .command("mount")
                .args(["-t", "tmpfs", "-o", &options, "none"])
                .arg(disk)
                .output()
                .unwrap(),
        );
        namespace
    }

    /// Gives the disk another size; what it has stays.
    pub fn resize(&self, size: &str) {
        let options = format!("remount,size={size}");
        let mut mount = self.command("mount");
        mount.args(["-o", &options]).arg(&self.disk);
        text_of(&mount.output().unwrap());
    }

    /// A program in the namespace.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.holder.id().to_string(), "--mount"]);
        if !is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.arg("--").arg(program);
        command
    }

    /// Where we find what the namespace has at `path`.
    pub fn seen(&self, path: &Path) -> PathBuf {
        let root = format!("/proc/{}/root", self.holder.id());
        Path::new(&root).join(path.strip_prefix("/").unwrap())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.holder.kill().unwrap();
        self.holder.wait().unwrap();
    }
}
