//! The live medium from a realised closure, against `mksquashfs` and `grub-mkrescue` on the same files.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context;
use cairn::Place;
use cairn_qemu_tests::images::{self, BuildOptions, Built};

use crate::{ROUNDS, Times, header, report, scratch, step, timed};

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
    for round in 0..ROUNDS {
        let cache = folder.join(format!("cache-{round}"));
        let options = BuildOptions {
            place: Place {
                store: options.place.store.clone(),
                cache: cache.clone(),
            },
            ..options.clone()
        };
        cold.0.push(step(&make(&options)?, "image")?);
        fs::remove_dir_all(cache.join("images"))
            .with_context(|| format!("cannot remove the images in {}", cache.display()))?;
        warm.0.push(step(&make(&options)?, "image")?);
        fs::remove_dir_all(&cache).with_context(|| format!("cannot remove {}", cache.display()))?;

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
    println!(
        "{:.1} MiB, and {:.1} MiB of the peer's",
        mebibytes(length(&built.image)?),
        mebibytes(size)
    );
    Ok(())
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
