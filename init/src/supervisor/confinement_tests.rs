use cairn_system::{Process, ServiceKind, ServiceName};
use expect_test::{Expect, expect};

use super::*;

/// Files and folders of the machine that these tests are about.
fn there(path: &Path) -> There {
    match path.to_str() {
        Some("/dev/null" | "/etc/hostname" | "/secret/file") => There::File,
        Some("/dev/pts" | "/srv" | "/home") => There::Folder,
        _ => There::Nothing,
    }
}

/// The steps for this confinement, a line each.
fn check(confinement: &str, expected: &Expect) {
    let mut process = Process::new(vec!["/x".to_owned()]);
    process.confinement = serde_json::from_str(confinement).unwrap();
    let name = ServiceName::try_from("a").unwrap();
    let mut service = Service::new(name, ServiceKind::Simple, process);
    service.directories = vec![ServiceDirectory {
        path: "/var/lib/a".to_owned(),
        mode: 0o755,
        root: false,
        removed_at_stop: false,
    }];
    let steps = View::of(&service, &there).steps;
    let lines: Vec<String> = steps.iter().map(line).collect();
    expected.assert_eq(&lines.join("\n"));
}

fn line(step: &Step) -> String {
    let text = match &step.change {
        Change::Folder(at, mode) => format!("folder {} {mode:o}", at.display()),
        Change::File(at) => format!("file {}", at.display()),
        Change::Link { target, at } => format!("link {} -> {}", at.display(), target.display()),
        Change::FileSystem {
            kind, at, options, ..
        } => format!("{kind} {} {options}", at.display()),
        Change::Bind { from, at, tree } => {
            let tree = if *tree { "" } else { " flat" };
            format!("bind {} on {}{tree}", from.display(), at.display())
        }
        Change::Move { from, at } => format!("move {} to {}", from.display(), at.display()),
        Change::Access {
            at, forbid, allow, ..
        } => format!("access {} -{forbid:?} +{allow:?}", at.display()),
    };
    format!("{text}{}", if step.optional { " if there" } else { "" })
}

#[test]
fn nothing_is_kept_from_it() {
    check("{}", &expect![[r#""#]]);
}

#[test]
fn deeper_rules_come_later() {
    check(
        r#"{"own":["temporary-files"],"paths":[
            {"path":"/srv/open","access":"read-write","optional":true},
            {"path":"/home","access":"inaccessible"},
            {"path":"/home/below","access":"read-write"},
            {"path":"/secret/file","access":"inaccessible","optional":true},
            {"path":"/","access":"read-only"},
            {"path":"/","access":"not-executable"},
            {"path":"/","access":"read-only"}]}"#,
        &expect![[r#"
            access / -Access(1) +Access(0)
            bind /run/cairn/confinement/nothing on /home
            access /home -Access(15) +Access(0)
            bind /run/cairn/confinement/file on /secret/file if there
            access /secret/file -Access(15) +Access(0) if there
            bind /srv/open on /srv/open if there
            access /srv/open -Access(0) +Access(1) if there
            bind /var/lib/cairn/private/a/tmp on /tmp
            access /tmp -Access(6) +Access(1)
            bind /var/lib/a on /var/lib/a
            access /var/lib/a -Access(0) +Access(1)
            bind /var/lib/cairn/private/a/var-tmp on /var/tmp
            access /var/tmp -Access(6) +Access(1)"#]],
    );
}

#[test]
fn the_store_stays_as_it_is() {
    check(
        r#"{"paths":[{"path":"/","access":"read-only"},{"path":"/nix","access":"read-write"}]}"#,
        &expect![[r#"
            access / -Access(1) +Access(0)
            bind /nix on /nix
            access /nix -Access(0) +Access(1)
            bind /var/lib/a on /var/lib/a
            access /var/lib/a -Access(0) +Access(1)
            bind /nix/store on /nix/store if there
            access /nix/store -Access(1) +Access(0) if there"#]],
    );
    check(
        r#"{"paths":[{"path":"/nix/store","access":"read-write"}]}"#,
        &expect![[r#"
            bind /nix/store on /nix/store
            access /nix/store -Access(0) +Access(1)"#]],
    );
}

#[test]
fn mounts_have_places() {
    check(
        r#"{"mounts":[
            {"target":"/opt/scratch","options":"size=1M"},
            {"target":"/opt/scratch/host","source":"/etc/hostname","readOnly":true},
            {"target":"/opt/tool","source":"/nix/store/tool"},
            {"target":"/opt/srv","source":"/srv","flat":true},
            {"target":"/opt/none","source":"/none","optional":true}]}"#,
        &expect![[r#"
            folder /opt 755
            folder /opt/scratch 755
            tmpfs /opt/scratch size=1M
            folder /opt 755
            folder /opt/scratch 755
            file /opt/scratch/host
            bind /etc/hostname on /opt/scratch/host
            access /opt/scratch/host -Access(1) +Access(0)
            folder /opt 755
            folder /opt/srv 755
            bind /srv on /opt/srv flat
            access /opt/srv -Access(0) +Access(1)
            folder /opt 755
            folder /opt/tool 755
            bind /nix/store/tool on /opt/tool
            access /opt/tool -Access(1) +Access(0)"#]],
    );
}

#[test]
fn devices_and_processes() {
    check(
        r#"{"own":["devices","ipc"],"processes":{"visible":"own","onlyProcesses":true},
            "paths":[{"path":"/dev","access":"read-write"}]}"#,
        &expect![[r#"
            tmpfs /run/cairn/confinement/dev mode=0755,size=4M,nr_inodes=1024
            file /run/cairn/confinement/dev/null
            bind /dev/null on /run/cairn/confinement/dev/null
            folder /run/cairn/confinement/dev/pts 755
            bind /dev/pts on /run/cairn/confinement/dev/pts
            folder /run/cairn/confinement/dev/mqueue 755
            mqueue /run/cairn/confinement/dev/mqueue  if there
            link /run/cairn/confinement/dev/ptmx -> pts/ptmx
            link /run/cairn/confinement/dev/fd -> /proc/self/fd
            link /run/cairn/confinement/dev/stdin -> /proc/self/fd/0
            link /run/cairn/confinement/dev/stdout -> /proc/self/fd/1
            link /run/cairn/confinement/dev/stderr -> /proc/self/fd/2
            access /run/cairn/confinement/dev -Access(1) +Access(0)
            move /run/cairn/confinement/dev to /dev
            proc /proc hidepid=invisible,subset=pid"#]],
    );
    check(
        r#"{"own":["mounts"]}"#,
        &expect!["access / -Access(0) +Access(0)"],
    );
}
