//! The program that starts the machine, in the image.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use cairn_qemu_tests::artefacts;
use cairn_qemu_tests::disk::copy_sparsely;
use cairn_qemu_tests::images::{self, Built};

use super::keys::Keys;
use super::{CHUNK, Changed, find};

/// Where the EFI system partition begins.
const ESP: u64 = 1 << 20;

/// A place in the middle of the initrd.
pub fn place_in_initrd(built: &Built) -> anyhow::Result<u64> {
    let options = images::options()?;
    let kernel = images::direct_kernel(&options, built, "")?;
    let initrd = fs::read(kernel.initrd.context("no initrd")?)?;
    let middle = initrd.len() / 2;
    let chunk = initrd
        .get(middle..middle + CHUNK)
        .context("a tiny initrd")?;
    find(&built.image, chunk, 1)
}

/// The image with its program signed by another key.
pub fn signed_by_a_stranger(built: &Built) -> anyhow::Result<Changed> {
    let folder = artefacts::folder("strict-stranger-keys")?;
    let keys = Keys::of_a_stranger(&folder)?;
    let copy = Changed(artefacts::root()?.join("strict-stranger.img"));
    copy_sparsely(&built.image, &copy.0)?;
    let esp = format!("{}@@{ESP}", copy.0.display());
    let [plain, bare, signed] =
        ["plain.efi", "bare.efi", "signed.efi"].map(|name| folder.join(name));
    let inside = "::/EFI/BOOT/BOOTX64.EFI";
    let text = |path: &Path| path.display().to_string();
    tool("mtools", "mcopy", &["-i", &esp, inside, &text(&plain)])?;
    fs::copy(&plain, &bare)?;
    tool("sbsigntool", "sbattach", &["--remove", &text(&bare)])?;
    let (key, certificate) = (text(&keys.private), text(&keys.certificate));
    let signing = ["--key", &key, "--cert", &certificate, "--output"];
    tool(
        "sbsigntool",
        "sbsign",
        &[&signing[..], &[&text(&signed), &text(&bare)]].concat(),
    )?;
    // What the image has verifies, by another's tool.
    let owner = text(&Keys::of_owner()?.certificate);
    tool("sbsigntool", "sbverify", &["--cert", &owner, &text(&plain)])?;
    tool(
        "mtools",
        "mcopy",
        &["-o", "-i", &esp, &text(&signed), inside],
    )?;
    fs::remove_dir_all(&folder)?;
    Ok(copy)
}

fn tool(package: &str, program: &str, args: &[&str]) -> anyhow::Result<()> {
    let output = Command::new(program)
        .args(args)
        .output()
        .with_context(|| format!("cannot run {program}; install it: apt-get install {package}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {args:?}: {said}");
    Ok(())
}
