//! `builtin:udev-rules`: the rules by which a machine's devices get their names and rights, as one folder of files.
//!
//! `files` is JSON, name -> text: the machine's own rules, which must be without a fault. `packages` are objects whose
//! `lib/udev/rules.d` and `etc/udev/rules.d` come along; what is wrong there is said, and the rest of them counts.
//!
//! Packages are made for another layout: programs that they name below `/lib/udev`, or without a path if they bring one of
//! that name along there, are the package's own, and those of `/bin` and its kin are found through `PATH`. `/bin/sh` is
//! there.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use cairn_devices::rules::{Rules, Severity};
use cairn_store::Job;

use super::link_tree::Source;
use super::{BuildResult, at, make_directory, sorted_names, write_file};

/// Folders of programs that are not there.
const ELSEWHERE: [&str; 6] = [
    "/usr/local/bin/",
    "/usr/local/sbin/",
    "/usr/bin/",
    "/usr/sbin/",
    "/bin/",
    "/sbin/",
];

/// Where rules of packages are.
const FOLDERS: [&str; 2] = ["lib/udev/rules.d", "etc/udev/rules.d"];

pub(super) fn build(job: &Job<'_>) -> BuildResult {
    let own: BTreeMap<String, String> = serde_json::from_str(job.env("files")?)?;
    let mut files = BTreeMap::new();
    for package in Source::listed(job, "packages")? {
        let brought = brought(job, &package)?;
        if brought.is_empty() {
            let package = package.logical().display();
            log::warn!("services.udev.packages: {package} brings no rules along");
        }
        for (name, text) in brought {
            files.entry(name).or_insert(text);
        }
    }
    for problem in Rules::parse(&files.iter().collect::<Vec<_>>()).1 {
        log::warn!("services.udev.packages: {problem}");
    }
    let (_, problems) = Rules::parse(&own.iter().collect::<Vec<_>>());
    let (faults, notices): (Vec<_>, Vec<_>) = problems
        .iter()
        .partition(|problem| problem.severity == Severity::Fatal);
    if !faults.is_empty() {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        return Err(format!("services.udev.extraRules:\n{}", faults.join("\n")).into());
    }
    for notice in notices {
        log::warn!("services.udev.extraRules: {notice}");
    }
    files.extend(own);
    make_directory(job.output())?;
    for (name, text) in files {
        if name.contains('/') || name.starts_with('.') {
            return Err(format!("'{name}' is no name of a file of rules").into());
        }
        write_file(&job.output().join(name), text)?;
    }
    Ok(())
}

/// Keys whose values are commands.
const COMMANDS: [&str; 4] = ["PROGRAM", "IMPORT{program}", "RUN", "RUN{program}"];

/// What may be between a key and its value.
const OPERATORS: [&str; 5] = ["=", "==", "!=", "+=", ":="];

/// The rules that a package brings along, by the names of their files.
fn brought(job: &Job<'_>, package: &Source) -> io::Result<BTreeMap<String, String>> {
    let programs = package.logical().join("lib/udev").display().to_string();
    let mut own = Vec::new();
    if let Some(folder) = package.below(job, "lib/udev".as_ref())? {
        let names = sorted_names(folder.real())?.into_iter();
        let names = names.filter(|name| folder.real().join(name).is_file());
        own.extend(names.map(|name| name.to_string_lossy().into_owned()));
    }
    let mut files = BTreeMap::new();
    for folder in FOLDERS {
        let Some(folder) = package.below(job, folder.as_ref())? else {
            continue;
        };
        for name in sorted_names(folder.real())? {
            let path = folder.real().join(&name);
            if path.extension().is_some_and(|ending| ending == "rules") && path.is_file() {
                let name = name.to_string_lossy().into_owned();
                let text = fs::read(&path).map_err(at(&path))?;
                files.insert(
                    name,
                    moved(&String::from_utf8_lossy(&text), &programs, &own),
                );
            }
        }
    }
    Ok(files)
}

/// A package's rules, which name programs where they are here: `own` are those in the folder `programs`.
fn moved(text: &str, programs: &str, own: &[String]) -> String {
    let mut text = text.replace("/usr/lib/udev/", "/lib/udev/");
    text = text.replace("\"/lib/udev/", &format!("\"{programs}/"));
    text = text.replace("\"/bin/sh ", "\"\0sh ");
    for folder in ELSEWHERE {
        text = text.replace(&format!("\"{folder}"), "\"");
    }
    for name in own {
        for (key, operator) in COMMANDS
            .iter()
            .flat_map(|key| OPERATORS.iter().map(move |operator| (key, operator)))
        {
            for end in [" ", "\""] {
                let named = format!("{key}{operator}\"{name}{end}");
                text = text.replace(&named, &format!("{key}{operator}\"{programs}/{name}{end}"));
            }
        }
    }
    text.replace('\0', "/bin/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn programs_are_where_they_are_here() {
        let text = r#"
KERNEL=="sr0", IMPORT{program}="/lib/udev/cd_id $devnode", RUN+="/usr/lib/udev/other"
RUN+="/usr/bin/touch /bin/x", PROGRAM=="/bin/sh -c 'echo /usr/bin'", RUN+="/sbin/mdadm -I %k"
PROGRAM="mtp-probe %k", RUN+="mtp-probe", ENV{X}="mtp-probe x", RUN+="mtp-probes x"
"#;
        expect![[r#"

            KERNEL=="sr0", IMPORT{program}="/nix/store/x-y/lib/udev/cd_id $devnode", RUN+="/nix/store/x-y/lib/udev/other"
            RUN+="touch /bin/x", PROGRAM=="/bin/sh -c 'echo /usr/bin'", RUN+="mdadm -I %k"
            PROGRAM="/nix/store/x-y/lib/udev/mtp-probe %k", RUN+="/nix/store/x-y/lib/udev/mtp-probe", ENV{X}="mtp-probe x", RUN+="mtp-probes x"
        "#]]
        .assert_eq(&moved(
            text,
            "/nix/store/x-y/lib/udev",
            &["mtp-probe".to_owned()],
        ));
    }
}
