//! `builtin:initrd`: stage 1, its description, its modules and its programs, as `initrd`.

use std::collections::BTreeMap;

use cairn_image_builder::{
    ANY_HARDWARE, Initrd, ModuleTree, Program, StoreObject, VIRTUAL_MACHINE, Wanted,
    file_system_modules,
};
use cairn_store::{Job, JobError};
use cairn_system::Stage1;

use super::{BuildResult, make_directory};

/// The initrd is read by firmware at each boot and written once.
const COMPRESSION_LEVEL: i32 = 10;

pub(super) fn build(job: &Job<'_>) -> BuildResult {
    let release = job.env("kernelRelease")?;
    let (preset, any_root) = match job.env("hardware")? {
        "virtual-machine" => (VIRTUAL_MACHINE, false),
        "any" => (ANY_HARDWARE, true),
        "none" => (&[] as &[&str], false),
        other => {
            return Err(
                format!("'{other}' is no hardware; virtual-machine, any and none are").into(),
            );
        }
    };
    let modules = job.real(&format!("{}/lib/modules/{release}", job.env("kernel")?))?;
    let modules = ModuleTree::scan(&[modules])?;
    let stage1 = Stage1::parse(job.env("stage1")?)?;
    let programs: BTreeMap<String, String> = serde_json::from_str(job.env("programs")?)?;
    let words = |name| Ok::<_, JobError>(job.env_if_set(name)?.unwrap_or("").split_whitespace());
    let further: Vec<&str> = words("modules")?
        .chain(words("fileSystemTypes")?.flat_map(file_system_modules))
        .collect();
    let initrd = Initrd {
        init: job.real(job.env("init")?)?,
        wanted: wanted(preset, any_root, &stage1, &further),
        stage1,
        modules: &modules,
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

/// The hardware's modules, those of the file systems that stage 1 mounts (of all of them if the
/// root may turn out to be another one), and further ones.
fn wanted(preset: &[&str], any_root: bool, stage1: &Stage1, further: &[&str]) -> Wanted {
    let types = stage1.file_systems.iter().map(|fs| fs.fs_type.as_str());
    let required: Vec<_> = types
        .flat_map(file_system_modules)
        .chain(further.iter().copied())
        .map(str::to_owned)
        .collect();
    let mut wanted = Wanted::new(preset, &required);
    if any_root {
        wanted
            .optional
            .extend(file_system_modules("auto").into_iter().map(str::to_owned));
    }
    wanted
}

/// A static program needs no object but its own file.
fn static_program(job: &Job<'_>, name: String, target: &str) -> Result<Program, JobError> {
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
