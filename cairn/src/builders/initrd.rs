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
    let mut types: Vec<String> = words("fileSystemTypes")?.map(str::to_owned).collect();
    types.extend(stage1.file_systems.iter().map(|fs| fs.fs_type.clone()));
    let further: Vec<&str> = words("modules")?.collect();
    let wanted = wanted(preset, any_root, &types, &further);
    let initrd = Initrd {
        init: job.real(job.env("init")?)?,
        wanted,
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

/// The hardware's modules, those of the types of file systems that may be mounted, and further ones. Where one
/// may be of any type, or the root may turn out to be another one, those of all types that the kernel has.
fn wanted(preset: &[&str], any_root: bool, types: &[String], further: &[&str]) -> Wanted {
    let known = types.iter().filter(|fs_type| *fs_type != "auto");
    let required: Vec<_> = known
        .flat_map(|fs_type| file_system_modules(fs_type))
        .chain(further.iter().copied())
        .map(str::to_owned)
        .collect();
    let mut wanted = Wanted::new(preset, &required);
    if any_root || types.iter().any(|fs_type| fs_type == "auto") {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Debian's kernel for clouds has no f2fs.
    #[test]
    fn of_any_type_is_what_the_kernel_has() {
        let of_any = wanted(
            &[],
            false,
            &["ext4", "auto"].map(str::to_owned),
            &["dm_mod"],
        );
        assert_eq!(of_any.required, ["ext4", "dm_mod"]);
        assert!(of_any.optional.iter().any(|name| name == "f2fs"));
        let of_one = wanted(&["nvme"], false, &["xfs".to_owned()], &[]);
        assert_eq!(of_one.required, ["xfs"]);
        assert_eq!(of_one.optional, ["nvme"]);
    }
}
