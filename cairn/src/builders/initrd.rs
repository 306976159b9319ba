//! `builtin:initrd`: stage 1, its description, its modules and its files, as `initrd`.

use std::collections::BTreeMap;
use std::error::Error;

use cairn_image_builder::{
    ANY_HARDWARE, Initrd, Link, Microcode, VIRTUAL_MACHINE, Vendor, Wanted, file_system_modules,
};
use cairn_store::{Job, JobError};
use cairn_system::Stage1;

use super::kernel_modules::module_tree;
use super::program_files::{ProgramError, program_files};
use super::{BuildResult, make_directory};

/// The initrd is read by firmware at each boot and written once: two seconds for a virtual machine's, which
/// is a twelfth smaller so.
const COMPRESSION_LEVEL: i32 = 16;
/// That of any hardware is four times as large, and would take ten seconds longer.
const COMPRESSION_LEVEL_ANY: i32 = 10;

pub(super) fn build(job: &Job<'_>) -> BuildResult {
    let release = job.env("kernelRelease")?;
    let (preset, any_root, level) = match job.env("hardware")? {
        "virtual-machine" => (VIRTUAL_MACHINE, false, COMPRESSION_LEVEL),
        "any" => (ANY_HARDWARE, true, COMPRESSION_LEVEL_ANY),
        "none" => (&[] as &[&str], false, COMPRESSION_LEVEL),
        other => {
            return Err(
                format!("'{other}' is no hardware; virtual-machine, any and none are").into(),
            );
        }
    };
    let modules = job.real(&format!("{}/lib/modules/{release}", job.env("kernel")?))?;
    let modules = module_tree(job, &modules)?;
    let stage1 = Stage1::parse(job.env("stage1")?)?;
    let files: BTreeMap<String, String> = serde_json::from_str(job.env("files")?)?;
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
        links: files
            .into_iter()
            .map(|(path, target)| link(job, &path, &target))
            .collect::<Result<_, _>>()?,
        microcode: words("microcode")?
            .map(|word| microcode(job, word))
            .collect::<Result<_, _>>()?,
    };
    make_directory(job.output())?;
    initrd.write(&job.output().join("initrd"), level)?;
    Ok(())
}

/// `intel:PACKAGE` or `amd:PACKAGE`.
fn microcode(job: &Job<'_>, word: &str) -> Result<Microcode, Box<dyn Error + Send + Sync>> {
    let (vendor, package) = match word.split_once(':') {
        Some(("intel", package)) => (Vendor::Intel, package),
        Some(("amd", package)) => (Vendor::Amd, package),
        _ => {
            return Err(
                format!("'{word}' is no microcode; intel:PACKAGE and amd:PACKAGE are").into(),
            );
        }
    };
    let firmware = job.real(&format!("{package}/lib/firmware"))?;
    Ok(Microcode { vendor, firmware })
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

/// A link to a file of the store, with the files that it needs if it is a program.
fn link(job: &Job<'_>, path: &str, target: &str) -> Result<Link, ProgramError> {
    Ok(Link {
        path: path.trim_start_matches('/').into(),
        closure: program_files(target.as_ref(), &|path| Ok(job.real(path)?))?,
        target: target.into(),
    })
}
