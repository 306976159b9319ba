//! `cairn fmt`: files in the layout of nixfmt, the formatter that the Nix project agreed on.
//!
//! A file is written only if what it says stays the same: its tree and the words of its comments
//! are compared before and after. It is written beside itself and renamed into place, so that
//! there is always a whole one.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bstr::ByteSlice;
use bumpalo::Bump;
use cairn_evaluator::diagnostic::{NamedSource, Style};
use cairn_evaluator::{ParseOptions, SymbolTable, comments, parse, show_merged, with_stack};
use tempfile::NamedTempFile;

/// Address space for the formatter, which goes as deep as the text does.
const STACK: usize = 4 << 30;

/// How often a text is laid out until it stays as it is: seldom the second time changes more.
const MOST_PASSES: usize = 5;

/// What to do with files that are laid out otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Write them anew.
    Write,
    /// Name them.
    Check,
}

/// Formats files, and those named `*.nix` below folders; standard input to standard output if
/// there are none. The names of files that changed or would change are printed.
///
/// Returns whether all is as it should be: with [`Mode::Check`], that no file would change.
///
/// # Errors
///
/// A file cannot be read or written, or is no expression. The other files are done all the same.
pub fn format_files(paths: &[PathBuf], mode: Mode) -> Result<bool> {
    if paths.is_empty() || paths == [PathBuf::from("-")] {
        return format_stdin(mode);
    }
    let mut files = Vec::new();
    for path in paths {
        collect(path, &mut files)?;
    }
    let mut changed = false;
    let mut failed = 0;
    for file in &files {
        match format_file(file, mode) {
            Ok(false) => {}
            Ok(true) => {
                changed = true;
                writeln!(io::stdout(), "{}", file.display())?;
            }
            Err(error) => {
                failed += 1;
                eprintln!("{}", format!("{error:#}").trim_end());
            }
        }
    }
    if failed > 0 {
        bail!("{failed} of {} files could not be formatted", files.len());
    }
    Ok(mode == Mode::Write || !changed)
}

fn format_stdin(mode: Mode) -> Result<bool> {
    let mut text = Vec::new();
    io::stdin()
        .read_to_end(&mut text)
        .context("cannot read standard input")?;
    let formatted = format_text(&text, "«stdin»")?;
    match mode {
        Mode::Write => {
            io::stdout().write_all(formatted.as_bytes())?;
            Ok(true)
        }
        Mode::Check => Ok(formatted.as_bytes() == text),
    }
}

/// The files that a path stands for: itself, or those named `*.nix` below it.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let metadata = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    if !metadata.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries = fs::read_dir(path)
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .with_context(|| format!("cannot read the folder {}", path.display()))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let kind = entry
            .file_type()
            .with_context(|| format!("cannot read {}", path.display()))?;
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if kind.is_dir() && !hidden {
            collect(&path, files)?;
        } else if kind.is_file() && path.extension().is_some_and(|end| end == "nix") {
            files.push(path);
        }
    }
    Ok(())
}

/// Formats one file; whether its text was or would be another.
fn format_file(path: &Path, mode: Mode) -> Result<bool> {
    let name = path.display().to_string();
    let text = fs::read(path).with_context(|| format!("cannot read {name}"))?;
    let formatted = format_text(&text, &name)?;
    if formatted.as_bytes() == text {
        return Ok(false);
    }
    if mode == Mode::Write {
        replace(path, formatted.as_bytes()).with_context(|| format!("cannot write {name}"))?;
    }
    Ok(true)
}

/// Puts a file with this content in the place of another, or of what a link leads to.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut new = NamedTempFile::new_in(folder)?;
    new.write_all(content)?;
    new.as_file()
        .set_permissions(fs::metadata(&path)?.permissions())?;
    new.as_file().sync_all()?;
    new.persist(&path)?;
    Ok(())
}

/// The text in its layout; `name` names it in messages.
///
/// # Errors
///
/// It is no expression (the message has an excerpt), or not UTF-8, or the formatter fails on it.
pub fn format_text(text: &[u8], name: &str) -> Result<String> {
    with_stack(STACK, || format_here(text, name)).context("cannot make a stack to format on")?
}

fn format_here(text: &[u8], name: &str) -> Result<String> {
    let before = Meaning::of(text, name)?;
    let utf8 = text
        .to_str()
        .with_context(|| format!("cannot format {name}"))?;
    let mut formatted = utf8.to_owned();
    for _ in 0..MOST_PASSES {
        let next = match nixfmt_rs::format(&formatted) {
            Ok(next) => next,
            Err(error) => bail!("cannot format {name}: {error}"),
        };
        let settled = next == formatted;
        formatted = next;
        if settled {
            break;
        }
    }
    let after = Meaning::of(formatted.as_bytes(), name).with_context(|| {
        format!("cannot format {name}: its formatted text is not an expression")
    })?;
    if before.tree != after.tree {
        bail!("cannot format {name}: formatting would change its meaning");
    }
    if before.comments != after.comments {
        bail!("cannot format {name}: formatting would lose a comment");
    }
    Ok(formatted)
}

