//! Measures activation, import, images, boot, PID 1 and the evaluator against what the field uses for
//! each, and the boot menu and `cairn switch` against a time.
//!
//! Subject and peer run in turns, so that a busy moment of the host meets both; the table has the
//! least and the median time of each, and the ratio of the medians with its goal.

#![forbid(unsafe_code)]

mod activation;
mod cgroup;
mod evaluator;
mod formats;
mod iso;
mod media;
mod menu;
mod namespaces;
mod stage1;
mod supervisor;
mod switch;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use cairn::Place;
use cairn_qemu_tests::images::{BuildOptions, Built, ROOT_LABEL};
use cairn_qemu_tests::timeline::{Milestone, Timeline};
use cairn_qemu_tests::transcript::Line;
use cairn_qemu_tests::{Blueprint, Boot, DirectKernel, Machine, artefacts, images};
use cairn_system::boot_mark;

const USAGE: &str = "usage: cargo xtask bench [activation] [evaluator] [menu] [import] [image] [formats] [iso] [media] [boot] [stage1] [supervisor] [switch]
";
/// What can be measured.
const SECTIONS: [&str; 12] = [
    "activation",
    "evaluator",
    "menu",
    "import",
    "image",
    "formats",
    "iso",
    "media",
    "boot",
    "stage1",
    "supervisor",
    "switch",
];
/// Runs of each, in turns.
const ROUNDS: usize = 3;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let sections: Vec<String> = env::args().skip(1).collect();
    if let Some((formats::WRITER, arguments)) = sections.split_first().map(|(a, b)| (a.as_str(), b))
    {
        return formats::write(arguments);
    }
    if let Some(unknown) = sections
        .iter()
        .find(|name| !SECTIONS.contains(&name.as_str()))
    {
        bail!("there is no section '{unknown}'\n{USAGE}");
    }
    let wanted = |name: &str| sections.is_empty() || sections.iter().any(|found| found == name);
    if wanted("activation") {
        activation::measure()?;
    }
    if wanted("evaluator") {
        evaluator::measure()?;
    }
    if wanted("menu") {
        menu::measure()?;
    }
    let options = images::options()?;
    if ["import", "image", "formats", "boot", "stage1"]
        .into_iter()
        .any(wanted)
    {
        // Downloads everything; what is measured starts from a warm cache of packages.
        let built = images::build_demo(&options)?;
        if wanted("import") {
            import(&options)?;
        }
        if wanted("image") {
            image(&options, &built)?;
        }
        if wanted("formats") {
            formats::measure(&options, &built)?;
        }
        if wanted("boot") {
            boot(&options, &built)?;
        }
        if wanted("stage1") {
            stage1::measure(&options, &built)?;
        }
    }
    if wanted("iso") {
        iso::measure(&options)?;
    }
    if wanted("media") {
        media::measure(&options)?;
    }
    // The last ones: they need the superuser.
    if wanted("supervisor") {
        supervisor::measure()?;
    }
    if wanted("switch") {
        switch::measure(&options)?;
    }
    Ok(())
}

/// Times of one contestant.
#[derive(Debug, Default)]
struct Times(Vec<Duration>);

impl Times {
    fn least(&self) -> f64 {
        self.0.iter().min().map_or(f64::NAN, Duration::as_secs_f64)
    }

    fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort();
        sorted
            .get(sorted.len() / 2)
            .map_or(f64::NAN, Duration::as_secs_f64)
    }
}

/// Prints subject against peer; the goal is an upper bound of their medians' ratio.
fn report(what: &str, subject: &Times, (peer_name, peer): (&str, &Times), goal: f64) {
    let ratio = subject.median() / peer.median();
    let verdict = if ratio <= goal { "reached" } else { "MISSED" };
    println!(
        "{what:<34}{:>8.3} {:>8.3}   {peer_name:<22}{:>8.3} {:>8.3}   ratio {ratio:>6.3}, \
         goal {goal:.3}: {verdict}",
        subject.least(),
        subject.median(),
        peer.least(),
        peer.median(),
    );
}

fn header(section: &str) {
    println!(
        "\n{section:<34}{:>8} {:>8}   {:<22}{:>8} {:>8}   (seconds)",
        "least", "median", "against", "least", "median"
    );
}

fn timed(command: &mut Command) -> anyhow::Result<Duration> {
    let begin = Instant::now();
    let shown = command.get_program().display().to_string();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {shown}; `cargo xtask bench` installs it"))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("{shown} ended with {}: {}", output.status, complaint.trim());
    }
    Ok(begin.elapsed())
}

