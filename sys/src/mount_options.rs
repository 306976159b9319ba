//! Mount options as people write them in fstab, sorted into what the kernel takes where.
//!
//! Some are flags of `mount(2)`, some are for programs (`nofail`, `x-…`), and the rest is handed
//! to the file system as text. The last of two that contradict each other wins.
//!
//! Source: `mount(2)`, `mount(8)`, `fstab(5)`.

use nix::mount::MsFlags;

/// Options, sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountOptions {
    /// Flags of the mount itself; never `MS_BIND`, `MS_REC` or propagation.
    pub flags: MsFlags,
    /// Options of the file system, in order.
    pub data: Vec<String>,
    /// Whether another directory is what is mounted.
    pub bind: Bind,
    /// `MS_PRIVATE` and its kin, perhaps with `MS_REC`; set by a call of its own.
    pub propagation: Option<MsFlags>,
    /// The boot goes on without it.
    pub nofail: bool,
    /// It is mounted on request only.
    pub noauto: bool,
    /// `rw` or `ro` is said in so many words.
    pub explicit_access: bool,
}

/// Whether a mount shows another directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bind {
    /// No: a file system is mounted.
    No,
    /// That directory alone.
    Directory,
    /// With all that is mounted below it.
    Tree,
}

/// `nosymfollow`, since Linux 5.10: not in every C library's headers.
const MS_NOSYMFOLLOW: MsFlags = MsFlags::from_bits_retain(256);

/// Name, flags that it clears, flags that it sets.
const FLAGS: [(&str, MsFlags, MsFlags); 29] = {
    use MsFlags as F;
    const NONE: MsFlags = MsFlags::empty();
    const ATIME: MsFlags = F::MS_NOATIME.union(F::MS_RELATIME).union(F::MS_STRICTATIME);
    [
        ("ro", NONE, F::MS_RDONLY),
        ("rw", F::MS_RDONLY, NONE),
        ("nosuid", NONE, F::MS_NOSUID),
        ("suid", F::MS_NOSUID, NONE),
        ("nodev", NONE, F::MS_NODEV),
        ("dev", F::MS_NODEV, NONE),
        ("noexec", NONE, F::MS_NOEXEC),
        ("exec", F::MS_NOEXEC, NONE),
        ("sync", NONE, F::MS_SYNCHRONOUS),
        ("async", F::MS_SYNCHRONOUS, NONE),
        ("dirsync", NONE, F::MS_DIRSYNC),
        ("mand", NONE, F::MS_MANDLOCK),
        ("nomand", F::MS_MANDLOCK, NONE),
        ("noatime", ATIME, F::MS_NOATIME),
        ("atime", F::MS_NOATIME, NONE),
        ("relatime", ATIME, F::MS_RELATIME),
        ("norelatime", F::MS_RELATIME, NONE),
        ("strictatime", ATIME, F::MS_STRICTATIME),
        ("nostrictatime", F::MS_STRICTATIME, NONE),
        ("nodiratime", NONE, F::MS_NODIRATIME),
        ("diratime", F::MS_NODIRATIME, NONE),
        ("lazytime", NONE, F::MS_LAZYTIME),
        ("nolazytime", F::MS_LAZYTIME, NONE),
        ("silent", NONE, F::MS_SILENT),
        ("loud", F::MS_SILENT, NONE),
        ("nosymfollow", NONE, MS_NOSYMFOLLOW),
        ("symfollow", MS_NOSYMFOLLOW, NONE),
        ("remount", NONE, F::MS_REMOUNT),
        ("defaults", NONE, NONE),
    ]
};

/// Name of a propagation and its flags.
const PROPAGATIONS: [(&str, MsFlags); 8] = {
    use MsFlags as F;
    [
        ("private", F::MS_PRIVATE),
        ("rprivate", F::MS_PRIVATE.union(F::MS_REC)),
        ("shared", F::MS_SHARED),
        ("rshared", F::MS_SHARED.union(F::MS_REC)),
        ("slave", F::MS_SLAVE),
        ("rslave", F::MS_SLAVE.union(F::MS_REC)),
        ("unbindable", F::MS_UNBINDABLE),
        ("runbindable", F::MS_UNBINDABLE.union(F::MS_REC)),
    ]
};

/// For programs that read fstab, without a meaning to the kernel.
const FOR_PROGRAMS: [&str; 9] = [
    "auto", "_netdev", "user", "nouser", "users", "owner", "group", "nogroup", "nousers",
];

