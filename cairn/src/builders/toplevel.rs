//! `builtin:toplevel`: the folder that is a system, with the names that NixOS gives its parts.
//!
//! ```text
//! init activate modprobe user-services watchdog syslogd -> the static program that comes and goes
//! core                   -> the static program that stays: PID 1 and the supervisor
//! kernel initrd          -> what the boot loader loads
//! kernel-modules etc sw firmware
//! kernel-params system system.json boot.json
//! extra-dependencies     -> names what is kept beside it, if anything is
//! specialisation/<name>  -> another toplevel, a variant of this one
//! ```
//! A system for a container has no kernel, and nothing that goes with one: no initrd, modules, firmware,
//! `kernel-params` and `boot.json`.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use cairn_bootloader::EntryId;
use cairn_store::Job;
use cairn_system::{Bootspec, BootspecV1, SystemDescription};

use super::{BuildResult, at, is_there, make_directory, make_link, write_file};

pub(super) fn build(job: &Job<'_>) -> BuildResult {
    let description = SystemDescription::parse(job.env("description")?)?;
    description.check_order()?;
    check_paths(job, &description)?;
    let output = job.output();
    make_directory(output)?;

    let init = job.env("init")?;
    make_link(init, &output.join("init"))?;
    make_link(init, &output.join("activate"))?;
    make_link(init, &output.join("modprobe"))?;
    make_link(init, &output.join("user-services"))?;
    make_link(init, &output.join("watchdog"))?;
    make_link(init, &output.join("syslogd"))?;
    make_link(job.env("core")?, &output.join("core"))?;
    make_link(job.env("sw")?, &output.join("sw"))?;
    make_link(Path::new(job.env("etc")?).join("etc"), &output.join("etc"))?;
    write_file(&output.join("system"), "x86_64-linux")?;
    write_file(
        &output.join("system.json"),
        serde_json::to_string_pretty(&description)? + "\n",
    )?;
    if let Some(kept) = job.env_if_set("extraDependencies")? {
        write_file(&output.join("extra-dependencies"), kept)?;
    }
    let specialisations = specialisations(job)?;
    link_specialisations(&specialisations, &output.join("specialisation"))?;
    if let Some(kernel) = job.env_if_set("kernel")? {
        link_kernel(job, kernel, &description, &specialisations)?;
    }
    Ok(())
}

/// What a system with a kernel of its own has.
fn link_kernel(
    job: &Job<'_>,
    kernel: &str,
    description: &SystemDescription,
    specialisations: &BTreeMap<String, String>,
) -> BuildResult {
    let output = job.output();
    make_link(kernel, &output.join("kernel"))?;
    make_link(job.env("initrd")?, &output.join("initrd"))?;
    make_link(job.env("kernelModules")?, &output.join("kernel-modules"))?;
    make_link(
        Path::new(job.env("firmware")?).join("lib/firmware"),
        &output.join("firmware"),
    )?;
    let params = job.env("kernelParams")?.lines().map(str::to_owned);
    let params: Vec<_> = params.collect();
    write_file(&output.join("kernel-params"), params.join(" "))?;
    let bootspec = bootspec(job, description, params, specialisations)?;
    write_file(
        &output.join("boot.json"),
        serde_json::to_string_pretty(&bootspec)? + "\n",
    )?;
    Ok(())
}

fn bootspec(
    job: &Job<'_>,
    description: &SystemDescription,
    kernel_params: Vec<String>,
    specialisations: &BTreeMap<String, String>,
) -> Result<Bootspec, Box<dyn Error + Send + Sync>> {
    let toplevel = job.output_path();
    Ok(Bootspec {
        v1: BootspecV1 {
            init: format!("{toplevel}/init"),
            initrd: Some(job.env("initrd")?.to_owned()),
            initrd_secrets: None,
            kernel: job.env("kernel")?.to_owned(),
            kernel_params,
            label: format!(
                "{} (Linux {})",
                description.label,
                job.env("kernelRelease")?
            ),
            system: "x86_64-linux".to_owned(),
            toplevel: toplevel.to_string(),
        },
        specialisations: specialisations
            .iter()
            .map(|(name, toplevel)| Ok((name.clone(), bootspec_of(job, toplevel)?)))
            .collect::<Result<_, Box<dyn Error + Send + Sync>>>()?,
        menu: match job.env_if_set("menu")? {
            Some(text) => Some(serde_json::from_str(text)?),
            None => None,
        },
        factory_reset: match job.env_if_set("factoryReset")? {
            Some(text) => Some(serde_json::from_str(text)?),
            None => None,
        },
    })
}

/// The toplevel of each variant, by name.
fn specialisations(
    job: &Job<'_>,
) -> Result<BTreeMap<String, String>, Box<dyn Error + Send + Sync>> {
    let text = job.env_if_set("specialisations")?.unwrap_or("{}");
    let specialisations: BTreeMap<String, String> = serde_json::from_str(text)?;
    for name in specialisations.keys() {
        if !is_file_name(name) {
            return Err(format!("specialisation.\"{name}\": not a file's name").into());
        }
        // Better here than when some later generation cannot have a boot entry.
        EntryId::new(u64::MAX, Some(name)).map_err(|_| {
            format!("specialisation.\"{name}\": too long for a boot entry; give it a shorter name")
        })?;
    }
    Ok(specialisations)
}

fn is_file_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\0'])
}

fn link_specialisations(specialisations: &BTreeMap<String, String>, folder: &Path) -> BuildResult {
    if !specialisations.is_empty() {
        make_directory(folder)?;
    }
    for (name, toplevel) in specialisations {
        make_link(toplevel, &folder.join(name))?;
    }
    Ok(())
}

/// The `boot.json` of another toplevel.
fn bootspec_of(job: &Job<'_>, toplevel: &str) -> Result<Bootspec, Box<dyn Error + Send + Sync>> {
    let path = job.real(toplevel)?.join("boot.json");
    let text = fs::read_to_string(&path).map_err(at(&path))?;
    Ok(Bootspec::parse(&text)?)
}

/// Every program that the description names must exist: better here than at the next boot.
fn check_paths(job: &Job<'_>, description: &SystemDescription) -> BuildResult {
    let services = description.services.iter().filter_map(|service| {
        let program = service.process.argv.first()?;
        Some((format!("services.{}", service.name), program))
    });
    let wrappers = description.wrappers.iter().map(|wrapper| {
        (
            format!("security.wrappers.{}", wrapper.name),
            &wrapper.source,
        )
    });
    let shells = [
        ("environment.binsh".to_owned(), &description.bin_sh),
        ("environment.usrbinenv".to_owned(), &description.usr_bin_env),
    ];
    for (option, program) in services.chain(wrappers).chain(shells) {
        if program.starts_with("/nix/store/") && !is_there(&job.real(program)?) {
            return Err(format!("{option}: the program '{program}' does not exist").into());
        }
    }
    Ok(())
}