fn scratch() -> anyhow::Result<tempfile::TempDir> {
    // On the disk that holds the target folder: /tmp may be in memory.
    let root = artefacts::root()?;
    tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(&root)
        .with_context(|| format!("cannot create a folder in {}", root.display()))
}

fn step(built: &Built, name: &str) -> anyhow::Result<Duration> {
    let found = built.steps.iter().find(|step| step.name == name);
    found
        .map(images::Step::took)
        .with_context(|| format!("the build has no step '{name}'"))
}

/// The whole realisation of the demo, into an empty store, against `dpkg-deb -x` of its packages.
fn import(options: &BuildOptions) -> anyhow::Result<()> {
    let (mut ours, mut theirs) = (Times::default(), Times::default());
    for _ in 0..ROUNDS {
        let folder = scratch()?;
        let place = Place {
            store: folder.path().join("store"),
            cache: options.place.cache.clone(),
        };
        let built = images::build_demo(&BuildOptions {
            place,
            ..options.clone()
        })?;
        ours.0.push(step(&built, "realise")?);
        theirs.0.push(timed(&mut unpack(
            &folder.path().join("store"),
            folder.path(),
        ))?);
    }
    header("import");
    report(
        "the demo's closure",
        &ours,
        ("dpkg-deb -x, all cores", &theirs),
        1.3,
    );
    Ok(())
}

/// Unpacks every .deb of the store, each into a folder of its own, on all cores.
fn unpack(store: &Path, folder: &Path) -> Command {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let script = format!(
        "find '{}/nix/store' -maxdepth 1 -name '*.deb' -print0 | xargs -0 -n 1 -P {cores} \
         sh -c 'dpkg-deb -x \"$0\" \"{}/unpacked/${{0##*/}}\"'",
        store.display(),
        folder.display()
    );
    let mut command = Command::new("sh");
    // xargs makes the folders' parent through dpkg-deb, which makes one level only.
    command.args([
        "-c",
        &format!("mkdir '{}/unpacked'; {script}", folder.display()),
    ]);
    command
}

/// The disk image from a realised closure, against `mke2fs -d` and genimage on the same tree.
fn image(options: &BuildOptions, built: &Built) -> anyhow::Result<()> {
    let folder = scratch()?;
    let tree = folder.path().join("tree");
    fs::create_dir(&tree).with_context(|| format!("cannot create {}", tree.display()))?;
    let root = Partition::largest(&built.image)?;
    let device = format!("{}?offset={}", built.image.display(), root.start);
    let dump = format!("rdump / \"{}\"", tree.display());
    timed(Command::new("/sbin/debugfs").args(["-R", &dump, &device]))?;
    let config = folder.path().join("genimage.cfg");
    fs::write(&config, genimage_config(&root))
        .with_context(|| format!("cannot write {}", config.display()))?;

    let mut times: [Times; 3] = Default::default();
    let [ours, mke2fs, genimage] = &mut times;
    for round in 0..ROUNDS {
        let cache = folder.path().join(format!("cache-{round}"));
        let place = Place {
            store: options.place.store.clone(),
            cache: cache.clone(),
        };
        let again = images::build_demo(&BuildOptions {
            place,
            ..options.clone()
        })?;
        ours.0.push(step(&again, "image")?);
        fs::remove_dir_all(&cache).with_context(|| format!("cannot remove {}", cache.display()))?;

        let file = folder.path().join("root.ext4");
        let size = format!("{}k", root.length / 1024);
        let mut command = Command::new("/sbin/mke2fs");
        command
            .args(["-q", "-F", "-t", "ext4", "-d"])
            .args([&tree, &file])
            .arg(size);
        mke2fs.0.push(timed(&mut command)?);
        fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;

        let work = folder.path().join(format!("genimage-{round}"));
        let mut command = Command::new("genimage");
        command
            .arg("--config")
            .arg(&config)
            .arg("--rootpath")
            .arg(&tree);
        for (option, name) in [
            ("--tmppath", "tmp"),
            ("--inputpath", "in"),
            ("--outputpath", "out"),
        ] {
            let path = work.join(name);
            fs::create_dir_all(&path)
                .with_context(|| format!("cannot create {}", path.display()))?;
            command.arg(option).arg(path);
        }
        let path = env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
        genimage.0.push(timed(&mut command)?);
        fs::remove_dir_all(&work).with_context(|| format!("cannot remove {}", work.display()))?;
    }
    header("image");
    report(
        "the whole disk",
        ours,
        ("mke2fs -d, root alone", mke2fs),
        0.35,
    );
    report("the whole disk", ours, ("genimage", genimage), 0.125);
    Ok(())
}

