//! What every machine has: superuser, well-known groups, `/etc` basics, the shell.

use anyhow::Result;
use cairn_system::{FileSystem, Group, HostName, SystemDescription, User, V1, Wrapper};

use super::pam;
use super::parts::{directory, link, system_user};
use crate::packages::PackageSet;

/// What a machine must say of itself.
#[derive(Debug, Clone)]
pub struct BaseOptions {
    /// Host name.
    pub host_name: HostName,
    /// Name in boot menus and `/etc/os-release`.
    pub label: String,
    /// All mounts.
    pub file_systems: Vec<FileSystem>,
    /// A crypt(3) hash of root's first password; absent locks password logins.
    pub root_initial_hashed_password: Option<String>,
}

/// Groups with the numbers that NixOS gives them.
const GROUPS: [(&str, u32); 20] = [
    ("root", 0),
    ("wheel", 1),
    ("kmem", 2),
    ("tty", 3),
    ("disk", 6),
    ("audio", 17),
    ("lp", 20),
    ("cdrom", 24),
    ("tape", 25),
    ("video", 26),
    ("dialout", 27),
    ("utmp", 29),
    ("adm", 55),
    ("keys", 96),
    ("users", 100),
    ("input", 174),
    ("kvm", 302),
    ("shadow", 318),
    ("nixbld", 30_000),
    ("nogroup", 65_534),
];

const PROFILE: &str = r#"# What a login shell starts with.
export PATH=/run/wrappers/bin:/run/current-system/sw/bin
export LANG=${LANG:-C.UTF-8}
export LOCPATH=/run/current-system/sw/lib/locale
export TERMINFO_DIRS=/run/current-system/sw/lib/terminfo:/run/current-system/sw/share/terminfo
export SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
export PAGER=less
export EDITOR=nano
if [ -n "${BASH_VERSION-}" ] && [ -r /etc/bashrc ]; then . /etc/bashrc; fi
"#;

const BASHRC: &str = r#"# What an interactive bash starts with.
case $- in *i*) PS1='\[\e[1;32m\][\u@\h:\w]\$\[\e[0m\] ' ;; esac
"#;

const LOGIN_DEFS: &str = "\
ENV_PATH PATH=/run/wrappers/bin:/run/current-system/sw/bin
ENV_SUPATH PATH=/run/wrappers/bin:/run/current-system/sw/bin
LOG_UNKFAIL_ENAB no
MAIL_DIR /var/mail
UMASK 077
UID_MIN 1000
UID_MAX 29999
GID_MIN 1000
GID_MAX 29999
SYS_UID_MIN 400
SYS_UID_MAX 999
SYS_GID_MIN 400
SYS_GID_MAX 999
TTYGROUP tty
TTYPERM 0620
ENCRYPT_METHOD YESCRYPT
";

const NSSWITCH: &str = "\
passwd: files
group: files
shadow: files
hosts: files dns
networks: files
services: files
protocols: files
ethers: files
";

