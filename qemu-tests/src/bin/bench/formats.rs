//! The closure of the demo as a squashfs, against mksquashfs at the same level; and the demo's disk as a
//! stream-optimised VMDK, against qemu-img.
//!
//! Each contestant is a process of its own, whose peak memory `time` tells: ours is this program, called
//! with [`WRITER`].

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use cairn_image_builder::squashfs::{self, Cache, Options};
use cairn_image_builder::{Conversion, DiskFormat, Manifest, ObjectTree, Region, convert};
use cairn_qemu_tests::images::{BuildOptions, Built};
use rusqlite::{Connection, OpenFlags};

use crate::{ROUNDS, Times, header, report, scratch};

/// The argument with which this program writes one squashfs: a list of objects, the output, and a folder
/// for the cache if there is to be one.
pub const WRITER: &str = "write-squashfs";

/// The most memory that ours may take, in KiB, and how much larger than theirs it may be.
const MEMORY_GOAL: u64 = 64 << 10;
const SIZE_GOAL: f64 = 1.01;

const CLOSURE: &str = "WITH RECURSIVE Closure(id) AS (
    SELECT id FROM ValidPaths WHERE path = ?1
    UNION SELECT reference FROM Refs JOIN Closure ON referrer = Closure.id)
    SELECT path, hash FROM ValidPaths WHERE id IN Closure ORDER BY path";

/// What one run took.
struct Run {
    took: Duration,
    /// Peak memory in KiB.
    memory: u64,
}

pub fn measure(options: &BuildOptions, built: &Built) -> anyhow::Result<()> {
    let folder = scratch()?;
    squashfs(&options.place.store, &built.toplevel, folder.path())?;
    vmdk(&built.image, folder.path())
}

fn squashfs(store: &Path, toplevel: &str, folder: &Path) -> anyhow::Result<()> {
    let objects = closure(store, toplevel)?;
    let list = folder.join("list");
    let changed_list = folder.join("changed list");
    fs::write(&list, lines(&objects))
        .with_context(|| format!("cannot write {}", list.display()))?;
    let (ours, theirs) = (folder.join("ours"), folder.join("theirs"));
    let mut times: [Times; 4] = Default::default();
    let [cold, with_cache, warm, mksquashfs] = &mut times;
    let mut memory = 0;
    for round in 0..ROUNDS {
        let mut command = Command::new("mksquashfs");
        command
            .args(objects.iter().map(|(path, _)| path))
            .arg(&theirs);
        command.args(["-comp", "zstd", "-Xcompression-level", "3", "-all-root"]);
        command.args(["-quiet", "-no-progress"]);
        mksquashfs.0.push(fresh(&mut command, &theirs)?.took);

        let mut run = |list: &Path, cache: Option<&Path>| -> anyhow::Result<Duration> {
            let mut command = Command::new(std::env::current_exe()?);
            command.arg(WRITER).args([list, &ours]).args(cache);
            let run = fresh(&mut command, &ours)?;
            memory = memory.max(run.memory);
            Ok(run.took)
        };
        cold.0.push(run(&list, None)?);
        let cache = folder.join(format!("cache {round}"));
        with_cache.0.push(run(&list, Some(&cache))?);
        // One object is another one now, as after an update of a package of middle size.
        let mut changed = objects.clone();
        let middle = changed.len() / 2;
        if let Some((_, hash)) = changed.get_mut(middle) {
            hash.push_str(" changed");
        }
        fs::write(&changed_list, lines(&changed))
            .with_context(|| format!("cannot write {}", changed_list.display()))?;
        warm.0.push(run(&changed_list, Some(&cache))?);
        fs::remove_dir_all(&cache).with_context(|| format!("cannot remove {}", cache.display()))?;
    }
    header("squashfs");
    report(
        "the demo's closure",
        cold,
        ("mksquashfs, zstd 3", mksquashfs),
        1.0 / 1.5,
    );
    report(
        "… filling the cache",
        with_cache,
        ("mksquashfs, zstd 3", mksquashfs),
        1.0,
    );
    report(
        "… after a change of one object",
        warm,
        ("ours, without a cache", cold),
        0.1,
    );
    let size = |path: &Path| -> anyhow::Result<u64> {
        let metadata = fs::metadata(path);
        Ok(metadata
            .with_context(|| format!("cannot read {}", path.display()))?
            .len())
    };
    let (ours, theirs) = (size(&ours)?, size(&theirs)?);
    #[expect(
        clippy::cast_precision_loss,
        reason = "a ratio of sizes far below 2^52"
    )]
    let ratio = ours as f64 / theirs as f64;
    println!(
        "{:<34}{ours} bytes against {theirs}, ratio {ratio:.4}, goal {SIZE_GOAL}: {}",
        "size",
        verdict(ratio <= SIZE_GOAL),
    );
    println!(
        "{:<34}{memory} KiB, goal {MEMORY_GOAL}: {}",
        "most memory",
        verdict(memory <= MEMORY_GOAL),
    );
    Ok(())
}

