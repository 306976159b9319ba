//! Password hashes that are in files of their own, outside of the description.

use std::path::Path;

use cairn_system::SystemDescription;

use crate::plan::{Failure, Gathered};
use crate::root::Root;

/// The description with each hash in the place of its file. A file that cannot be read, or that
/// holds none, leaves what the description says beside it.
pub(super) fn read_all(
    root: &Root,
    description: &SystemDescription,
    gathered: &mut Gathered,
) -> SystemDescription {
    let mut description = description.clone();
    for user in &mut description.users {
        let name = user.name.to_string();
        let pairs = [
            (&user.hashed_password_file, &mut user.hashed_password),
            (
                &user.initial_hashed_password_file,
                &mut user.initial_hashed_password,
            ),
        ];
        for (file, hash) in pairs {
            let Some(file) = file else { continue };
            match read(root, Path::new(file)) {
                Ok(found) => *hash = Some(found),
                Err(reason) => gathered.problems.push(Failure::new(format!(
                    "cannot set the password of '{name}': {reason}"
                ))),
            }
        }
    }
    description
}

/// The first line of the file.
fn read(root: &Root, file: &Path) -> Result<String, String> {
    let bytes = root
        .read_if_there(file)
        .map_err(|error| error.to_string())?
        .ok_or_else(|| format!("'{}' does not exist", file.display()))?;
    let text =
        String::from_utf8(bytes).map_err(|_| format!("'{}' is not a text file", file.display()))?;
    match text.lines().next().map(str::trim_end) {
        Some(hash) if !hash.is_empty() => Ok(hash.to_owned()),
        _ => Err(format!("the first line of '{}' is empty", file.display())),
    }
}
