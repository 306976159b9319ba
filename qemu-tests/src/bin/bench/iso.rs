//! The live medium from a realised closure, against `mksquashfs` and `grub-mkrescue` on the same files.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use cairn::Place;
use cairn_qemu_tests::images::{self, BuildOptions, Built};

use crate::{ROUNDS, Times, header, report, scratch, step, timed};

/// Bytes of a file system for two images and what is remembered of them.
const ROOM: u64 = 4 << 30;

pub(crate) fn measure(options: &BuildOptions) -> anyhow::Result<()> {
    let file = images::with_agent("live")?;
    let make = |options: &BuildOptions| images::build_image("iso", "live", &file, options);
    let built = make(options)?;
    let folder = scratch()?;
    let folder = folder.path();
    let (tree, medium) = (folder.join("tree"), folder.join("medium"));
    unpack(&built, &tree, &medium)?;

    let mut times: [Times; 3] = Default::default();
    let [cold, warm, peer] = &mut times;
    let mut size = 0;
    for _ in 0..ROUNDS {
        let [all, nothing] = twice(options, folder, make)?;
        cold.0.push(all);
        warm.0.push(nothing);

        let squashfs = medium.join("system.squashfs");
        let image = folder.join("peer.iso");
        let mut compress = Command::new("mksquashfs");
        compress.args([&tree, &squashfs]).args([
            "-noappend",
            "-no-progress",
            "-comp",
            "zstd",
            "-Xcompression-level",
            "3",
        ]);
        let mut rescue = Command::new("grub-mkrescue");
        rescue.arg("-o").args([&image, &medium]);
        peer.0.push(timed(&mut compress)? + timed(&mut rescue)?);
        size = length(&image)?;
        for file in [&squashfs, &image] {
            fs::remove_file(file).with_context(|| format!("cannot remove {}", file.display()))?;
        }
    }
    header("live medium");
    report(
        "all compressed",
        cold,
        ("mksquashfs, mkrescue", peer),
        1.0 / 2.5,
    );
    report(
        "nothing new to compress",
        warm,
        ("all compressed", cold),
        0.1,
    );
    match Sharing::new(folder)? {
        Some(sharing) => {
            let mut times: [Times; 2] = Default::default();
            let [cold, warm] = &mut times;
            for _ in 0..ROUNDS {
                let [all, nothing] = twice(options, &sharing.place, make)?;
                cold.0.push(all);
                warm.0.push(nothing);
            }
            let against = ("all compressed", &*cold);
            report("the same, on XFS", warm, against, 0.1);
        }
        None => println!("on a file system that shares blocks: not measured, it needs root"),
    }
    println!(
        "{:.1} MiB, and {:.1} MiB of the peer's",
        mebibytes(length(&built.image)?),
        mebibytes(size)
    );
    Ok(())
}

/// How long the image takes with an empty cache in `folder`, and with what that has then.
fn twice(
    options: &BuildOptions,
    folder: &Path,
    make: impl Fn(&BuildOptions) -> anyhow::Result<Built>,
) -> anyhow::Result<[Duration; 2]> {
    let cache = folder.join("cache");
    let options = BuildOptions {
        place: Place {
            store: options.place.store.clone(),
            cache: cache.clone(),
        },
        ..options.clone()
    };
    let all = step(&make(&options)?, "image")?;
    let images = cache.join("images");
    fs::remove_dir_all(&images).with_context(|| format!("cannot remove {}", images.display()))?;
    // What the first one has left to be written is not the second one's work.
    timed(Command::new("sync").arg("-f").arg(&cache))?;
    let nothing = step(&make(&options)?, "image")?;
    fs::remove_dir_all(&cache).with_context(|| format!("cannot remove {}", cache.display()))?;
    Ok([all, nothing])
}

/// A file system whose files can share blocks, until it is dropped.
struct Sharing {
    place: PathBuf,
}

impl Sharing {
    /// One in `folder`, for the superuser.
    fn new(folder: &Path) -> anyhow::Result<Option<Self>> {
        if !nix::unistd::geteuid().is_root() {
            return Ok(None);
        }
        let [image, place] = ["xfs.img", "xfs"].map(|name| folder.join(name));
        let room = File::create(&image).and_then(|file| file.set_len(ROOM));
        room.with_context(|| format!("cannot make {}", image.display()))?;
        fs::create_dir(&place).with_context(|| format!("cannot create {}", place.display()))?;
        timed(Command::new("/sbin/mkfs.xfs").arg("-q").arg(&image))?;
        let mut mount = Command::new("mount");
        timed(mount.args(["-o", "loop"]).args([&image, &place]))?;
        Ok(Some(Self { place }))
    }
}

impl Drop for Sharing {
    fn drop(&mut self) {
        if let Err(error) = timed(Command::new("umount").arg(&self.place)) {
            eprintln!("bench: {error:#}");
        }
    }
}

/// The system's files, and what else is on the medium.
fn unpack(built: &Built, tree: &Path, medium: &Path) -> anyhow::Result<()> {
    fs::create_dir(medium).with_context(|| format!("cannot create {}", medium.display()))?;
    let mut extract = Command::new("bsdtar");
    extract.arg("-xf").arg(&built.image).arg("-C").arg(medium);
    timed(&mut extract)?;
    let squashfs = medium.join("cairn/system.squashfs");
    let mut unpack = Command::new("unsquashfs");
    unpack.args(["-no-progress", "-d"]).args([tree, &squashfs]);
    timed(&mut unpack)?;
    for path in ["cairn", "boot/grub"] {
        let path = medium.join(path);
        fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}

fn length(file: &Path) -> anyhow::Result<u64> {
    let metadata = fs::metadata(file);
    Ok(metadata
        .with_context(|| format!("cannot look at {}", file.display()))?
        .len())
}

fn mebibytes(bytes: u64) -> f64 {
    u32::try_from(bytes >> 10).map_or(f64::INFINITY, f64::from) / 1024.0
}
