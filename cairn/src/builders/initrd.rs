//! `builtin:initrd`: stage 1, its description, its modules and its programs, as `initrd`.

use std::collections::BTreeMap;

use cairn_image_builder::{
    ANY_HARDWARE, Initrd, ModuleTree, Program, StoreObject, VIRTUAL_MACHINE, Wanted,
};
use cairn_store::Job;
use cairn_system::Stage1;

use super::{BuildResult, make_directory};

/// The initrd is read by firmware at each boot and written once.
const COMPRESSION_LEVEL: i32 = 10;

pub(super) fn build(job: &Job<'_>) -> BuildResult {
    let release = job.env("kernelRelease")?;
    let preset = match job.env("hardware")? {
        "virtual-machine" => VIRTUAL_MACHINE,
        "any" => ANY_HARDWARE,
        other => {
            return Err(format!("'{other}' is no hardware; virtual-machine and any are").into());
        }
    };
    let modules = job.real(&format!("{}/lib/modules/{release}", job.env("kernel")?))?;
    let modules = ModuleTree::scan(&[modules])?;
    let programs: BTreeMap<String, String> = serde_json::from_str(job.env("programs")?)?;
    let initrd = Initrd {
        init: job.real(job.env("init")?)?,
        stage1: Stage1::parse(job.env("stage1")?)?,
        modules: &modules,
        wanted: Wanted::new(preset, &[]),
        firmware: job
            .env("firmware")?
            .split_whitespace()
            .map(|package| job.real(&format!("{package}/lib/firmware")))
            .collect::<Result<_, _>>()?,
        programs: programs
            .into_iter()
            .map(|(name, target)| static_program(job, name, &target))
            .collect::<Result<_, _>>()?,
    };
    make_directory(job.output())?;
    initrd.write(&job.output().join("initrd"), COMPRESSION_LEVEL)?;
    Ok(())
}

/// A static program needs no object but its own file.
fn static_program(
    job: &Job<'_>,
    name: String,
    target: &str,
) -> Result<Program, cairn_store::JobError> {
    let file = StoreObject {
        path: target.into(),
        source: job.real(target)?,
    };
    Ok(Program {
        name,
        target: target.into(),
        closure: vec![file],
    })
}
