//! Replaying `update-alternatives --install` from maintainer scripts, without running them.
//!
//! ```text
//! update-alternatives [options] --install LINK NAME PATH PRIORITY [--slave LINK NAME PATH]...
//! ```
//!
//! Only literal words are taken: a command whose link, target or priority has a variable, a
//! substitution or a pattern is reported and left, and so are slaves from the first such word on. Of several alternatives for one link, that with the highest
//! priority wins, and among equals the first.
//!
//! Source: update-alternatives(1); words and quotes as in POSIX sh.

use std::collections::BTreeMap;

use super::layout::{self, show};
use super::report::{Link, Report};
use super::tree::{Symlink, Tree};
use super::unpack::Script;

/// Links that packages get by diversions or by hand, not by alternatives: (link, target).
const FIXED: [(&[u8], &[u8]); 1] = [(b"usr/bin/sh", b"usr/bin/dash")];

/// One link of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Install {
    /// Debian path of the link, without a leading `/`.
    pub link: Vec<u8>,
    /// Name below `/etc/alternatives`.
    pub name: Vec<u8>,
    /// Debian path of the target.
    pub path: Vec<u8>,
}

/// A command: the first link and those that follow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The link that is chosen.
    pub main: Install,
    /// The links that go with it.
    pub slaves: Vec<Install>,
    /// The highest wins.
    pub priority: i64,
    /// Whether all slaves could be read.
    pub complete: bool,
}

/// The alternatives that were chosen.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Alternatives {
    by_name: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Alternatives {
    /// What the Debian path `etc/alternatives/NAME` leads to.
    pub fn target_of(&self, debian_path: &[u8]) -> Option<&[u8]> {
        let name = layout::below(debian_path, b"etc/alternatives")?;
        self.by_name.get(name).map(Vec::as_slice)
    }
}

/// Reads the commands of all scripts and puts the chosen links into the tree.
pub fn replay(scripts: &[Script], tree: &mut Tree, report: &mut Report) -> Alternatives {
    let mut chosen: BTreeMap<Vec<u8>, Command> = BTreeMap::new();
    for script in scripts.iter().filter(|script| script.name == "postinst") {
        for line in commands(&script.text) {
            let left = |report: &mut Report| {
                let left = format!("{}: {line}", script.package);
                report.alternatives_skipped.push(left);
            };
            match parse(&line) {
                Some(command) => {
                    if !command.complete {
                        left(report);
                    }
                    let better = chosen
                        .get(&command.main.name)
                        .is_none_or(|known| known.priority < command.priority);
                    if better {
                        chosen.insert(command.main.name.clone(), command);
                    }
                }
                None => left(report),
            }
        }
    }
    let mut found = Alternatives::default();
    for command in chosen.into_values() {
        // A command for a file that another package has is not for this object.
        if tree.get(&tree.place(&command.main.path)).is_none() {
            report.alternatives_skipped.push(format!(
                "{}: {} is not in the packages",
                show(&command.main.name),
                show(&command.main.path)
            ));
            continue;
        }
        for install in std::iter::once(command.main).chain(command.slaves) {
            add(tree, report, &install.link, &install.path);
            found.by_name.insert(install.name, install.path);
        }
    }
    for (link, target) in FIXED {
        add(tree, report, link, target);
    }
    found
}

/// Adds a link where nothing is, if its target is there.
fn add(tree: &mut Tree, report: &mut Report, link: &[u8], target: &[u8]) {
    let place = tree.place(link);
    if tree.get(&place).is_some() || tree.get(&tree.place(target)).is_none() {
        return;
    }
    if tree.add_directory(layout::parent(&place)).is_ok() {
        let mut written = b"/".to_vec();
        written.extend_from_slice(target);
        let symlink = Symlink {
            debian_path: link.to_vec(),
            target: written.clone(),
            deb: 0,
        };
        if tree.add_link(&place, symlink).is_ok() {
            report.alternatives.push(Link {
                path: show(&place),
                target: show(&written),
            });
        }
    }
}

/// The lines of a script that install alternatives, with continued lines joined and comments left
/// out.
fn commands(script: &str) -> Vec<String> {
    script
        .replace("\\\n", " ")
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .filter(|line| line.contains("update-alternatives") && line.contains("--install"))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

/// Reads one command, or nothing if its first link, its target or its priority is computed or
/// malformed. Slaves are taken up to the first one that is.
pub fn parse(line: &str) -> Option<Command> {
    let words = words(line)?;
    let start = words
        .iter()
        .position(|word| layout::name(word.text.as_bytes()) == b"update-alternatives")?;
    let mut words = words
        .into_iter()
        .skip(start + 1)
        .skip_while(|word| word.text != "--install")
        .map(|word| (!word.computed).then_some(word.text));
    words.next()?;
    let main = install(&mut words)?;
    let priority = words.next()??.parse().ok()?;
    let mut slaves = Vec::new();
    let mut complete = true;
    while let Some(word) = words.next() {
        let slave = match word.as_deref() {
            Some("--slave") => install(&mut words),
            _ => None,
        };
        let Some(slave) = slave else {
            complete = false;
            break;
        };
        slaves.push(slave);
    }
    Some(Command {
        main,
        slaves,
        priority,
        complete,
    })
}

/// Reads link, name and path; words that are computed come as nothing.
fn install(words: &mut impl Iterator<Item = Option<String>>) -> Option<Install> {
    Some(Install {
        link: debian_path(&words.next()??)?,
        name: words.next()?.filter(|name| is_name(name))?.into_bytes(),
        path: debian_path(&words.next()??)?,
    })
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['/', '\0', '\n']) && name != "." && name != ".."
}

