//! `/etc/pam.d`, with modules by their store paths: nothing is searched in `/lib`.

use anyhow::Result;
use cairn_system::SystemDescription;

use super::parts::link;
use crate::packages::PackageSet;

/// Programs that ask PAM for a password.
const WITH_PASSWORD: [&str; 3] = ["login", "sshd", "passwd"];

/// Programs that ask only if their caller is not the superuser. Never one that runs as the
/// superuser on behalf of somebody unknown: `login` would let everybody in.
const FREE_FOR_ROOT: [&str; 2] = ["su", "chpasswd"];

const ENVIRONMENT: &str = "\
PATH DEFAULT=/run/wrappers/bin:/run/current-system/sw/bin
LANG DEFAULT=C.UTF-8
LOCPATH DEFAULT=/run/current-system/sw/lib/locale
TERMINFO_DIRS DEFAULT=/run/current-system/sw/lib/terminfo
";

/// Adds stacks that check passwords of `/etc/shadow`, and refuses every unknown program.
pub(super) fn add_pam(
    packages: &PackageSet<'_>,
    description: &mut SystemDescription,
) -> Result<()> {
    let module = |name: &str| {
        packages.path(
            "libpam-modules",
            &format!("lib/x86_64-linux-gnu/security/{name}.so"),
        )
    };
    let stack = stack(&module("pam_unix")?, &module("pam_env")?);
    let free = format!("auth sufficient {}\n{stack}", module("pam_rootok")?);
    let deny = module("pam_deny")?;
    let refusal = ["auth", "account", "password", "session"]
        .map(|kind| format!("{kind} required {deny}\n"))
        .concat();
    let stacks: [(&str, &str, &[&str]); 3] = [
        ("pam-password", &stack, &WITH_PASSWORD),
        ("pam-free-for-root", &free, &FREE_FOR_ROOT),
        ("pam-refusal", &refusal, &["other"]),
    ];
    for (name, text, programs) in stacks {
        let source = packages.text(name, text)?;
        let links = programs
            .iter()
            .map(|program| link(format!("pam.d/{program}"), &source));
        description.etc.extend(links);
    }
    let environment = packages.text("pam-env", ENVIRONMENT)?;
    description
        .etc
        .push(link("security/pam_env.conf", environment));
    Ok(())
}

fn stack(unix: &str, env: &str) -> String {
    format!(
        "auth required {unix}\n\
         account required {unix}\n\
         password required {unix} yescrypt\n\
         session required {env} conffile=/etc/security/pam_env.conf readenv=0\n\
         session required {unix}\n"
    )
}
