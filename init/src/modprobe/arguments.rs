//! The arguments of `modprobe`: those that the kernel, people and the supervisor use.
//!
//! Source: `modprobe(8)`; `call_modprobe` of the kernel's `kernel/module/kmod.c`.

use std::ffi::OsString;

/// How to call it.
const USAGE: &str = "usage: modprobe [-q] NAME [PARAMETER=VALUE]…, modprobe [-q] -a NAME…, \
                     modprobe [-q] -r NAME…, modprobe --coldplug";

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments {
    /// The work.
    pub task: Task,
    /// Only the kernel's log hears of failures, and of expected ones nobody does.
    pub quiet: bool,
}

/// The work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Load each of these, names of modules or aliases.
    Load(Vec<String>),
    /// Load the module of this name with parameters, `name=value` each.
    LoadWith {
        /// A module's name.
        name: String,
        /// Not empty.
        parameters: Vec<String>,
    },
    /// Remove each of these modules.
    Remove(Vec<String>),
    /// Load what the devices that exist ask for.
    Coldplug,
}

/// The arguments are not understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentsError {
    /// There is no such option.
    #[error("there is no option '{0}'; {USAGE}")]
    Unknown(String),
    /// Nothing is asked for.
    #[error("{USAGE}")]
    Empty,
}

/// Reads the arguments that follow the program's name.
///
/// # Errors
/// An option is unknown, or no module is named.
pub fn parse(arguments: &[OsString]) -> Result<Arguments, ArgumentsError> {
    let mut words = arguments.iter().map(|word| word.to_string_lossy());
    let (mut quiet, mut all, mut remove, mut coldplug) = (false, false, false, false);
    let mut names = Vec::new();
    for word in words.by_ref() {
        let unknown = || ArgumentsError::Unknown(word.clone().into_owned());
        match &*word {
            "--" => break,
            "--quiet" => quiet = true,
            "--all" => all = true,
            "--remove" => remove = true,
            "--coldplug" => coldplug = true,
            // Its meaning here: the blacklist always holds for aliases, and everything is logged.
            "--use-blacklist" | "--syslog" | "--verbose" => {}
            long if long.starts_with("--") => return Err(unknown()),
            short if short.len() > 1 && short.starts_with('-') => {
                for letter in short.chars().skip(1) {
                    match letter {
                        'q' => quiet = true,
                        'a' => all = true,
                        'r' => remove = true,
                        'b' | 's' | 'v' => {}
                        _ => return Err(unknown()),
                    }
                }
            }
            name => names.push(name.to_owned()),
        }
    }
    names.extend(words.map(std::borrow::Cow::into_owned));
    let task = match (names.split_first(), coldplug) {
        (None, true) => Task::Coldplug,
        (Some(_), true) | (None, false) => return Err(ArgumentsError::Empty),
        (Some(_), false) if remove => Task::Remove(names),
        (Some((name, parameters)), false) if !all && !parameters.is_empty() => Task::LoadWith {
            name: name.clone(),
            parameters: parameters.to_vec(),
        },
        (Some(_), false) => Task::Load(names),
    };
    Ok(Arguments { task, quiet })
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(arguments: &str, expected: &Expect) {
        let arguments: Vec<_> = arguments.split_whitespace().map(OsString::from).collect();
        let text = match parse(&arguments) {
            Ok(arguments) => format!("{arguments:?}"),
            Err(error) => error.to_string(),
        };
        expected.assert_eq(&text);
    }

    #[test]
    fn calls() {
        check(
            "-q -- fs-ext4",
            &expect![[r#"Arguments { task: Load(["fs-ext4"]), quiet: true }"#]],
        );
        check(
            "loop max_loop=8 max_part=4",
            &expect![[
                r#"Arguments { task: LoadWith { name: "loop", parameters: ["max_loop=8", "max_part=4"] }, quiet: false }"#
            ]],
        );
        check(
            "-qab pci:v1 pci:v2",
            &expect![[r#"Arguments { task: Load(["pci:v1", "pci:v2"]), quiet: true }"#]],
        );
        check(
            "-r loop",
            &expect![[r#"Arguments { task: Remove(["loop"]), quiet: false }"#]],
        );
        check(
            "--coldplug",
            &expect!["Arguments { task: Coldplug, quiet: false }"],
        );
        check(
            "-- -r",
            &expect![[r#"Arguments { task: Load(["-r"]), quiet: false }"#]],
        );
    }

    #[test]
    fn what_is_not_understood_does_nothing() {
        let usage = expect![
            "usage: modprobe [-q] NAME [PARAMETER=VALUE]…, modprobe [-q] -a NAME…, modprobe [-q] -r NAME…, modprobe --coldplug"
        ];
        check("", &usage);
        check("-a", &usage);
        check("--coldplug loop", &usage);
        check(
            "--show-depends loop",
            &expect![
                "there is no option '--show-depends'; usage: modprobe [-q] NAME [PARAMETER=VALUE]…, modprobe [-q] -a NAME…, modprobe [-q] -r NAME…, modprobe --coldplug"
            ],
        );
        check(
            "-f loop",
            &expect![
                "there is no option '-f'; usage: modprobe [-q] NAME [PARAMETER=VALUE]…, modprobe [-q] -a NAME…, modprobe [-q] -r NAME…, modprobe --coldplug"
            ],
        );
    }
}
