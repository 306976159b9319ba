//! `builtin:kernel-modules`: a kernel's modules with depmod's indices.
//!
//! ```text
//! lib/modules/<release>/kernel -> the kernel package's
//! lib/modules/<release>/modules.*
//! ```

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
            make_link(
                std::path::Path::new(&packaged).join(&name),
                &modules.join(&name),
            )?;
        } else if GIVEN.iter().any(|given| name.as_os_str() == *given) {
            write_file(
                &modules.join(&name),
                std::fs::read(&file).map_err(super::at(&file))?,
            )?;
        }
    }
    ModuleTree::scan(&[&real])?.write_indices(&modules)?;
    Ok(())
}