fn genimage_config(root: &Partition) -> String {
    format!(
        "image efi.vfat {{ vfat {{ }} empty = true size = 64M }}\n\
         image root.ext4 {{ ext4 {{ label = \"{ROOT_LABEL}\" use-mke2fs = true }} size = {}k }}\n\
         image disk.img {{\n  hdimage {{ partition-table-type = gpt }}\n  \
         partition efi {{ image = \"efi.vfat\" }}\n  \
         partition root {{ image = \"root.ext4\" }}\n}}\n",
        root.length / 1024
    )
}

/// Where a partition lies, in bytes.
#[derive(Debug, PartialEq, Eq)]
struct Partition {
    start: u64,
    length: u64,
}

impl Partition {
    /// The largest of an image: its root file system.
    fn largest(image: &Path) -> anyhow::Result<Self> {
        let output = Command::new("/sbin/sgdisk")
            .arg("--print")
            .arg(image)
            .output()
            .context("cannot run sgdisk; install it: apt-get install gdisk")?;
        Self::parse(&String::from_utf8_lossy(&output.stdout))
            .with_context(|| format!("cannot find a partition in {}", image.display()))
    }

    /// Reads sgdisk's table: number, first and last sector of 512 bytes, …
    fn parse(text: &str) -> Option<Self> {
        let rows = text
            .lines()
            .skip_while(|line| !line.starts_with("Number"))
            .skip(1);
        rows.filter_map(|row| {
            let mut words = row.split_whitespace().skip(1);
            let first: u64 = words.next()?.parse().ok()?;
            let last: u64 = words.next()?.parse().ok()?;
            let sectors = (last + 1).checked_sub(first)?;
            Some(Self {
                start: first * 512,
                length: sectors * 512,
            })
        })
        .max_by_key(|partition| partition.length)
    }
}

/// Kernel entry to stage 2 and to the prompt, against initramfs-tools and systemd in the same
/// partition of the same disk.
fn boot(options: &BuildOptions, built: &Built) -> anyhow::Result<()> {
    const LINE: &str = "console=ttyS0,115200 loglevel=7 printk.devkmsg=on";
    let debian = debian()?;
    let image = debian_image(&debian, built)?;
    let ours = images::direct_kernel(options, built, "loglevel=7")?;
    let theirs = DirectKernel {
        kernel: only(&debian.join("boot"), "vmlinuz-")?,
        initrd: Some(only(&debian.join("boot"), "initrd.img-")?),
        command_line: format!("{LINE} root=LABEL={ROOT_LABEL} rw"),
    };
    let mut subject: [Times; 3] = Default::default();
    let mut peer: [Times; 3] = Default::default();
    for _ in 0..ROUNDS {
        let mark = boot_mark::STAGE_1_DONE;
        measure(
            "bench-cairn",
            &built.image,
            ours.clone(),
            mark,
            &mut subject,
        )?;
        measure(
            "bench-debian",
            &image,
            theirs.clone(),
            "systemd[1]: ",
            &mut peer,
        )?;
    }
    header("boot");
    let names = [
        "/init to stage 2",
        "kernel entry to stage 2",
        "kernel entry to login prompt",
    ];
    for ((ours, theirs), what) in subject.iter().zip(&peer).zip(names) {
        report(what, ours, ("initramfs-tools, systemd", theirs), 0.1);
    }
    Ok(())
}

/// Boots once and adds the times: `/init` to stage 2, kernel to stage 2, kernel to prompt.
fn measure(
    name: &str,
    image: &Path,
    kernel: DirectKernel,
    stage_2: &str,
    times: &mut [Times; 3],
) -> anyhow::Result<()> {
    let machine = Blueprint::new(name, Boot::Direct(kernel))
        .disk(image)
        .memory_mib(1024)
        .deadline(Duration::from_mins(5))
        .start()?;
    machine.check("boot to the prompt", |machine| {
        machine.console().wait_for("login: ")
    })?;
    let lines = machine.console().lines();
    let entry = machine
        .timeline()
        .at(Milestone::Kernel)
        .context("the kernel said nothing")?;
    let init = moment(&machine, &lines, "Run /init as init process")?;
    let stage_2 = moment(&machine, &lines, stage_2)?;
    let prompt = moment(&machine, &lines, "login: ")?;
    let taken = [
        stage_2.checked_sub(init),
        stage_2.checked_sub(entry),
        prompt.checked_sub(entry),
    ];
    for (times, taken) in times.iter_mut().zip(taken) {
        times
            .0
            .push(taken.context("the console's lines are out of order")?);
    }
    Ok(())
}

