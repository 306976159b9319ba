//! Stage 1 against its floor: a script of busybox's that loads the very modules that ours has loaded, by
//! their files and in the same order, and mounts the same root. The same kernel boots the same disk with
//! either initrd, in turns.
//!
//! The floor knows what ours finds out, checks no file system, and cannot fail with a reason.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use cairn_qemu_tests::images::{self, BuildOptions, Built, ROOT_LABEL};
use cairn_qemu_tests::timeline::Milestone;
use cairn_qemu_tests::{Blueprint, Boot, DirectKernel, Machine};
use cairn_system::boot_mark;

use crate::{Times, header, moment, report, scratch, timed};

/// Boots of each.
const ROUNDS: usize = 7;

/// Kernel entry to stage 2, in times of the floor's.
const GOAL: f64 = 1.3;

/// What the shell says behind the list of modules.
const END_OF_LIST: &str = "all-modules-are-listed";

/// Boots both in turns and prints what comes of it.
pub fn measure(options: &BuildOptions, built: &Built) -> anyhow::Result<()> {
    let ours = images::direct_kernel(options, built, "loglevel=6")?;
    let folder = scratch()?;
    let modules = loaded(&ours, built)?;
    let floor = DirectKernel {
        initrd: Some(floor(&ours, &modules, folder.path())?),
        ..ours.clone()
    };
    let (mut subject, mut peer) = (Times::default(), Times::default());
    for _ in 0..ROUNDS {
        subject.0.push(boot("bench-stage-1", built, &ours)?);
        peer.0.push(boot("bench-floor", built, &floor)?);
    }
    header("stage 1");
    let what = format!("kernel entry to stage 2 ({})", modules.len());
    report(&what, &subject, ("busybox script", &peer), GOAL);
    Ok(())
}

fn start(name: &str, built: &Built, kernel: &DirectKernel) -> anyhow::Result<Machine> {
    Blueprint::new(name, Boot::Direct(kernel.clone()))
        .disk(&built.image)
        .deadline(Duration::from_mins(5))
        .start()
}

fn boot(name: &str, built: &Built, kernel: &DirectKernel) -> anyhow::Result<Duration> {
    let machine = start(name, built, kernel)?;
    machine.check("boot to stage 2", |machine| {
        machine.console().wait_for(boot_mark::STAGE_2_STARTED)
    })?;
    let entry = machine.timeline().at(Milestone::Kernel);
    let entry = entry.context("the kernel said nothing")?;
    let lines = machine.console().lines();
    moment(&machine, &lines, boot_mark::STAGE_2_STARTED)?
        .checked_sub(entry)
        .context("the console's lines are out of order")
}

/// The modules that our stage 1 loads in this machine, in its order.
fn loaded(kernel: &DirectKernel, built: &Built) -> anyhow::Result<Vec<String>> {
    let kernel = DirectKernel {
        command_line: format!("{} boot.debug1mounts", kernel.command_line),
        ..kernel.clone()
    };
    let machine = start("bench-stage-1-modules", built, &kernel)?;
    let text = machine.check("stop in stage 1", |machine| {
        let console = machine.console();
        console.expect("# ")?;
        console.send_line(&format!("cat /proc/modules; echo; echo {END_OF_LIST}"))?;
        // The first one is the command itself.
        console.expect(END_OF_LIST)?;
        console.expect(END_OF_LIST)
    })?;
    // The newest comes first.
    let lines = text.lines().rev();
    let names: Vec<String> = lines
        .filter(|line| line.contains(" Live "))
        .filter_map(|line| Some(line.split_whitespace().next()?.to_owned()))
        .collect();
    ensure!(!names.is_empty(), "stage 1 has loaded no module: {text}");
    Ok(names)
}

/// Makes the floor's initrd of what ours has.
fn floor(ours: &DirectKernel, modules: &[String], folder: &Path) -> anyhow::Result<PathBuf> {
    let initrd = ours.initrd.as_ref().context("there is no initrd")?;
    let (unpacked, made) = (folder.join("unpacked"), folder.join("floor"));
    for folder in [&unpacked, &made] {
        fs::create_dir(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    shell("zstd -dc \"$1\" | cpio -idm --quiet", &unpacked, initrd)?;
    let all = files(&unpacked)?;
    let busybox = all
        .iter()
        .find(|path| path.ends_with("bin/busybox") && !path.is_symlink());
    copy(
        busybox.context("our initrd has no busybox")?,
        &made.join("busybox"),
    )?;
    let mut script = "#!/busybox sh\n".to_owned();
    for (at, kind) in [
        ("proc", "proc"),
        ("sys", "sysfs"),
        ("dev", "devtmpfs"),
        ("run", "tmpfs"),
    ] {
        fs::create_dir(made.join(at))?;
        writeln!(script, "/busybox mount -t {kind} {kind} /{at}")?;
    }
    for name in modules {
        let is_it = |path: &&PathBuf| {
            let stem = path.file_name().and_then(|file| file.to_str());
            let stem = stem.and_then(|file| file.split_once(".ko"));
            stem.is_some_and(|(stem, _)| stem.replace('-', "_") == *name)
        };
        let module = all.iter().find(is_it);
        let module = module.with_context(|| format!("our initrd has no module {name}"))?;
        copy(module, &made.join(format!("{name}.ko")))?;
        writeln!(script, "/busybox insmod /{name}.ko")?;
    }
    fs::create_dir(made.join("root"))?;
    let mut words = ours.command_line.split_whitespace();
    let init = words.find_map(|word| word.strip_prefix("init="));
    let init = init.context("the command line has no init=")?;
    write!(
        script,
        "until /busybox mount -t ext4 -o noatime \"$(/busybox findfs LABEL={ROOT_LABEL})\" /root; do :; done\n\
         for folder in proc sys dev run; do /busybox mount -o move /$folder /root/$folder; done\n\
         exec /busybox switch_root /root {init}\n"
    )?;
    let file = made.join("init");
    fs::write(&file, script).with_context(|| format!("cannot write {}", file.display()))?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
    let packed = folder.join("floor.initrd");
    let pack = "find . | cpio -o -H newc --quiet -R 0:0 | zstd -19 -q -o \"$1\"";
    shell(pack, &made, &packed)?;
    Ok(packed)
}

fn shell(script: &str, folder: &Path, file: &Path) -> anyhow::Result<()> {
    let mut command = Command::new("sh");
    command.current_dir(folder).args(["-c", script, "sh"]);
    timed(command.arg(file)).map(drop)
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::copy(from, to)
        .map(drop)
        .with_context(|| format!("cannot copy {}", from.display()))
}

/// Every file below `folder`.
fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() && !path.is_symlink() {
            all.extend(files(&path)?);
        } else {
            all.push(path);
        }
    }
    Ok(all)
}
