//! `nixos-install`, for fingers that know it: its words to this command's.
//!
//! Source: NixOS's `nixos-install(8)`.

use std::ffi::OsString;

use crate::switch::rebuild::{NO_FLAKES, RebuildError, include};

/// The name that this program is called by.
pub const NAME: &str = "nixos-install";

/// Where the new root is mounted if nothing is said.
pub const ROOT: &str = "/mnt";

/// What to run instead: the arguments of `cairn`.
///
/// # Errors
/// A word has no meaning here.
pub fn translate(words: impl IntoIterator<Item = OsString>) -> Result<Vec<OsString>, RebuildError> {
    let mut root: Option<OsString> = None;
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
            "--root" => root = Some(value()?),
            "-I" => options.extend(include(value()?)),
            "--no-root-passwd" | "--no-root-password" => {
                options.push("--no-root-password".into());
            }
            "--no-bootloader" | "--no-boot-loader" => options.push("--no-boot-loader".into()),
            "--show-trace" | "--help" | "-h" => options.push(word),
            // There are no channels, and what else they ask for is always so.
            "--no-channel-copy" | "--verbose" | "-v" | "--quiet" | "--print-build-logs" | "-L"
            | "--keep-going" | "-k" | "--debug" => {}
            "--channel" | "--max-jobs" | "-j" | "--cores" | "--log-format" => drop(value()?),
            _ => {
                return Err(RebuildError::Unsupported {
                    reason: reason(&text),
                    word: text,
                });
            }
        }
    }
    let root = root.unwrap_or_else(|| ROOT.into());
    Ok(["install".into(), "--root".into(), root]
        .into_iter()
        .chain(options)
        .collect())
}

fn reason(word: &str) -> &'static str {
    match word {
        "--flake" | "--override-input" | "--impure" => NO_FLAKES,
        "--system" => "a system comes from a configuration; name it with -I nixos-config=FILE",
        "--substituters" | "--option" => {
            "there are no substituters; packages come from Debian's archive"
        }
        _ => "there is no such option; see cairn install --help",
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

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
            ("", "install --root /mnt"),
            ("--root /target", "install --root /target"),
            (
                "--no-root-passwd --no-channel-copy --cores 4",
                "install --root /mnt --no-root-password",
            ),
            (
                "-I nixos-config=/x.nix -I a=/b --show-trace",
                "install --root /mnt -c /x.nix -I a=/b --show-trace",
            ),
            ("--no-bootloader", "install --root /mnt --no-boot-loader"),
        ] {
            assert_eq!(check(typed), meant, "{typed}");
        }
    }

    #[test]
    fn words_that_mean_nothing_here() {
        for (typed, said) in [
            (
                "--flake .#host",
                "cannot do '--flake': flakes are not supported; name a configuration with -I \
                 nixos-config=FILE",
            ),
            (
                "--sideways",
                "cannot do '--sideways': there is no such option; see cairn install --help",
            ),
            ("--root", "cannot use '--root' without a value"),
        ] {
            assert_eq!(check(typed), said, "{typed}");
        }
    }
}