/// What formatting may not change.
struct Meaning {
    /// The tree, as `--parse` shows it.
    tree: Vec<u8>,
    /// The letters of all comments, sorted by comment: how they are marked and indented changes,
    /// and a comment may move past another one.
    comments: Vec<Vec<u8>>,
}

impl Meaning {
    fn of(text: &[u8], name: &str) -> Result<Self> {
        let options = ParseOptions {
            base: b"/",
            home: Some(b"/~"),
            pipe_operators: true,
        };
        let arena = Bump::new();
        let symbols = SymbolTable::new(&arena);
        let tree = match parse(text, &options, &symbols, &arena) {
            Ok(expr) => show_merged(expr, &symbols),
            Err(error) => bail!(error.render(NamedSource { name, text }, Style::Plain)),
        };
        let mut letters: Vec<Vec<u8>> = comments(text, &options)?
            .into_iter()
            .filter_map(|span| text.get(span.start as usize..span.end as usize))
            .flat_map(|comment| comment.lines())
            .map(|line| line.iter().copied().filter(|b| !is_mark(*b)).collect())
            .filter(|line: &Vec<u8>| !line.is_empty())
            .collect();
        letters.sort_unstable();
        Ok(Self {
            tree,
            comments: letters,
        })
    }
}

/// Bytes of comments that belong to their layout.
fn is_mark(byte: u8) -> bool {
    matches!(byte, b'#' | b'*' | b'/') || byte.is_ascii_whitespace()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_text_is_laid_out() {
        let text = b"{config,pkgs,...}:{ # why\n a.b=1; c=[1 2\n 3];}";
        let formatted = format_text(text, "x").unwrap();
        expect![[r#"
            { config, pkgs, ... }: {
              # why
              a.b = 1;
              c = [
                1
                2
                3
              ];
            }
        "#]]
        .assert_eq(&formatted);
        assert_eq!(format_text(formatted.as_bytes(), "x").unwrap(), formatted);
    }

    #[test]
    fn a_text_that_is_no_expression_is_refused() {
        let error = format_text(b"{\n  a = 1\n}", "x.nix").unwrap_err();
        expect![[r#"
            error: missing ';' after this
              at x.nix:2:7:
                 2 |   a = 1
                   |       ^
              note: before this
              at x.nix:3:1:
                 3 | }
                   | ^
              hint: each definition ends with ';'
        "#]]
        .assert_eq(&error.to_string());
    }

    #[test]
    fn bytes_that_are_not_utf8_are_refused() {
        let error = format_text(b"\"\xff\"", "x.nix").unwrap_err();
        expect!["cannot format x.nix: invalid UTF-8 found at byte offset 1"]
            .assert_eq(&format!("{error:#}"));
    }

    #[test]
    fn our_own_files_are_laid_out_for_good() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut files = Vec::new();
        for folder in ["modules", "examples"] {
            collect(&root.join(folder), &mut files).unwrap();
        }
        assert!(files.len() > 50);
        for file in files {
            let name = file.display().to_string();
            let formatted = format_text(&fs::read(&file).unwrap(), &name).unwrap();
            assert_eq!(
                format_text(formatted.as_bytes(), &name).unwrap(),
                formatted,
                "{name}"
            );
        }
    }

    #[test]
    fn deep_texts_need_no_more_than_the_stack() {
        let deep = |depth| "[".repeat(depth) + &"]".repeat(depth);
        format_text(deep(100).as_bytes(), "x").unwrap();
        let error = format_text(deep(9000).as_bytes(), "x").unwrap_err();
        expect![
            "cannot format x: Parse error at byte 511: expression nested more than 512 levels deep"
        ]
        .assert_eq(&error.to_string());
    }

    #[test]
    fn files_keep_their_mode_and_links_stay() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sub/a.nix");
        fs::create_dir(folder.path().join("sub")).unwrap();
        fs::write(&file, "{a=1;}").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        fs::write(folder.path().join("sub/b.txt"), "{a=1;}").unwrap();
        let link = folder.path().join("link.nix");
        symlink("sub/a.nix", &link).unwrap();

        let paths = [folder.path().join("sub")];
        assert!(!format_files(&paths, Mode::Check).unwrap());
        assert_eq!(fs::read_to_string(&file).unwrap(), "{a=1;}");
        assert!(format_files(std::slice::from_ref(&link), Mode::Write).unwrap());
        assert_eq!(fs::read_to_string(&file).unwrap(), "{ a = 1; }\n");
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o640
        );
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(format_files(&paths, Mode::Check).unwrap());
        assert_eq!(fs::read_dir(folder.path().join("sub")).unwrap().count(), 2);
    }
}
