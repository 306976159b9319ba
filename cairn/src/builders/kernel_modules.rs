//! `builtin:kernel-modules`: a kernel's modules with depmod's indices.
//!
//! ```text
//! lib/modules/<release>/kernel -> the kernel package's
//! lib/modules/<release>/modules.*
//! ```

use std::error::Error;
use std::path::Path;

use cairn_image_builder::ModuleTree;
use cairn_store::Job;

use super::{BuildResult, make_directory, make_link, sorted_names, write_file};

/// Files that come with the kernel and that depmod reads.
const GIVEN: [&str; 3] = [
    "modules.builtin",
    "modules.builtin.modinfo",
    "modules.order",
];

pub(super) fn build(job: &Job<'_>) -> BuildResult {
    let release = job.env("release")?;
    let packaged = format!("{}/lib/modules/{release}", job.env("kernel")?);
    let real = job.real(&packaged)?;
    let modules = job.output().join("lib/modules").join(release);
    make_directory(&modules)?;
    for name in sorted_names(&real)? {
        let file = real.join(&name);
        if file.is_dir() {
            make_link(Path::new(&packaged).join(&name), &modules.join(&name))?;
        } else if GIVEN.iter().any(|given| name.as_os_str() == *given) {
            write_file(
                &modules.join(&name),
                std::fs::read(&file).map_err(super::at(&file))?,
            )?;
        }
    }
    module_tree(job, &real)?.write_indices(&modules)?;
    Ok(())
}

/// The modules in a folder, with the soft dependencies of the configuration.
pub(super) fn module_tree(
    job: &Job<'_>,
    folder: &Path,
) -> Result<ModuleTree, Box<dyn Error + Send + Sync>> {
    let mut tree = ModuleTree::scan(&[folder])?;
    for rule in job.env_if_set("softDependencies")?.unwrap_or("").lines() {
        tree.add_soft_dependency(rule)?;
    }
    Ok(tree)
}
