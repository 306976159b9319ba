//! Imports a set of packages from the host's Debian mirror and runs their programs where neither
//! `/usr` nor `/lib` exists, each on something that it is for.
//!
//! It needs the network (packages are cached in `CAIRN_CACHE`, or `cairn` below the user's cache
//! folder) and a minute or two, so `cargo test` leaves it out; run it by name:
//!
//! ```text
//! cargo test -p cairn-debian --test import_programs
//! ```
//!
//! The root holds `/nix/store`, `/bin/sh`, `/etc` with what the programs' modules would write
//! there, and the kernel's `/proc`, `/sys` and `/dev`. It is entered with util-linux' `unshare`, as
//! root or, with user namespaces, as anybody.

#![cfg(test)]

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Condvar, Mutex};

use cairn_debian::import::{Documentation, Import, Input, Limits, Report, import};
use cairn_debian::{
    Archive, FetchOptions, Fetcher, Group, Request, UpdateOptions, groups, host_sources,
};
use cairn_store_path::{Sha256, StorePath};

const PACKAGES: [&str; 36] = [
    "bash",
    "bc",
    "bsdextrautils",
    "ca-certificates",
    "coreutils",
    "curl",
    "diffutils",
    "e2fsprogs",
    "fdisk",
    "file",
    "findutils",
    "gawk",
    "grep",
    "grub-common",
    "grub-efi-amd64-bin",
    "grub-pc-bin",
    "gzip",
    "hostname",
    "iproute2",
    "kmod",
    "less",
    "linux-image-cloud-amd64",
    "mount",
    "nano",
    "ncal",
    "openssh-client",
    "openssh-server",
    "openssl",
    "perl",
    "procps",
    "sed",
    "sudo",
    "tar",
    "util-linux",
    "xz-utils",
    "zstd",
];