fn debian_path(word: &str) -> Option<Vec<u8>> {
    word.strip_prefix('/')?;
    layout::entry_path(word.as_bytes())
        .ok()
        .filter(|path| !path.is_empty())
}

/// One word of a command.
#[derive(Debug, Default)]
struct Word {
    text: String,
    /// Whether the shell would have to compute it.
    computed: bool,
}

/// Splits a line into the words of the simple command that has `--install`; nothing if a quote is
/// not closed. The command ends at an operator or comment.
fn words(line: &str) -> Option<Vec<Word>> {
    let mut words: Vec<Word> = Vec::new();
    let mut word: Option<Word> = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next()? {
                        '\'' => break,
                        letter => word.text.push(letter),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next()? {
                        '"' => break,
                        '$' | '`' | '\\' => word.computed = true,
                        letter => word.text.push(letter),
                    }
                }
            }
            '$' | '`' | '*' | '?' | '[' | '{' | '~' => word.get_or_insert_default().computed = true,
            '\\' => word.get_or_insert_default().text.push(letters.next()?),
            ' ' | '\t' => words.extend(word.take()),
            '#' if word.is_none() => break,
            // `if x; then update-alternatives …; fi`: the words of another command.
            ';' | '&' | '|' | '(' | ')' | '<' | '>' => {
                words.extend(word.take());
                if words.iter().any(|word| word.text == "--install") {
                    break;
                }
                words.clear();
            }
            letter => word.get_or_insert_default().text.push(letter),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    fn check(script: &str, expected: &Expect) {
        let mut lines = Vec::new();
        for line in commands(script) {
            match parse(&line) {
                Some(command) => {
                    let slaves = command.slaves.iter();
                    for install in std::iter::once(&command.main).chain(slaves) {
                        let link =
                            [&install.link, &install.name, &install.path].map(|part| show(part));
                        lines.push(format!("{} {}", link.join(" "), command.priority));
                    }
                    lines.extend((!command.complete).then(|| "and more".to_owned()));
                }
                None => lines.push(format!("left: {line}")),
            }
        }
        expected.assert_eq(&(lines.join("\n") + "\n"));
    }

    #[test]
    fn commands_of_real_scripts() {
        check(
            "if [ \"$1\" = configure ]; then\n    update-alternatives --quiet --install /usr/bin/pager pager \\\n      /usr/bin/less 77 --slave /usr/share/man/man1/pager.1.gz \\\n      pager.1.gz /usr/share/man/man1/less.1.gz\nfi\n",
            &expect![[r#"
                usr/bin/pager pager usr/bin/less 77
                usr/share/man/man1/pager.1.gz pager.1.gz usr/share/man/man1/less.1.gz 77
            "#]],
        );
        check(
            "[ x ] && update-alternatives --install '/usr/bin/editor' \"editor\" /bin/nano 40; true\n",
            &expect![[r#"
                usr/bin/editor editor bin/nano 40
            "#]],
        );
        check(
            "update-alternatives --install /usr/bin/lzma lzma /usr/bin/xz 20 --slave /a a /b $(slaves)",
            &expect![[r#"
                usr/bin/lzma lzma usr/bin/xz 20
                a a b 20
                and more
            "#]],
        );
    }

    #[test]
    fn computed_words_and_wrong_shapes_are_left() {
        check(
            "update-alternatives --install /usr/bin/$i $i /usr/bin/vim 30\n# update-alternatives --install /a b /c 1\nupdate-alternatives --install /usr/bin/x x\nupdate-alternatives --install ../x x /y 1\nupdate-alternatives --install /x ../../y /y 1\nupdate-alternatives --install /x/../../y y /y 1\nupdate-alternatives --install /x x /y 1 --slave /z\nupdate-alternatives --install /x x /y 1 || true\n",
            &expect![[r#"
                left: update-alternatives --install /usr/bin/$i $i /usr/bin/vim 30
                left: update-alternatives --install /usr/bin/x x
                left: update-alternatives --install ../x x /y 1
                left: update-alternatives --install /x ../../y /y 1
                left: update-alternatives --install /x/../../y y /y 1
                x x y 1
                and more
                x x y 1
            "#]],
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "(update-alternatives|--install|--slave|/usr/bin/x|[ \\n\\\\'\"$;#]|\\PC){0,40}") {
            for line in commands(&text) {
                if let Some(command) = parse(&line) {
                    prop_assert!(!command.main.link.is_empty());
                    prop_assert!(!command.main.link.starts_with(b"/"));
                }
            }
        }
    }
}
