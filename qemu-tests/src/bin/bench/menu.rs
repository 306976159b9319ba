//! Writing the boot menu for many generations, durable on the disk. No peer runs here: the field's
//! scripts write `grub.cfg` as a part of installing the boot loader. The goal is a time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context;
use cairn_bootloader::{
    BootFiles, Generation, Options, SlotFiles, Slots, entries, next_slot, write_slot,
};
use cairn_system::Bootspec;

use crate::{Times, scratch};

/// The most that writing may take at the median.
const GOAL: Duration = Duration::from_millis(100);

const ROUNDS: usize = 15;

pub fn measure() -> anyhow::Result<()> {
    println!("\n{:<34}{:>8} {:>8}   (seconds)", "menu", "least", "median");
    for count in [100, 1000] {
        let generations = (1..=count).map(generation).collect::<Result<Vec<_>, _>>()?;
        let mut times = Times::default();
        let folder = scratch()?;
        for _ in 0..ROUNDS {
            let begin = Instant::now();
            let menu = entries(&generations, &Options::default());
            let (slot, sequence) = next_slot(&Slots::read(folder.path())?)?;
            write_slot(folder.path(), &SlotFiles::new(slot, sequence, &menu))?;
            times.0.push(begin.elapsed());
        }
        let verdict = if times.median() <= GOAL.as_secs_f64() {
            "reached"
        } else {
            "MISSED"
        };
        println!(
            "{:<34}{:>8.4} {:>8.4}   goal {:.3}: {verdict}",
            format!("{count} generations"),
            times.least(),
            times.median(),
            GOAL.as_secs_f64(),
        );
    }
    Ok(())
}

/// A generation as long as real ones are, with one specialisation.
fn generation(number: u64) -> anyhow::Result<Generation> {
    let digest = "0123456789abcdfghijklmnpqrsvwxyz";
    let v1 = format!(
        r#""org.nixos.bootspec.v1": {{
            "init": "/nix/store/{digest}-cairn-system-box/init", "kernel": "/nix/store/{digest}-k",
            "kernelParams": ["console=tty0", "console=ttyS0,115200", "loglevel=4", "quiet"],
            "label": "12.7.20261122 (Linux 6.1.0-42-amd64)", "system": "x86_64-linux",
            "toplevel": "/nix/store/{digest}-cairn-system-box"}}"#
    );
    let text = format!(r#"{{{v1}, "org.nixos.specialisation.v1": {{"debug": {{{v1}}}}}}}"#);
    let bootspec = Bootspec::parse(&text)?;
    let hash = blake3::hash(&number.to_le_bytes()).to_hex();
    let files = BootFiles {
        kernel: format!("/boot/kernels/{hash}-vmlinuz"),
        initrd: Some(format!("/boot/kernels/{hash}-initrd")),
    };
    let specialisations = BTreeMap::from([("debug".to_owned(), files.clone())]);
    let date = 1_795_336_200 + 3600 * i64::try_from(number).context("too many generations")?;
    Ok(Generation::new(
        number,
        date,
        "6.1.0-42-amd64",
        &bootspec,
        files,
        &specialisations,
    )?)
}
