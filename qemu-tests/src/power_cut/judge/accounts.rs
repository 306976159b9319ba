//! The user database: whether each file of it is one that programs can read.

use anyhow::{Context as _, ensure};

/// A file of `/etc`, and how many fields its lines have.
pub const FILES: [(&str, usize); 3] = [("/etc/passwd", 7), ("/etc/group", 4), ("/etc/shadow", 9)];

/// Checks that every line has its fields, and that there is root.
///
/// # Errors
/// A line has not.
pub fn check(content: &[u8], fields: usize) -> anyhow::Result<()> {
    let text = std::str::from_utf8(content).context("it is no text")?;
    ensure!(!text.contains('\0'), "it has NUL bytes");
    ensure!(text.ends_with('\n'), "its last line is cut off");
    for line in text.lines() {
        let found = line.split(':').count();
        ensure!(
            found == fields,
            "the line {line:?} has {found} fields and not {fields}"
        );
    }
    ensure!(
        text.lines().any(|line| line.starts_with("root:")),
        "it has no root"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn what_no_program_can_read() {
        let say = |content: &[u8]| match check(content, 4) {
            Ok(()) => "good\n".to_owned(),
            Err(error) => format!("{error}\n"),
        };
        let said = [
            &b"root:x:0:\nbin:x:1:a,b\n"[..],
            b"",
            b"root:x:0:\nbin:x:1",
            b"root:x:0:\nbin:x:1\n",
            b"root:x:0:\n\0\0\0\n",
            b"bin:x:1:\n",
            b"\xff\n",
        ]
        .map(say)
        .concat();
        expect![[r#"
            good
            its last line is cut off
            its last line is cut off
            the line "bin:x:1" has 3 fields and not 4
            it has NUL bytes
            it has no root
            it is no text
        "#]]
        .assert_eq(&said);
    }
}