/// Name, what bash runs, and the last line that it must print. `$S` is a scratch folder.
const PROGRAMS: &[(&str, &str, &str)] = &[
    ("bash", "x=(1 2 3); echo $((${#x[@]} * 14))", "42"),
    ("sh", "/bin/sh -c 'echo $0 $((6 * 7))'", "/bin/sh 42"),
    (
        "no /usr and no /lib",
        "ls -d /usr /lib /lib64 /sbin 2>/dev/null; ls /bin",
        "sh",
    ),
    (
        "sort",
        "printf '10\\n9\\n1\\n' | sort -n | tr '\\n' ' '",
        "1 9 10 ",
    ),
    ("sed", "echo abc | sed -E 's/(.)b(.)/\\2-\\1/'", "c-a"),
    (
        "gawk",
        "printf '1 2\\n3 4\\n' | awk '{ s += $2 } END { print s }'",
        "6",
    ),
    ("grep", "printf 'ab1\\nab\\n' | grep -P '\\d$'", "ab1"),
    (
        "find",
        "mkdir -p $S/a/b; touch $S/a/b/c.x; cd $S; find . -name '*.x' -printf '%P\\n'",
        "a/b/c.x",
    ),
    ("xargs", "printf '1 2 3' | xargs -n 1 expr 1 +", "4"),
    ("diff", "diff <(echo a) <(echo b) | tail -n 1", "> b"),
    (
        "tar and gzip",
        "cd $S; echo data > f; tar -czf f.tgz f; tar -xzOf f.tgz",
        "data",
    ),
    (
        "tar and xz",
        "cd $S; echo data > f; tar -cJf f.txz f; tar -xJOf f.txz",
        "data",
    ),
    (
        "tar and zstd",
        "cd $S; echo data > f; tar --zstd -cf f.tzst f; tar --zstd -xOf f.tzst",
        "data",
    ),
    (
        "zgrep",
        "cd $S; echo needle | gzip > n.gz; zgrep -c needle n.gz",
        "1",
    ),
    ("date", "date -u -d @86400 +%F", "1970-01-02"),
    (
        "dd and od",
        "printf 'ABCD' | dd bs=1 skip=2 2>/dev/null | od -An -tx1",
        " 43 44",
    ),
    (
        "sha256sum",
        "printf abc | sha256sum | cut -c1-16",
        "ba7816bf8f01cfea",
    ),
    ("env", "env -i A=b $(command -v env)", "A=b"),
    ("id", "id -un", "root"),
    ("getent", "getent passwd 1000 | cut -d: -f1", "alice"),
    (
        "getent hosts",
        "getent hosts localhost | awk '{ print $2 }'",
        "localhost",
    ),
    (
        "iconv",
        "printf '\\xe9' | iconv -f ISO-8859-1 -t UTF-8",
        "é",
    ),
    (
        "perl",
        "perl -MPOSIX -MData::Dumper -MEncode -e 'print floor(42.5), length(Encode::decode(\"UTF-8\", \"\\xc3\\xa9\"))'",
        "421",
    ),
    (
        "cal",
        "cal 2 2000 | awk '/29/ { print $1, $2, $3 }'",
        "27 28 29",
    ),
    ("bc", "echo '2^64' | bc", "18446744073709551616"),
    ("hexdump", "printf AB | hexdump -e '2/1 \"%d \"'", "65 66"),
    (
        "file",
        "file -b $(readlink -f /bin/sh) | cut -d, -f1",
        "ELF 64-bit LSB pie executable",
    ),
    (
        "ip",
        "ip link add d0 type dummy 2>/dev/null; ip link set lo up; ip -br addr show lo | awk '{ print $3 }'",
        "127.0.0.1/8",
    ),
    ("ss", "ss -Hltn | wc -l", "0"),
    ("ps", "ps -o comm= -p $$; true", "bash"),
    (
        "pgrep",
        "sleep 60 & until pgrep -x sleep > /dev/null; do :; done; pgrep -c -x sleep; kill %1",
        "1",
    ),
    (
        "free",
        "free -b | awk '/Mem/ { print ($2 > 1000000) }'",
        "1",
    ),
    ("sysctl", "sysctl -n kernel.ostype", "Linux"),
    (
        "modinfo",
        "modinfo -F license $KERNEL/lib/modules/*/kernel/fs/btrfs/btrfs.ko",
        "GPL",
    ),
    (
        "depmod",
        "mkdir -p $S/m/lib; cp -r $KERNEL/lib/modules $S/m/lib/; v=$(ls $S/m/lib/modules); depmod -b $S/m $v; modprobe -d $S/m -S $v --show-depends btrfs | tail -n 1 | grep -o btrfs.ko",
        "btrfs.ko",
    ),
    ("less", "seq 3 | less | tail -n 1", "3"),
    (
        "less on a terminal",
        "printf q | TERM=xterm script -qec \"less /etc/passwd\" /dev/null | grep -c root:",
        "1",
    ),
    (
        "nano",
        "(sleep 1; printf 'hello\\x0f\\r'; sleep 1; printf '\\x18') | TERM=xterm script -qec \"nano $S/n\" /dev/null > /dev/null; cat $S/n",
        "hello",
    ),
    (
        "ssh-keygen",
        "ssh-keygen -q -t ed25519 -N '' -f $S/key && ssh-keygen -lf $S/key.pub | awk '{ print $NF }'",
        "(ED25519)",
    ),
    (
        "sshd -t",
        "ssh-keygen -q -t ed25519 -N '' -f $S/host && mkdir -p /run/sshd && $(command -v sshd) -T -h $S/host -f /etc/ssh/sshd_config | grep '^port'",
        "port 22",
    ),
    (
        "ssh to sshd",
        "cd $S; ip link set lo up; mkdir -p /run/sshd; ssh-keygen -q -t ed25519 -N '' -f host; ssh-keygen -q -t ed25519 -N '' -f me; $(command -v sshd) -p 2222 -h $S/host -f /etc/ssh/sshd_config -o AuthorizedKeysFile=$S/me.pub -o StrictModes=no -E $S/log; ssh -F none -p 2222 -i me -o StrictHostKeyChecking=no -o UserKnownHostsFile=$S/known root@127.0.0.1 'echo $((6 * 7))' 2> $S/err || cat $S/err $S/log",
        "42",
    ),
    (
        "mke2fs, e2fsck and debugfs",
        "cd $S; truncate -s 8M fs; echo content > c; mke2fs -q -t ext4 fs && debugfs -w -R 'write c inside' fs 2>/dev/null >&2; e2fsck -fn fs > /dev/null 2>&1 && debugfs -R 'cat inside' fs 2>/dev/null",
        "content",
    ),
    (
        "blkid",
        "cd $S; truncate -s 8M fs; mke2fs -q -L data fs; blkid -p -s LABEL -o value fs",
        "data",
    ),
    ("lsblk", "lsblk -n -o NAME > /dev/null && echo ok", "ok"),
    (
        "sfdisk",
        "cd $S; truncate -s 8M d; printf 'label: gpt\\nsize=2M\\n' | sfdisk -q d; sfdisk -J d | grep -c '\"node\"'",
        "1",
    ),
    (
        "mount",
        "mkdir -p $S/t; mount -t tmpfs -o size=1m none $S/t && findmnt -n -o FSTYPE $S/t",
        "tmpfs",
    ),
    ("flock", "flock $S/l echo locked", "locked"),
    (
        "grub-mkimage for BIOS",
        "cd $S; grub-mkimage -O i386-pc -d $GRUB_PC/lib/grub/i386-pc -p /boot -o core biosdisk part_gpt ext2 && test -s core && echo made",
        "made",
    ),
    (
        "grub-mkimage for UEFI",
        "cd $S; grub-mkimage -O x86_64-efi -d $GRUB_EFI/lib/grub/x86_64-efi -p /boot -o core.efi part_gpt fat && head -c 2 core.efi",
        "MZ",
    ),
    (
        "grub-script-check",
        "echo 'if true; then echo x; fi' | grub-script-check && echo fine",
        "fine",
    ),
    (
        "openssl",
        "printf abc | openssl dgst -sha256 -r | cut -c1-16",
        "ba7816bf8f01cfea",
    ),
    (
        "openssl with our CAs",
        "cat $CAS/share/ca-certificates/mozilla/*.crt > $S/all.pem; openssl verify -CAfile $S/all.pem $CAS/share/ca-certificates/mozilla/ISRG_Root_X1.crt | grep -c OK",
        "1",
    ),
    (
        "curl",
        "echo body > $S/page; curl -s file://$S/page",
        "body",
    ),
    ("su", "su -s $BASH -c 'id -un' alice < /dev/null", "alice"),
    (
        "sudo",
        "cp $(command -v sudo) $S; chmod 755 $S; chmod 4755 $S/sudo; chmod 440 /etc/sudoers; su -s $BASH -c \"$S/sudo -n id -un; $S/sudo -n -u sshd id -un\" alice < /dev/null",
        "sshd",
    ),
    ("passwd", "passwd -S alice | cut -d' ' -f1-2", "alice P"),
    (
        "login",
        "(sleep 1; printf 'secret\\n'; sleep 1; printf 'echo in-as-$USER\\nexit\\n'; sleep 1) | script -qec 'login alice' /dev/null | tr -d '\\r' | grep -o '^in-as-alice'",
        "in-as-alice",
    ),
    (
        "timeout and kill",
        "timeout -s KILL 0.1 sleep 5; echo $?",
        "137",
    ),
    ("hostname", "hostname > /dev/null && echo ok", "ok"),
];