fn vmdk(image: &Path, folder: &Path) -> anyhow::Result<()> {
    let (ours, theirs) = (folder.join("ours.vmdk"), folder.join("theirs.vmdk"));
    let (mut our_times, mut their_times) = (Times::default(), Times::default());
    for _ in 0..ROUNDS {
        let mut command = Command::new("qemu-img");
        command.args([
            "convert",
            "-f",
            "raw",
            "-O",
            "vmdk",
            "-o",
            "subformat=streamOptimized",
        ]);
        command.args([image, &theirs]);
        their_times.0.push(fresh(&mut command, &theirs)?.took);
        let begin = Instant::now();
        let conversion = Conversion {
            raw: image,
            format: DiskFormat::Vmdk,
            name: "bench",
            seed: &[7; 32],
            epoch: 1,
        };
        convert(&conversion, &ours)?;
        our_times.0.push(begin.elapsed());
    }
    header("formats");
    report(
        "the demo's disk as VMDK",
        &our_times,
        ("qemu-img convert", &their_times),
        1.0 / 3.0,
    );
    Ok(())
}

fn verdict(reached: bool) -> &'static str {
    if reached { "reached" } else { "MISSED" }
}

fn lines(objects: &[(PathBuf, String)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (path, hash) in objects {
        bytes.extend_from_slice(path.as_os_str().as_bytes());
        bytes.extend_from_slice(format!(" {hash}\n").as_bytes());
    }
    bytes
}

/// Paths and hashes of the closure of `toplevel`.
fn closure(store: &Path, toplevel: &str) -> anyhow::Result<Vec<(PathBuf, String)>> {
    let file = store.join("nix/var/nix/db/db.sqlite");
    let reading = || format!("cannot read {}", file.display());
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = Connection::open_with_flags(&file, flags).with_context(reading)?;
    let mut query = database.prepare(CLOSURE).with_context(reading)?;
    let rows = query.query_map([toplevel], |row| {
        let path: String = row.get(0)?;
        Ok((store.join(path.trim_start_matches('/')), row.get(1)?))
    });
    let objects: Vec<_> = rows.and_then(Iterator::collect).with_context(reading)?;
    ensure!(
        !objects.is_empty(),
        "{toplevel} is not in {}",
        file.display()
    );
    Ok(objects)
}

/// Runs `command`, which makes `output` anew.
fn fresh(command: &mut Command, output: &Path) -> anyhow::Result<Run> {
    if output.exists() {
        fs::remove_file(output).with_context(|| format!("cannot remove {}", output.display()))?;
    }
    let mut timed = Command::new("/usr/bin/time");
    timed.args(["-q", "-f", "%M"]).arg(command.get_program());
    timed.args(command.get_args());
    let begin = Instant::now();
    let result = timed
        .output()
        .context("cannot run time; install it: apt-get install time")?;
    let took = begin.elapsed();
    let text = String::from_utf8_lossy(&result.stderr);
    if !result.status.success() {
        bail!(
            "{} failed: {}",
            command.get_program().display(),
            text.trim()
        );
    }
    let memory = text.lines().last().unwrap_or_default().trim().parse();
    let memory = memory.with_context(|| format!("time tells no memory: {text}"))?;
    Ok(Run { took, memory })
}

/// Writes one squashfs: see [`WRITER`].
pub fn write(arguments: &[String]) -> anyhow::Result<()> {
    let (list, output, cache) = match arguments {
        [list, output] => (list, output, None),
        [list, output, cache] => (list, output, Some(cache)),
        _ => bail!("usage: bench {WRITER} LIST OUTPUT [CACHE]"),
    };
    let mut tree = Manifest::new();
    let mut objects = Vec::new();
    let text = fs::read_to_string(list).with_context(|| format!("cannot read {list}"))?;
    for line in text.lines() {
        let (path, hash) = line.split_once(' ').context("a line without a hash")?;
        let path = Path::new(path);
        let name = path.file_name().context("an object without a name")?;
        objects.push(ObjectTree {
            path: name.into(),
            source: path.to_owned(),
            content: Some(*blake3::hash(hash.as_bytes()).as_bytes()),
        });
    }
    tree.insert_objects(objects)?;
    let cache = match cache {
        Some(folder) => Some(Cache::open(folder, 64 << 30)?),
        None => None,
    };
    let mut plan = squashfs::plan(&tree, &Options::new(1))?;
    if let Some(cache) = &cache {
        plan = plan.with_cache(cache);
    }
    let file = File::create(output).with_context(|| format!("cannot create {output}"))?;
    let region = Region::new(&file, 0, plan.size_limit());
    let written = squashfs::write(&plan, &region, &mut |_| {})?;
    file.set_len(written.size)
        .with_context(|| format!("cannot write {output}"))
}