impl Default for MountOptions {
    fn default() -> Self {
        Self {
            flags: MsFlags::empty(),
            data: Vec::new(),
            bind: Bind::No,
            propagation: None,
            nofail: false,
            noauto: false,
            explicit_access: false,
        }
    }
}

impl MountOptions {
    /// Sorts options; each item may itself be a list with commas.
    #[must_use]
    pub fn parse<S: AsRef<str>>(options: &[S]) -> Self {
        let mut sorted = Self::default();
        for option in options
            .iter()
            .flat_map(|item| split_unquoted(item.as_ref()))
        {
            sorted.add(option);
        }
        sorted
    }

    fn add(&mut self, option: &str) {
        if let Some((name, clear, set)) = FLAGS.iter().find(|(name, ..)| *name == option) {
            self.flags.remove(*clear);
            self.flags.insert(*set);
            self.explicit_access |= matches!(*name, "ro" | "rw");
            return;
        }
        if let Some((_, propagation)) = PROPAGATIONS.iter().find(|(name, _)| *name == option) {
            self.propagation = Some(*propagation);
            return;
        }
        match option {
            "" => {}
            "bind" => self.bind = Bind::Directory,
            "rbind" => self.bind = Bind::Tree,
            "nofail" => self.nofail = true,
            "fail" => self.nofail = false,
            "noauto" => self.noauto = true,
            option
                if FOR_PROGRAMS.contains(&option)
                    || ["x-", "X-", "comment=", "helper=", "uhelper="]
                        .iter()
                        .any(|prefix| option.starts_with(prefix)) => {}
            option => self.data.push(option.to_owned()),
        }
    }

    /// The file system's options as the kernel takes them: with commas between.
    #[must_use]
    pub fn data_text(&self) -> String {
        self.data.join(",")
    }
}

/// Splits at commas that are not inside double quotes (`SELinux` contexts hold commas).
fn split_unquoted(text: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |character| {
        quoted ^= character == '"';
        character == ',' && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    fn check(options: &[&str], expected: &Expect) {
        let sorted = MountOptions::parse(options);
        let text = format!(
            "{:?} data={} {:?} {:?} nofail={} noauto={}",
            sorted.flags,
            sorted.data_text(),
            sorted.bind,
            sorted.propagation,
            sorted.nofail,
            sorted.noauto
        );
        expected.assert_eq(&text);
    }

    #[test]
    fn options_are_sorted() {
        check(
            &["defaults"],
            &expect!["MsFlags(0x0) data= No None nofail=false noauto=false"],
        );
        check(
            &["ro,nosuid", "size=50%", "mode=0755", "nodev"],
            &expect![
                "MsFlags(MS_RDONLY | MS_NOSUID | MS_NODEV) data=size=50%,mode=0755 No None nofail=false noauto=false"
            ],
        );
        let for_programs = [
            "x-initrd.mount",
            "nofail",
            "_netdev",
            "noauto",
            "user",
            "comment=a",
        ];
        check(
            &for_programs,
            &expect!["MsFlags(0x0) data= No None nofail=true noauto=true"],
        );
        check(
            &["bind", "ro", "rslave"],
            &expect![
                "MsFlags(MS_RDONLY) data= Directory Some(MsFlags(MS_REC | MS_SLAVE)) nofail=false noauto=false"
            ],
        );
    }

    #[test]
    fn the_last_one_wins() {
        check(
            &["ro", "rw"],
            &expect!["MsFlags(0x0) data= No None nofail=false noauto=false"],
        );
        check(
            &["strictatime", "noatime"],
            &expect!["MsFlags(MS_NOATIME) data= No None nofail=false noauto=false"],
        );
        check(
            &["noatime", "relatime"],
            &expect!["MsFlags(MS_RELATIME) data= No None nofail=false noauto=false"],
        );
    }

    #[test]
    fn quoted_commas_stay() {
        check(
            &[r#"context="a:b:c0,c1",ro"#],
            &expect![[
                r#"MsFlags(MS_RDONLY) data=context="a:b:c0,c1" No None nofail=false noauto=false"#
            ]],
        );
    }

    proptest! {
        #[test]
        fn a_list_equals_its_items(options in proptest::collection::vec("[a-z=-]{0,9}", 0..8)) {
            let joined = options.join(",");
            prop_assert_eq!(MountOptions::parse(&options), MountOptions::parse(&[joined]));
        }
    }
}