/// Seconds after which a program counts as hanging.
const DEADLINE: &str = "20";

/// Programs that change their user: a user namespace with one user cannot run them.
const NEED_ROOT: [&str; 5] = ["su", "sudo", "login", "ssh to sshd", "passwd"];

#[test]
fn programs_run_without_usr_and_lib() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let world = World::import(scratch.path());
    world.furnish();
    let mut failed = Vec::new();
    let is_root = fs::metadata("/proc/self").is_ok_and(|meta| {
        use std::os::unix::fs::MetadataExt;
        meta.uid() == 0
    });
    let mut ran = 0;
    for (name, script, expected) in PROGRAMS {
        if !is_root && NEED_ROOT.contains(name) {
            println!("{name}: needs root, which this test was not given");
            continue;
        }
        let (last, all) = world.run(script);
        ran += 1;
        println!("{name}: {last}");
        if last != *expected {
            failed.push(format!("{name}: expected {expected:?}, got:\n{all}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(ran >= 30, "only {ran} programs ran");
    world.check_reports();
    println!("{ran} programs, {} objects", world.objects.len());
}

struct Object {
    name: String,
    path: StorePath,
    report: Report,
}

struct World {
    root: PathBuf,
    store: PathBuf,
    objects: Vec<Object>,
}

impl World {
    fn import(scratch: &Path) -> Self {
        let cache = cache_dir();
        let sources = host_sources(Path::new("/")).expect("apt sources");
        let archive = Archive::update(&sources, &cache, &UpdateOptions::of_host()).expect("update");
        let request = Request::parse(PACKAGES).expect("package names");
        let lock = archive.resolve(&request).expect("resolved packages");
        let fetcher = Fetcher::new(&sources, &cache, FetchOptions::of_host()).expect("fetcher");
        let packages: Vec<_> = lock.packages().iter().collect();
        let paths = fetcher.fetch(&packages).expect("fetched packages");
        let files = |group: &Group| -> Vec<PathBuf> {
            let of = |name: &String| packages.iter().position(|package| package.name == *name);
            let numbers = group.packages.iter().filter_map(of);
            numbers.map(|number| paths[number].clone()).collect()
        };
        let groups = groups(&lock, &[]);
        let names: Vec<StorePath> = groups.iter().map(store_path).collect();
        let store = scratch.join("store");
        fs::create_dir(&store).expect("the store");
        let start = std::time::Instant::now();
        let reports = in_order(&groups, |number| {
            let inputs: Vec<Input> = transitive(&groups, number)
                .into_iter()
                .map(|input| Input {
                    logical: names[input].clone(),
                    real: store.join(names[input].base_name()),
                })
                .collect();
            import(&Import {
                debs: &files(&groups[number]),
                output: &names[number],
                destination: &store.join(names[number].base_name()),
                inputs: &inputs,
                limits: Limits::default(),
                documentation: Documentation::Drop,
            })
            .expect("an import")
        });
        println!(
            "{} groups imported in {:.1?}",
            groups.len(),
            start.elapsed()
        );
        let objects = groups
            .iter()
            .zip(names)
            .zip(reports)
            .map(|((group, path), report)| Object {
                name: group.name.clone(),
                path,
                report,
            })
            .collect();
        Self {
            root: scratch.join("root"),
            store,
            objects,
        }
    }

    /// The object that has a package.
    fn object(&self, package: &str) -> &Object {
        let has = |object: &&Object| object.report.packages.iter().any(|name| name == package);
        self.objects
            .iter()
            .find(has)
            .unwrap_or_else(|| panic!("no object has {package}"))
    }

    /// The first object that has a path, as it is called in the root.
    fn holder(&self, path: &str) -> String {
        let has = |object: &&Object| self.store.join(object.path.base_name()).join(path).exists();
        let object = self.objects.iter().rev().find(has);
        object
            .unwrap_or_else(|| panic!("no object has {path}"))
            .path
            .to_string()
    }

    /// `/etc` and the folders of the root: what activation does in a real system.
    fn furnish(&self) {
        for folder in [
            "nix/store",
            "proc",
            "sys",
            "dev",
            "tmp",
            "bin",
            "root",
            "run",
            "var/log",
            "etc/pam.d",
            "etc/ssh",
            "home/alice",
        ] {
            fs::create_dir_all(self.root.join(folder)).expect("a folder");
        }
        let dash = self.object("dash").path.clone();
        std::os::unix::fs::symlink(format!("{dash}/bin/sh"), self.root.join("bin/sh")).expect("sh");
        let bash = format!("{}/bin/bash", self.object("bash").path);
        let pam = format!(
            "{}/lib/x86_64-linux-gnu/security",
            self.holder("lib/x86_64-linux-gnu/security/pam_unix.so")
        );
        let stack = format!(
            "auth sufficient {pam}/pam_rootok.so\nauth required {pam}/pam_unix.so\naccount required {pam}/pam_unix.so\npassword required {pam}/pam_unix.so\nsession required {pam}/pam_unix.so\n"
        );
        // The password of alice is `secret`.
        let hash = "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1";
        let sudo = format!("{}/libexec/sudo", self.object("sudo").path);
        let sudo_conf = format!(
            "Plugin sudoers_policy {sudo}/sudoers.so\nPlugin sudoers_io {sudo}/sudoers.so\nPath plugin_dir {sudo}/\nPath noexec {sudo}/sudo_noexec.so\n"
        );
        let files: [(&str, String); 13] = [
            (
                "passwd",
                format!(
                    "root:x:0:0::/root:{bash}\nsshd:x:101:65534::/run/sshd:/bin/false\nalice:x:1000:1000::/home/alice:{bash}\n"
                ),
            ),
            (
                "group",
                "root:x:0:\nshadow:x:42:\ntty:x:5:\nalice:x:1000:\nnogroup:x:65534:\n".to_owned(),
            ),
            (
                "shadow",
                format!(
                    "root:*:19000:0:99999:7:::\nsshd:*:19000::::::\nalice:{hash}:19000:0:99999:7:::\n"
                ),
            ),
            ("hosts", "127.0.0.1 localhost\n".to_owned()),
            (
                "nsswitch.conf",
                "passwd: files\ngroup: files\nshadow: files\nhosts: files\n".to_owned(),
            ),
            ("ssh/sshd_config", "UsePAM no\nPidFile none\n".to_owned()),
            ("login.defs", "ENCRYPT_METHOD SHA512\n".to_owned()),
            ("sudo.conf", sudo_conf),
            ("sudoers", "alice ALL=(ALL) NOPASSWD: ALL\n".to_owned()),
            ("pam.d/sudo", stack.clone()),
            ("pam.d/su", stack.clone()),
            ("pam.d/login", stack.clone()),
            ("pam.d/other", stack),
        ];
        for (name, text) in files {
            fs::write(self.root.join("etc").join(name), text).expect("a file of /etc");
        }
    }

    /// Runs a script with the imported bash in the root; the last line that it prints, and all.
    fn run(&self, script: &str) -> (String, String) {
        let mut path: Vec<String> = Vec::new();
        for object in self.objects.iter().rev() {
            path.push(format!("{}/bin", object.path));
        }
        let bash = format!("{}/bin/bash", self.object("bash").path);
        let libc = self.object("libc6").path.to_string();
        let set_up = "set -e; for d in proc sys dev; do mount --rbind /$d $ROOT/$d; done; \
            mount -t proc proc $ROOT/proc; mount --rbind $STORE $ROOT/nix/store; \
            mount -t tmpfs none $ROOT/tmp; mount -t tmpfs none $ROOT/run; \
            exec env -u STORE -u ROOT /usr/sbin/chroot $ROOT \"$@\"";
        let mut command = Command::new("timeout");
        command.args(["--signal=KILL", DEADLINE, "unshare"]);
        command.args(["--mount", "--pid", "--fork", "--net", "--kill-child"]);
        if !self.is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        let script = format!(
            "export PATH={}; S=/tmp/s; mkdir $S; {script}",
            path.join(":")
        );
        let output = command
            .args(["/bin/sh", "-c", set_up, "sh", &bash, "-c", &script])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("ROOT", &self.root)
            .env("STORE", &self.store)
            .env("HOME", "/root")
            .env("SHELL", &bash)
            .env("BASH", &bash)
            .env("LC_ALL", "C.UTF-8")
            .env(
                "TERMINFO_DIRS",
                format!("{}/lib/terminfo", self.holder("lib/terminfo/x/xterm")),
            )
            .env(
                "LOCPATH",
                format!("{}/lib/locale", self.holder("lib/locale/C.utf8")),
            )
            .env("GCONV_PATH", format!("{libc}/lib/x86_64-linux-gnu/gconv"))
            .env("PERL5LIB", self.perl_folders())
            .env(
                "MAGIC",
                format!("{}/lib/file/magic.mgc", self.holder("lib/file/magic.mgc")),
            )
            .env("KERNEL", self.holder("boot"))
            .env("GRUB_PC", self.holder("lib/grub/i386-pc/moddep.lst"))
            .env("GRUB_EFI", self.holder("lib/grub/x86_64-efi/moddep.lst"))
            .env("CAS", self.holder("share/ca-certificates/mozilla"))
            .output()
            .expect("util-linux: apt-get install util-linux");
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let last = stdout
            .trim_end_matches('\n')
            .rsplit('\n')
            .next()
            .unwrap_or_default();
        let all = format!("{stdout}{}", String::from_utf8_lossy(&output.stderr));
        (last.to_owned(), all)
    }

    fn is_root(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(&self.root).expect("the root").uid() == 0
    }

    /// Perl's folders are fixed in its binary; wrappers set this in a real system.
    fn perl_folders(&self) -> String {
        let mut folders = Vec::new();
        for object in &self.objects {
            let real = self.store.join(object.path.base_name());
            for top in [
                "share/perl5",
                "share/perl",
                "lib/x86_64-linux-gnu/perl",
                "lib/x86_64-linux-gnu/perl-base",
            ] {
                let Ok(entries) = fs::read_dir(real.join(top)) else {
                    continue;
                };
                if !top.ends_with("perl") {
                    folders.push(format!("{}/{top}", object.path));
                    continue;
                }
                for entry in entries {
                    let name = entry.expect("an entry").file_name();
                    folders.push(format!("{}/{top}/{}", object.path, name.to_string_lossy()));
                }
            }
        }
        folders.join(":")
    }

    /// What could not be resolved must be known: plugins that their host program serves, and
    /// scripts for interpreters that are not in the set.
    fn check_reports(&self) {
        let programs = |path: &str| path.starts_with("bin/") || path.starts_with("sbin/");
        for object in &self.objects {
            for library in &object.report.unresolved {
                assert!(!programs(&library.path), "{}: {library:?}", object.name);
            }
            for skipped in &object.report.elf_skipped {
                assert!(!programs(&skipped.path), "{}: {skipped:?}", object.name);
            }
            print!("{}", object.report);
        }
        let mounts: Vec<_> = self
            .object("mount")
            .report
            .setuid
            .iter()
            .map(|file| (file.path.as_str(), file.mode))
            .collect();
        assert!(mounts.contains(&("bin/mount", 0o4755)), "{mounts:?}");
    }
}

fn cache_dir() -> PathBuf {
    let from = |name| std::env::var_os(name).map(PathBuf::from);
    from("CAIRN_CACHE")
        .or_else(|| from("XDG_CACHE_HOME").map(|cache| cache.join("cairn")))
        .or_else(|| from("HOME").map(|home| home.join(".cache/cairn")))
        .expect("CAIRN_CACHE, XDG_CACHE_HOME or HOME")
}

fn store_path(group: &Group) -> StorePath {
    let name = format!(
        "{}-{}",
        group.name,
        group.version.to_string().replace([':', '~'], "-")
    );
    let digest = Sha256::of(name.as_bytes());
    let digest: [u8; 20] = digest.as_bytes()[..20].try_into().expect("20 bytes");
    StorePath::new(digest, &name).expect("a store path")
}

/// All groups that one may refer to, the nearest first and essential ones last.
fn transitive(groups: &[Group], number: usize) -> Vec<usize> {
    let mut seen = vec![number];
    let mut queue = VecDeque::from([number]);
    while let Some(next) = queue.pop_front() {
        for &input in &groups[next].inputs {
            if !seen.contains(&input) {
                seen.push(input);
                queue.push_back(input);
            }
        }
    }
    let (essential, others): (Vec<_>, Vec<_>) = seen
        .into_iter()
        .skip(1)
        .partition(|&input| groups[input].essential);
    others.into_iter().chain(essential).collect()
}

/// Does the work for all groups on all cores, each after its inputs.
fn in_order<T: Send>(groups: &[Group], work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let done: Mutex<(Vec<bool>, Vec<Option<T>>)> = Mutex::new((
        vec![false; groups.len()],
        groups.iter().map(|_| None).collect(),
    ));
    let changed = Condvar::new();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut state = done.lock().expect("the state");
                loop {
                    if state.0.iter().all(|taken| *taken) {
                        return;
                    }
                    let next = (0..groups.len()).find(|&number| {
                        let ready = |input: &usize| state.1[*input].is_some();
                        !state.0[number] && groups[number].inputs.iter().all(ready)
                    });
                    match next {
                        Some(number) => {
                            state.0[number] = true;
                            drop(state);
                            let result = work(number);
                            state = done.lock().expect("the state");
                            state.1[number] = Some(result);
                            changed.notify_all();
                        }
                        None => state = changed.wait(state).expect("the state"),
                    }
                }
            });
        }
    });
    let results = done.into_inner().expect("the state").1;
    results
        .into_iter()
        .map(|result| result.expect("a result"))
        .collect()
}