fn moment(machine: &Machine, lines: &[Line], text: &str) -> anyhow::Result<Duration> {
    Timeline::moment_of(lines, text).with_context(|| {
        format!(
            "cannot find '{text}' in {}",
            machine.folder().join("serial.log").display()
        )
    })
}

/// A Debian system with systemd, initramfs-tools and the cloud kernel.
fn debian() -> anyhow::Result<PathBuf> {
    debian_tree(
        "bench-debian-root",
        "systemd-sysv,udev,dbus,login,util-linux,kmod,initramfs-tools,linux-image-cloud-amd64",
    )
}

/// A Debian system of this host's release with these packages; made once.
fn debian_tree(name: &str, packages: &str) -> anyhow::Result<PathBuf> {
    let root = artefacts::root()?.join(name);
    if root.exists() {
        return Ok(root);
    }
    eprintln!("making the Debian system to compare with (once, some minutes)");
    let release = fs::read_to_string("/etc/os-release").context("cannot read /etc/os-release")?;
    let codename = release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .context("/etc/os-release names no VERSION_CODENAME")?;
    let temporary = root.with_extension("partial");
    if temporary.exists() {
        fs::remove_dir_all(&temporary)
            .with_context(|| format!("cannot remove {}", temporary.display()))?;
    }
    let mut command = Command::new("mmdebstrap");
    command.args(["--mode=auto", "--variant=essential", "--format=directory"]);
    command.arg("--aptopt=APT::Install-Recommends \"false\"");
    command
        .arg(format!("--include={packages}"))
        .arg(codename)
        .arg(&temporary);
    for sources in [
        "/etc/apt/sources.list",
        "/etc/apt/sources.list.d/debian.sources",
    ] {
        if Path::new(sources).exists() {
            command.arg(sources);
        }
    }
    timed(&mut command)?;
    fs::rename(&temporary, &root).with_context(|| format!("cannot create {}", root.display()))?;
    Ok(root)
}

/// Our image with Debian in its root partition: the same layout.
fn debian_image(debian: &Path, built: &Built) -> anyhow::Result<PathBuf> {
    let image = artefacts::root()?.join("bench-debian.img");
    let root = Partition::largest(&built.image)?;
    timed(
        Command::new("cp")
            .args(["--sparse=always", "--"])
            .args([&built.image, &image]),
    )?;
    let mut command = Command::new("/sbin/mke2fs");
    command.args(["-q", "-F", "-t", "ext4", "-L", ROOT_LABEL, "-E"]);
    command
        .arg(format!("offset={}", root.start))
        .arg("-d")
        .arg(debian)
        .arg(&image);
    command.arg(format!("{}k", root.length / 1024));
    timed(&mut command)?;
    Ok(image)
}

/// The only file of `folder` whose name begins with `prefix`.
fn only(folder: &Path, prefix: &str) -> anyhow::Result<PathBuf> {
    let reading = || format!("cannot list {}", folder.display());
    for entry in fs::read_dir(folder).with_context(reading)? {
        let entry = entry.with_context(reading)?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            return Ok(entry.path());
        }
    }
    bail!("cannot find {prefix}* in {}", folder.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_partition_of_sgdisks_table() {
        let text = "\
Disk disk.img: 2097152 sectors, 1024.0 MiB
Number  Start (sector)    End (sector)  Size       Code  Name
   1            2048            4095   1024.0 KiB  EF02  bios
   2            4096           69631   32.0 MiB    EF00  esp
   3           69632         2097118   989.0 MiB   8304  root
";
        let expected = Partition {
            start: 69632 * 512,
            length: (2_097_118 - 69_632 + 1) * 512,
        };
        assert_eq!(Partition::parse(text), Some(expected));
        assert_eq!(Partition::parse("no table"), None);
    }

    #[test]
    fn medians() {
        let times = Times([3, 1, 2].map(Duration::from_secs).to_vec());
        assert!((times.median() - 2.0).abs() < 1e-9 && (times.least() - 1.0).abs() < 1e-9);
    }
}
