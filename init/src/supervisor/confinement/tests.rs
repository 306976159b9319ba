use std::ffi::OsString;

use cairn_sys::process::{Change, Step};
use cairn_system::{Process, ServiceKind, ServiceName};
use expect_test::{Expect, expect};

use super::machine::{Entry, There};
use super::*;

/// The machine that these tests are about.
struct Told;

impl Machine for Told {
    fn there(&self, path: &Path) -> There {
        match path.to_str() {
            Some("/dev/null" | "/etc/hostname" | "/secret/file") => There::File,
            Some("/dev/pts" | "/srv" | "/home" | "/proc" | "/dev" | "/nix/store") => There::Folder,
            Some(path) if path.starts_with("/nix/store/") => There::Folder,
            _ => There::Nothing,
        }
    }

    fn real(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(match path.to_str() {
            Some("/etc/hostname") => "/etc/static/hostname".into(),
            _ => path.to_owned(),
        })
    }

    fn entries(&self, folder: &Path) -> io::Result<Vec<(OsString, Entry)>> {
        assert_eq!(folder, Path::new("/srv/root"));
        Ok(vec![
            ("bin".into(), Entry::Link("usr/bin".into())),
            ("proc".into(), Entry::Folder),
            ("usr".into(), Entry::Folder),
        ])
    }

    fn lines(&self, _: &Path) -> io::Result<Vec<String>> {
        Ok(vec![
            "/nix/store/one".to_owned(),
            "/nix/store/two".to_owned(),
        ])
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
        kept_at_restart: false,
    }]
    .into();
    let steps = view::steps(&service, &Told).unwrap();
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
        Change::Root { at, before } => format!("root {} ({})", at.display(), before.display()),
        Change::Hide(at) => format!("hide {}", at.display()),
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
            file /opt/scratch/host
            bind /etc/hostname on /opt/scratch/host
            access /opt/scratch/host -Access(1) +Access(0)
            folder /opt/srv 755
            bind /srv on /opt/srv flat
            access /opt/srv -Access(0) +Access(1)
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
            access /run/cairn/confinement/dev/pts -Access(0) +Access(1)
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

#[test]
fn a_root_of_its_own() {
    check(
        r#"{"own":["temporary-files","devices"],
            "mounts":[{"target":"/","source":"/srv/root"},
                {"target":"/nix/store","source":"/nix/store","readOnly":true},
                {"target":"/proc","source":"/proc"},
                {"target":"/run","options":"mode=0755"},
                {"target":"/run/host/name","source":"/etc/hostname","readOnly":true},
                {"target":"/usr/share/x","source":"/srv"}],
            "paths":[{"path":"/","access":"read-only"},{"path":"/usr/secret","access":"inaccessible","optional":true}]}"#,
        &expect![[r#"
            tmpfs /run/cairn/confinement/root mode=0755
            folder /run/cairn/confinement/root/.machine 700
            root /run/cairn/confinement/root (/.machine)
            link /bin -> usr/bin
            folder /usr 755
            bind /.machine/srv/root/usr on /usr
            access /usr -Access(1) +Access(0)
            folder /dev 755
            tmpfs /dev mode=0755,size=4M,nr_inodes=1024
            file /dev/null
            bind /.machine/dev/null on /dev/null
            folder /dev/pts 755
            bind /.machine/dev/pts on /dev/pts
            access /dev/pts -Access(0) +Access(1)
            link /dev/ptmx -> pts/ptmx
            link /dev/fd -> /proc/self/fd
            link /dev/stdin -> /proc/self/fd/0
            link /dev/stdout -> /proc/self/fd/1
            link /dev/stderr -> /proc/self/fd/2
            access /dev -Access(1) +Access(0)
            folder /nix 755
            folder /nix/store 755
            bind /.machine/nix/store on /nix/store
            access /nix/store -Access(1) +Access(0)
            folder /proc 755
            bind /.machine/proc on /proc
            access /proc -Access(0) +Access(1)
            folder /run 755
            tmpfs /run mode=0755
            folder /run/host 755
            file /run/host/name
            bind /.machine/etc/static/hostname on /run/host/name
            access /run/host/name -Access(1) +Access(0)
            folder /tmp 755
            bind /.machine/var/lib/cairn/private/a/tmp on /tmp if there
            access /tmp -Access(6) +Access(1) if there
            bind /.machine/run/cairn/confinement/nothing on /usr/secret if there
            access /usr/secret -Access(15) +Access(0) if there
            bind /.machine/srv on /usr/share/x
            access /usr/share/x -Access(0) +Access(1)
            folder /var 755
            folder /var/lib 755
            folder /var/lib/a 755
            bind /.machine/var/lib/a on /var/lib/a
            access /var/lib/a -Access(0) +Access(1)
            folder /var/tmp 755
            bind /.machine/var/lib/cairn/private/a/var-tmp on /var/tmp if there
            access /var/tmp -Access(6) +Access(1) if there
            hide /.machine
            access / -Access(1) +Access(0)"#]],
    );
}

#[test]
fn a_root_in_memory_with_a_part_of_the_store() {
    check(
        r#"{"closures":["/nix/store/list"],
            "mounts":[{"target":"/","options":"size=1M","readOnly":true}]}"#,
        &expect![[r#"
            tmpfs /run/cairn/confinement/root size=1M
            folder /run/cairn/confinement/root/.machine 700
            root /run/cairn/confinement/root (/.machine)
            folder /nix 755
            folder /nix/store 755
            folder /nix/store/one 755
            bind /.machine/nix/store/one on /nix/store/one
            access /nix/store/one -Access(1) +Access(0)
            folder /nix/store/two 755
            bind /.machine/nix/store/two on /nix/store/two
            access /nix/store/two -Access(1) +Access(0)
            folder /var 755
            folder /var/lib 755
            folder /var/lib/a 755
            bind /.machine/var/lib/a on /var/lib/a
            access /var/lib/a -Access(0) +Access(1)
            hide /.machine
            access / -Access(1) +Access(0)"#]],
    );
}
