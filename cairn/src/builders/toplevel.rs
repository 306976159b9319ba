//! `builtin:toplevel`: the folder that is a system, with the names that NixOS gives its parts.
//!
//! ```text
//! init activate modprobe -> the static init program
//! kernel initrd          -> what the boot loader loads
//! kernel-modules etc sw firmware
//! kernel-params system system.json boot.json
//! ```

use std::path::Path;

use cairn_store::Job;
use cairn_system::{Bootspec, BootspecV1, SystemDescription};

use super::{BuildResult, is_there, make_directory, make_link, write_file};

pub(super) fn build(job: &Job<'_>) -> BuildResult {
    let description = SystemDescription::parse(job.env("description")?)?;
    check_paths(job, &description)?;
    let output = job.output();
    make_directory(output)?;

    let init = job.env("init")?;
    make_link(init, &output.join("init"))?;
    make_link(init, &output.join("activate"))?;
    make_link(init, &output.join("modprobe"))?;
    for (name, variable) in [("kernel", "kernel"), ("initrd", "initrd"), ("sw", "sw")] {
        make_link(job.env(variable)?, &output.join(name))?;
    }
    make_link(Path::new(job.env("etc")?).join("etc"), &output.join("etc"))?;
    make_link(job.env("kernelModules")?, &output.join("kernel-modules"))?;
    make_link(
        Path::new(job.env("firmware")?).join("lib/firmware"),
        &output.join("firmware"),
    )?;

    let params: Vec<_> = job
        .env("kernelParams")?
        .lines()
        .map(str::to_owned)
        .collect();
    write_file(&output.join("kernel-params"), params.join(" "))?;
    write_file(&output.join("system"), "x86_64-linux")?;
    write_file(
        &output.join("system.json"),
        serde_json::to_string_pretty(&description)? + "\n",
    )?;
    let bootspec = bootspec(job, &description, params)?;
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
) -> Result<Bootspec, Box<dyn std::error::Error + Send + Sync>> {
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
        specialisations: std::collections::BTreeMap::new(),
    })
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
