//! The environment of a service's processes: files of variables, and variables in arguments.
//!
//! Source: `systemd.exec(5)`, `EnvironmentFile=`; `systemd.service(5)`, "Command lines".

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::str::Chars;

use cairn_system::EnvironmentFile;

use super::foreign;

/// Variables and their values.
pub type Environment = BTreeMap<String, String>;

/// The most bytes of a file: more than any process can be given.
const MOST: u64 = 4 << 20;

/// Adds what the files say; a later one wins.
///
/// # Errors
/// One cannot be read, and has to be: the message names it.
pub fn add_files(environment: &mut Environment, files: &[EnvironmentFile]) -> io::Result<()> {
    for file in files {
        let path = Path::new(&file.path);
        let found = if file.path.contains(['*', '?', '[']) {
            cairn_activate::matching(Path::new("/"), path).map_err(io::Error::other)?
        } else {
            vec![path.to_owned()]
        };
        if found.is_empty() && !file.optional {
            return Err(unreadable(path, &io::ErrorKind::NotFound.into()));
        }
        for path in found {
            match foreign::read_text(&path, MOST) {
                Ok(text) => environment.extend(parse(&text)),
                Err(error) if file.optional && error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(unreadable(&path, &error)),
            }
        }
    }
    Ok(())
}

fn unreadable(path: &Path, error: &io::Error) -> io::Error {
    let message = format!("cannot read {}: {error}", path.display());
    io::Error::new(error.kind(), message)
}

/// Takes variables away: by name, or as `NAME=value` where that is its value.
pub fn remove(environment: &mut Environment, unset: &[String]) {
    for word in unset {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word.as_str(), None),
        };
        if value.is_none_or(|value| environment.get(name).is_some_and(|now| now == value)) {
            environment.remove(name);
        }
    }
}

/// The variables of a file: `NAME=value` lines, and `#` and `;` comments. A value may be in quotes, and go on over
/// lines there; a backslash at a line's end joins it with the next. What is none of that is left out.
fn parse(text: &str) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (line, after) = rest.split_once(END).unwrap_or((rest, ""));
        rest = match line.split_once('=') {
            Some((name, _)) if !line.starts_with(['#', ';']) => {
                let mut characters = rest.get(name.len() + 1..).unwrap_or_default().chars();
                let value = value(&mut characters);
                let name = name.trim_end();
                if is_name(name) {
                    variables.push((name.to_owned(), value));
                }
                characters.as_str()
            }
            _ => after,
        }
        .trim_start();
    }
    variables
}

/// What ends a line.
const END: [char; 2] = ['\n', '\r'];

/// Reads a value with the end of its last line. Quotes are quotes only before anything that is in none; in double
/// ones, a backslash stands for what a shell would take it for, and elsewhere for what follows it.
fn value(characters: &mut Chars<'_>) -> String {
    let mut value = String::new();
    while let Some(character) = characters.next() {
        match character {
            '\n' | '\r' => return value,
            '"' | '\'' => add_quoted(&mut value, characters, character),
            _ if character.is_whitespace() => {}
            _ => {
                add_plain(&mut value, characters, character);
                return value;
            }
        }
    }
    value
}

fn add_quoted(value: &mut String, characters: &mut Chars<'_>, quote: char) {
    while let Some(character) = characters.next().filter(|one| *one != quote) {
        if character != '\\' || quote == '\'' {
            value.push(character);
            continue;
        }
        match characters.next() {
            Some('\n') | None => {}
            Some(next @ ('"' | '\\' | '`' | '$')) => value.push(next),
            Some(next) => value.extend(['\\', next]),
        }
    }
}

/// Blanks at the end do not count, unless they have a backslash.
fn add_plain(value: &mut String, characters: &mut Chars<'_>, first: char) {
    let mut kept = value.len();
    let mut next = Some(first);
    while let Some(character) = next.filter(|one| !END.contains(one)) {
        if character == '\\' {
            value.extend(characters.next().filter(|one| !END.contains(one)));
        } else {
            value.push(character);
        }
        if !character.is_whitespace() {
            kept = value.len();
        }
        next = characters.next();
    }
    value.truncate(kept);
}

/// Puts variables into arguments: `${NAME}` anywhere, and an argument that is `$NAME`, which
/// becomes as many as the value has words; quotes hold those together. `$$` is a dollar sign; unknown names are empty.
pub fn expand(argv: &[String], environment: &Environment) -> Vec<String> {
    let value = |name: &str| environment.get(name).map_or("", String::as_str);
    argv.iter()
        .flat_map(|argument| match argument.strip_prefix('$') {
            Some(name) if is_name(name) => words(value(name)),
            _ => vec![expand_one(argument, value)],
        })
        .collect()
}

/// The words of a value. A quote that is not closed holds all that follows.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = None::<String>;
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, quote) {
            ('\\', _) => word.get_or_insert_default().extend(characters.next()),
            (_, Some(open)) if character == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (_, None) if character.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}

fn expand_one<'a>(argument: &str, value: impl Fn(&str) -> &'a str) -> String {
    let mut expanded = String::new();
    let mut rest = argument;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        rest = after;
        if let Some(after) = after.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some((name, after)) = braces(after) {
            expanded.push_str(value(name));
            rest = after;
        } else {
            expanded.push('$');
        }
    }
    expanded.push_str(rest);
    expanded
}

fn braces(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.strip_prefix('{')?.split_once('}')?;
    is_name(name).then_some((name, rest))
}

fn is_name(text: &str) -> bool {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !text.is_empty() && text.chars().all(valid) && !text.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use proptest::prelude::*;

    /// As systemd's own tests of such files have it.
    #[test]
    fn files() {
        let text = concat!(
            "A=1\n# B=2 \\\n ;C\nD = x y \nE='a \\ b'\"c\\\"\"\\n\n\nno line\n1F=x\nG=one\\\ntwo\nH=\r\n",
            "I=\"one\n  two\\\n\" 'three\\\n'\nJ=\"^a\\.b\\$\\\\\"\nK=x\"y z\"\nL=blank\\ \t\n#M=\"\nN='\n",
        );
        let lines: Vec<String> = parse(text)
            .into_iter()
            .map(|(n, v)| format!("{n}={v:?}"))
            .collect();
        expect![[r#"A="1" D="x y" E="a \\ bc\"n" G="onetwo" H="" I="one\n  twothree\\\n" J="^a\\.b$\\" K="x\"y z\"" L="blank " N="\n""#]].assert_eq(&lines.join(" "));
    }

    #[test]
    fn variables_are_taken_away() {
        let pairs = [("A", "1"), ("B", "2"), ("C", "3")];
        let mut environment = pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).into();
        remove(
            &mut environment,
            &["A", "B=2", "C=2", "D"].map(str::to_owned),
        );
        assert_eq!(format!("{environment:?}"), r#"{"C": "3"}"#);
    }

    #[test]
    fn arguments() {
        let list = " a  \"b c\"'d' \\\" '' \"e ";
        let environment = [("PID", "7"), ("LIST", list), ("E", "")];
        let environment = environment
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let argv = [
            "$PID", "x${PID}y", "$LIST", "${LIST}", "$E", "${E}", "$$PID", "$", "a$PID", "${", "$9",
        ];
        let argv = argv.map(str::to_owned);
        expect![[r#"["7", "x7y", "a", "b cd", "\"", "", "e ", " a  \"b c\"'d' \\\" '' \"e ", "", "$PID", "$", "a$PID", "${", "$9"]"#]].assert_eq(&format!("{:?}", expand(&argv, &environment)));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text: String) {
            parse(&text);
            expand(&[text], &Environment::new());
        }
    }
}
