//! Where a path of a Debian package lies in the prefix, and which paths are left out.
//!
//! Debian paths are written here without a leading `/`, as bytes, with neither `.` nor `..`:
//! `usr/lib/x86_64-linux-gnu/libz.so.1`. Prefix paths look the same: `lib/x86_64-linux-gnu/libz.so.1`.
//!
//! Source: the Filesystem Hierarchy Standard, and Debian's merged `/usr`.

/// Why a name in an archive is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadName {
    /// It has a `..`.
    Traversal,
    /// It has a NUL byte or a line break.
    Character,
    /// One component is over 255 bytes, or the whole over 4,096.
    Long,
}

impl BadName {
    /// The reason, to follow the entry's name.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Traversal => "has '..' in its name",
            Self::Character => "has a NUL byte or a line break in its name",
            Self::Long => "has a name longer than a file system can hold",
        }
    }
}

/// Reads the name of an archive entry: `./usr/bin/x` and `/usr/bin/x` give `usr/bin/x`.
///
/// # Errors
/// The name could leave the prefix or cannot be a file's.
pub fn entry_path(name: &[u8]) -> Result<Vec<u8>, BadName> {
    if name.len() > 4096 {
        return Err(BadName::Long);
    }
    if name.iter().any(|byte| matches!(byte, 0 | b'\n' | b'\r')) {
        return Err(BadName::Character);
    }
    let mut path = Vec::with_capacity(name.len());
    for part in name.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return Err(BadName::Traversal),
            part if part.len() > 255 => return Err(BadName::Long),
            part => push(&mut path, part),
        }
    }
    Ok(path)
}

/// The Debian path that a link at `link` with `target` leads to, or `None` if a relative target
/// climbs above the root.
pub fn link_target(link: &[u8], target: &[u8]) -> Option<Vec<u8>> {
    let absolute = target.first() == Some(&b'/');
    let mut path = if absolute {
        Vec::new()
    } else {
        parent(link).to_vec()
    };
    for part in target.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if path.is_empty() && absolute => {}
            b".." if path.is_empty() => return None,
            b".." => path.truncate(parent(&path).len()),
            part => push(&mut path, part),
        }
    }
    Some(path)
}

/// The folder of a path; empty at the top.
pub fn parent(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
    path.get(..end).unwrap_or_default()
}

/// The last component of a path.
pub fn name(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or_default()
}

/// Appends `part` to `path` with a `/` between the two.
pub fn push(path: &mut Vec<u8>, part: &[u8]) {
    if !path.is_empty() && !part.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(part);
}

/// `first` and `second` as one path.
pub fn join(first: &[u8], second: &[u8]) -> Vec<u8> {
    let mut path = first.to_vec();
    push(&mut path, second);
    path
}

/// The prefix path of a Debian path, before `sbin` is merged: `usr/` is cut off.
pub fn flatten(path: &[u8]) -> &[u8] {
    match path {
        b"usr" => b"",
        _ => path.strip_prefix(b"usr/").unwrap_or(path),
    }
}

/// What follows `folder/` in `path`.
pub fn below<'a>(path: &'a [u8], folder: &[u8]) -> Option<&'a [u8]> {
    path.strip_prefix(folder)?.strip_prefix(b"/")
}

/// Folders of documentation, manuals and translations, below the prefix.
const DOCUMENTATION: [&[u8]; 12] = [
    b"share/bug",
    b"share/doc",
    b"share/doc-base",
    b"share/gtk-doc",
    b"share/help",
    b"share/info",
    b"share/lintian",
    b"share/linda",
    b"share/locale",
    b"share/man",
    b"share/omf",
    b"share/reportbug",
];

/// Whether a prefix path is documentation, a manual or a translation.
pub fn is_documentation(path: &[u8]) -> bool {
    DOCUMENTATION
        .iter()
        .any(|folder| path == *folder || below(path, folder).is_some())
}

/// Top folders of the running system: a link into them keeps its target, and below them an empty
/// folder means nothing in a store object.
const SYSTEM: [&[u8]; 13] = [
    b"dev", b"etc", b"home", b"media", b"mnt", b"proc", b"root", b"run", b"srv", b"sys", b"tmp",
    b"var", b"local",
];

/// Whether a Debian path belongs to the running system rather than to a package.
pub fn is_of_the_system(path: &[u8]) -> bool {
    let top = path.split(|&byte| byte == b'/').next().unwrap_or_default();
    top != b"local" && SYSTEM.contains(&top)
}

/// Top folders of the prefix whose empty folders are dropped.
pub fn dropped_when_empty() -> impl Iterator<Item = &'static [u8]> {
    SYSTEM.into_iter().filter(|top| *top != b"etc")
}

/// Whether files here are for a kernel or a boot loader, which relocation must not touch.
pub fn is_for_boot(path: &[u8]) -> bool {
    [
        &b"boot"[..],
        b"lib/modules",
        b"lib/firmware",
        b"lib/grub",
        b"lib/debug",
        b"lib/shim",
    ]
    .iter()
    .any(|folder| below(path, folder).is_some())
}

/// A path for people: bytes that are not printable are escaped.
pub fn show(path: &[u8]) -> String {
    match std::str::from_utf8(path) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => path.escape_ascii().to_string(),
    }
}