/// A machine's description without any service.
///
/// # Errors
/// A package that it needs is not in the set, or the store cannot be written.
pub fn base(packages: &PackageSet<'_>, options: BaseOptions) -> Result<SystemDescription> {
    let label = options.label;
    let mut description = SystemDescription {
        version: V1,
        host_name: options.host_name,
        file_systems: options.file_systems,
        kernel_modules: Vec::new(),
        sysctl: [
            ("kernel.printk", "4 4 1 7"),
            ("kernel.kptr_restrict", "1"),
            ("fs.protected_hardlinks", "1"),
            ("fs.protected_symlinks", "1"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into(),
        etc: Vec::new(),
        users: users(options.root_initial_hashed_password)?,
        groups: GROUPS
            .iter()
            .map(|&(name, gid)| group(name, gid))
            .collect::<Result<_>>()?,
        mutable_users: true,
        bin_sh: packages.path("bash", "bin/bash")?,
        usr_bin_env: packages.path("coreutils", "bin/env")?,
        wrappers: wrappers(packages)?,
        directories: vec![
            directory("/run/user", 0o755)?,
            directory("/var/mail", 0o755)?,
        ],
        paths: Vec::new(),
        swap_devices: Vec::new(),
        services: Vec::new(),
        timers: Vec::new(),
        label,
    };
    add_etc(packages, &mut description)?;
    pam::add_pam(packages, &mut description)?;
    Ok(description)
}

fn add_etc(packages: &PackageSet<'_>, description: &mut SystemDescription) -> Result<()> {
    let host_name = &description.host_name;
    let os_release = format!(
        "ID=cairn\nNAME=Cairn\nPRETTY_NAME=\"{}\"\nVERSION_ID={}\n",
        description.label,
        env!("CARGO_PKG_VERSION")
    );
    let texts = [
        ("bashrc", BASHRC.to_owned()),
        ("fstab", fstab(&description.file_systems)),
        ("hostname", format!("{host_name}\n")),
        (
            "hosts",
            format!("127.0.0.1 localhost\n::1 localhost\n127.0.0.2 {host_name}\n"),
        ),
        (
            "issue",
            "\n\\e{bold}Cairn\\e{reset} on \\n (\\l)\n\n".to_owned(),
        ),
        ("login.defs", LOGIN_DEFS.to_owned()),
        ("nsswitch.conf", NSSWITCH.to_owned()),
        ("os-release", os_release),
        ("profile", PROFILE.to_owned()),
        (
            "shells",
            "/bin/sh\n/run/current-system/sw/bin/bash\n".to_owned(),
        ),
    ];
    for (target, text) in texts {
        let source = packages.text(&target.replace('/', "-"), &text)?;
        description.etc.push(link(target, source));
    }
    let bundle = packages.derive(
        "ca-bundle",
        "builtin:ca-bundle",
        &[(
            "certificates",
            packages.path("ca-certificates", "share/ca-certificates")?,
        )],
    )?;
    let bundle_path = format!("{bundle}/ca-certificates.crt");
    description
        .etc
        .push(link("ssl/certs/ca-certificates.crt", bundle_path));
    for name in ["protocols", "services"] {
        description.etc.push(link(
            name,
            packages.path("netbase", &format!("etc/{name}"))?,
        ));
    }
    Ok(())
}

/// `/etc/fstab`, which only `mount` and people read.
fn fstab(file_systems: &[FileSystem]) -> String {
    let line = |fs: &FileSystem| {
        let options = match fs.options.as_slice() {
            [] => "defaults".to_owned(),
            options => options.join(","),
        };
        format!(
            "{} {} {} {options} 0 0\n",
            fs.device,
            fs.mount_point.as_str(),
            fs.fs_type
        )
    };
    file_systems.iter().map(line).collect::<Vec<_>>().concat()
}

fn users(root_password: Option<String>) -> Result<Vec<User>> {
    let root = User {
        name: "root".try_into()?,
        uid: Some(0),
        is_system_user: true,
        group: "root".try_into()?,
        extra_groups: Vec::new(),
        description: "System administrator".to_owned(),
        home: "/root".to_owned(),
        create_home: false,
        home_mode: None,
        shell: "/run/current-system/sw/bin/bash".to_owned(),
        hashed_password: None,
        hashed_password_file: None,
        initial_hashed_password: root_password,
        initial_hashed_password_file: None,
    };
    let nobody = User {
        uid: Some(65_534),
        group: "nogroup".try_into()?,
        ..system_user("nobody", "Unprivileged account (don't use!)")?
    };
    Ok(vec![root, nobody])
}

fn group(name: &str, gid: u32) -> Result<Group> {
    Ok(Group {
        name: name.try_into()?,
        gid: Some(gid),
        members: Vec::new(),
    })
}

fn wrappers(packages: &PackageSet<'_>) -> Result<Vec<Wrapper>> {
    [
        ("util-linux", "su"),
        ("passwd", "passwd"),
        ("mount", "mount"),
        ("mount", "umount"),
    ]
    .into_iter()
    .map(|(package, name)| {
        Ok(Wrapper {
            name: name.to_owned(),
            source: packages.path(package, &format!("bin/{name}"))?,
            mode: 0o4755,
            user: "root".try_into()?,
            group: "root".try_into()?,
            capabilities: Vec::new(),
        })
    })
    .collect()
}
