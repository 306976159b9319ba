//! What a configuration puts onto its live medium, as other programs read it there.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use cairn_qemu_tests::images;

#[test]
fn a_medium_has_what_is_put_onto_it() -> anyhow::Result<()> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("configurations/medium.nix");
    let built = images::build_image("iso", "medium", &file, &images::options()?)?;
    let read = |path: &str| {
        let mut isoinfo = Command::new("isoinfo");
        isoinfo.args(["-R", "-x", path, "-i"]).arg(&built.image);
        let output = isoinfo
            .output()
            .context("cannot run isoinfo; apt-get install genisoimage")?;
        ensure!(output.status.success(), "{output:?}");
        anyhow::Ok(output.stdout)
    };
    ensure!(read("/docs/about.nix")? == fs::read(&file)?);
    // The media check reads it, too.
    let manifest = String::from_utf8(read("/cairn/manifest")?)?;
    ensure!(manifest.contains("docs/about.nix"), "{manifest}");
    Ok(())
}
