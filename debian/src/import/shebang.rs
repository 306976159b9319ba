//! The first line of scripts: `#!` and an interpreter that lies in the store.
//!
//! `#!/bin/sh -e` becomes `#!/nix/store/…-dash/bin/sh -e`; `#!/usr/bin/env perl` becomes
//! `#!/nix/store/…-perl/bin/perl`, and so does `env -S perl -w`, with its words. The kernel hands
//! all that follows the interpreter's name over as one argument, which stays as it is.
//!
//! Source: execve(2), "Interpreter scripts"; env(1).

use super::layout;

/// Bytes of a first line that the kernel reads, with `#!` and without the line break.
const LINE_LIMIT: usize = 255;

/// What becomes of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It gets this first line, without a line break.
    Rewrite(Vec<u8>),
    /// It stays: it has no first line, or names the store already.
    Keep,
    /// Its interpreter, or what `env` is to look for, was not found.
    Unknown,
}

/// The first line without `#!` and line break.
#[must_use]
pub fn first_line(script: &[u8]) -> Option<&[u8]> {
    let line = script.strip_prefix(b"#!")?;
    line.split(|&byte| byte == b'\n').next()
}

/// Decides on the line that follows `#!`. `find` gives the path in the running system of a Debian
/// path without a leading `/`.
pub fn judge(line: &[u8], find: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Verdict {
    let (interpreter, argument) = split(line);
    if interpreter.is_empty() || interpreter.starts_with(b"/nix/store/") {
        return Verdict::Keep;
    }
    let Some(path) = interpreter
        .strip_prefix(b"/")
        .and_then(|path| layout::entry_path(path).ok())
    else {
        return Verdict::Unknown;
    };
    let new = match layout::flatten(&path) {
        b"bin/env" => env_program(argument, &find),
        _ => find_program(&path, &find).map(|program| (program, argument.to_vec())),
    };
    let Some((program, argument)) = new else {
        return Verdict::Unknown;
    };
    let mut new = b"#!".to_vec();
    new.extend_from_slice(&program);
    if !argument.is_empty() {
        new.push(b' ');
        new.extend_from_slice(&argument);
    }
    if new.len() > LINE_LIMIT {
        return Verdict::Unknown;
    }
    Verdict::Rewrite(new)
}

/// The program that `env` would run, and its arguments. With options or assignments, `env` itself.
fn env_program(
    argument: &[u8],
    find: &impl Fn(&[u8]) -> Option<Vec<u8>>,
) -> Option<(Vec<u8>, Vec<u8>)> {
    let (first, rest) = split(argument);
    let (program, rest) = match first {
        b"-S" => split(rest),
        _ => (first, rest),
    };
    if program.is_empty() || program.starts_with(b"-") || program.contains(&b'=') {
        return Some((find(b"usr/bin/env")?, argument.to_vec()));
    }
    let path = match program.strip_prefix(b"/") {
        Some(path) => path.to_vec(),
        None => layout::join(b"usr/bin", program),
    };
    Some((
        find_program(&layout::entry_path(&path).ok()?, find)?,
        rest.to_vec(),
    ))
}

/// A program where the script says, or else in the usual folder of that name.
fn find_program(path: &[u8], find: &impl Fn(&[u8]) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    let flat = layout::flatten(path);
    let usual = flat.strip_prefix(b"local/").unwrap_or(flat);
    let other = layout::below(usual, b"bin").map(|name| layout::join(b"sbin", name));
    find(path)
        .or_else(|| find(usual))
        .or_else(|| other.and_then(|path| find(&path)))
}

/// The first word, and what follows it without the blanks around.
fn split(line: &[u8]) -> (&[u8], &[u8]) {
    let line = line.trim_ascii();
    let end = line
        .iter()
        .position(|byte| matches!(byte, b' ' | b'\t'))
        .unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    (word, rest.trim_ascii())
}

/// Whether a script names folders that do not exist in the running system, below its first line.
#[must_use]
pub fn has_fixed_paths(script: &[u8]) -> bool {
    let body = script.iter().position(|&byte| byte == b'\n').unwrap_or(0);
    let body = script.get(body..).unwrap_or_default();
    [&b"/usr/"[..], b"/bin/", b"/sbin/", b"/lib/"]
        .iter()
        .any(|folder| body.windows(folder.len()).any(|part| part == *folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn find(path: &[u8]) -> Option<Vec<u8>> {
        let flat = layout::flatten(path);
        [&b"bin/sh"[..], b"bin/perl", b"bin/env", b"sbin/sulogin"]
            .contains(&flat)
            .then(|| layout::join(b"/nix/store/h-x", flat))
    }

    #[test]
    fn lines() {
        let store = "#!/nix/store/h-x/bin";
        for (line, expected) in [
            ("/bin/sh", format!("{store}/sh")),
            (" /bin/sh  -e ", format!("{store}/sh -e")),
            ("/usr/bin/perl -w -T", format!("{store}/perl -w -T")),
            ("/usr/bin/env perl", format!("{store}/perl")),
            ("/usr/bin/env -S perl -w", format!("{store}/perl -w")),
            ("/usr/bin/env A=1 perl", format!("{store}/env A=1 perl")),
            ("/usr/local/bin/perl", format!("{store}/perl")),
            ("/bin/sulogin", "#!/nix/store/h-x/sbin/sulogin".to_owned()),
            ("/usr/bin/python3", "unknown".to_owned()),
            ("/usr/bin/env python3", "unknown".to_owned()),
            ("/../bin/sh", "unknown".to_owned()),
            ("bin/sh", "unknown".to_owned()),
            ("", "keep".to_owned()),
            ("/nix/store/h-y/bin/sh", "keep".to_owned()),
        ] {
            let got = match judge(line.as_bytes(), find) {
                Verdict::Rewrite(line) => String::from_utf8_lossy(&line).into_owned(),
                Verdict::Keep => "keep".to_owned(),
                Verdict::Unknown => "unknown".to_owned(),
            };
            assert_eq!(got, expected, "{line}");
        }
    }

    #[test]
    fn a_line_too_long_for_the_kernel_is_left() {
        let line = format!("/bin/sh {}", "x".repeat(250));
        assert_eq!(judge(line.as_bytes(), find), Verdict::Unknown);
    }

    proptest! {
        #[test]
        fn any_line_is_judged_without_panic(line in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Verdict::Rewrite(new) = judge(&line, find) {
                prop_assert!(new.starts_with(b"#!/nix/store/h-x/") && new.len() <= LINE_LIMIT);
            }
            std::hint::black_box(has_fixed_paths(&line));
        }
    }
}
