//! `nixos-rebuild`, for fingers that know it: its words to this command's.
//!
//! Source: NixOS's `nixos-rebuild(8)`.

use std::ffi::{OsStr, OsString};

/// The name that this program is called by.
pub const NAME: &str = "nixos-rebuild";

/// What is said of the options for flakes.
pub const NO_FLAKES: &str =
    "flakes are not supported; name a configuration with -I nixos-config=FILE";

/// Why its words mean nothing here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RebuildError {
    /// There is no action among them.
    #[error(
        "cannot tell what to do; say one of switch, boot, test, build, dry-build, dry-activate, \
         build-vm, repl, list-generations"
    )]
    NoAction,
    /// It has no meaning on a Cairn system.
    #[error("cannot do '{word}': {reason}")]
    Unsupported {
        /// The word.
        word: String,
        /// Why, and what to do instead.
        reason: &'static str,
    },
    /// An option's value is missing.
    #[error("cannot use '{0}' without a value")]
    NoValue(String),
}

/// What to run instead: the arguments of `cairn`.
///
/// # Errors
/// A word has no meaning here.
pub fn translate(words: impl IntoIterator<Item = OsString>) -> Result<Vec<OsString>, RebuildError> {
    let mut verb: Option<&str> = None;
    let mut options: Vec<OsString> = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy().into_owned();
        let mut value = || {
            words
                .next()
                .ok_or_else(|| RebuildError::NoValue(text.clone()))
        };
        match text.as_str() {
            "switch" | "boot" | "test" | "build" | "repl" => verb = verb_of(&text),
            "dry-activate" | "dry-run" => verb = Some("dry-run"),
            "dry-build" => {
                verb = Some("build");
                options.push("--dry-run".into());
            }
            "build-vm" | "build-vm-with-bootloader" => verb = Some("vm"),
            "list-generations" => verb = Some("generations"),
            "--rollback" | "--show-trace" | "--json" | "--install-bootloader" => options.push(word),
            "--upgrade" | "--upgrade-all" => options.push("--update".into()),
            "-c" | "--specialisation" => options.extend(["--specialisation".into(), value()?]),
            "-I" => options.extend(include(value()?)),
            // What they ask for is always so.
            "--fast" | "--no-reexec" | "--no-build-nix" | "--verbose" | "-v" | "--quiet"
            | "--print-build-logs" | "-L" | "--keep-going" | "-k" => {}
            "--max-jobs" | "-j" | "--cores" | "--log-format" => drop(value()?),
            _ => return Err(unsupported(&text)),
        }
    }
    let verb = verb.ok_or(RebuildError::NoAction)?;
    Ok(std::iter::once(verb.into()).chain(options).collect())
}

fn verb_of(text: &str) -> Option<&'static str> {
    ["switch", "boot", "test", "build", "repl"]
        .into_iter()
        .find(|verb| *verb == text)
}

/// `-I nixos-config=FILE` names the configuration; other entries go to the search path.
#[must_use]
pub fn include(entry: OsString) -> [OsString; 2] {
    match entry
        .to_str()
        .and_then(|text| text.strip_prefix("nixos-config="))
    {
        Some(file) => ["-c".into(), file.into()],
        None => ["-I".into(), entry],
    }
}

fn unsupported(text: &str) -> RebuildError {
    let reason = match text {
        "--flake" | "--override-input" | "--impure" => NO_FLAKES,
        "edit" => "open /etc/nixos/configuration.nix with an editor",
        "--target-host" | "--build-host" | "--use-remote-sudo" => {
            "other hosts are not supported; run it there"
        }
        "-p" | "--profile-name" => "there is one profile, system",
        _ => "there is no such action or option; see cairn switch --help",
    };
    RebuildError::Unsupported {
        word: text.to_owned(),
        reason,
    }
}

/// Whether a program of this path is called so.
#[must_use]
pub fn is_name(program: &OsStr) -> bool {
    std::path::Path::new(program).file_name() == Some(OsStr::new(NAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &str) -> String {
        match translate(words.split_whitespace().map(OsString::from)) {
            Ok(words) => words.join(OsStr::new(" ")).into_string().unwrap(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn words_that_people_type() {
        for (typed, meant) in [
            ("switch", "switch"),
            ("switch --rollback", "switch --rollback"),
            ("switch --upgrade", "switch --update"),
            ("--upgrade boot -L", "boot --update"),
            ("test -c debug", "test --specialisation debug"),
            (
                "switch -I nixos-config=/etc/other.nix -I a=/b",
                "switch -c /etc/other.nix -I a=/b",
            ),
            ("dry-activate", "dry-run"),
            ("dry-build", "build --dry-run"),
            ("build-vm", "vm"),
            ("list-generations --json", "generations --json"),
            ("build -j 4 --fast", "build"),
        ] {
            assert_eq!(check(typed), meant, "{typed}");
        }
    }

    #[test]
    fn words_that_mean_nothing_here() {
        for (typed, said) in [
            (
                "--upgrade",
                "cannot tell what to do; say one of switch, boot, test, build, dry-build, \
                 dry-activate, build-vm, repl, list-generations",
            ),
            (
                "switch --flake .#host",
                "cannot do '--flake': flakes are not supported; name a configuration with -I \
                 nixos-config=FILE",
            ),
            (
                "switch --sideways",
                "cannot do '--sideways': there is no such action or option; see cairn switch --help",
            ),
            ("switch -c", "cannot use '-c' without a value"),
        ] {
            assert_eq!(check(typed), said, "{typed}");
        }
    }
}
