//! The environment of a service's processes: files of variables, and variables in arguments.
//!
//! Source: `systemd.exec(5)`, `EnvironmentFile=`; `systemd.service(5)`, "Command lines".

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

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
        match foreign::read_text(Path::new(&file.path), MOST) {
            Ok(text) => environment.extend(parse(&text)),
            Err(error) if file.optional && error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let message = format!("cannot read {}: {error}", file.path);
                return Err(io::Error::new(error.kind(), message));
            }
        }
    }
    Ok(())
}

/// The variables of a file: `NAME=value` lines, `#` and `;` comments, values in quotes, and
/// backslashes that join lines. Lines that are none of that are left out.
fn parse(text: &str) -> Vec<(String, String)> {
    let joined = text.replace("\\\n", "");
    joined
        .lines()
        .filter_map(|line| {
            let line = line.trim();
            if line.starts_with(['#', ';']) {
                return None;
            }
            let (name, value) = line.split_once('=')?;
            let name = name.trim_end();
            let valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let starts_well = !name.starts_with(|c: char| c.is_ascii_digit());
            (!name.is_empty() && name.chars().all(valid) && starts_well)
                .then(|| (name.to_owned(), unquote(value.trim_start())))
        })
        .collect()
}

/// Takes quotes away; in double ones and outside, a backslash stands for what follows it.
fn unquote(text: &str) -> String {
    let mut value = String::new();
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, quote) {
            ('\\', None | Some('"')) => value.extend(characters.next()),
            ('"' | '\'', None) => quote = Some(character),
            (_, Some(open)) if character == open => quote = None,
            _ => value.push(character),
        }
    }
    value
}

/// Puts variables into arguments: `${NAME}` anywhere, and an argument that is `$NAME`, which
/// becomes as many as the value has words. `$$` is a dollar sign; unknown names are empty.
pub fn expand(argv: &[String], environment: &Environment) -> Vec<String> {
    let value = |name: &str| environment.get(name).map_or("", String::as_str);
    argv.iter()
        .flat_map(|argument| match argument.strip_prefix('$') {
            Some(name) if is_name(name) => {
                value(name).split_whitespace().map(str::to_owned).collect()
            }
            _ => vec![expand_one(argument, value)],
        })
        .collect()
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

    #[test]
    fn files() {
        let text =
            "A=1\n# B=2\n ;C\nD = x y \nE='a \\ b'\"c\\\"\"\\n\nno line\n1F=x\nG=one\\\ntwo\nH=\n";
        let lines: Vec<String> = parse(text)
            .into_iter()
            .map(|(n, v)| format!("{n}=[{v}]"))
            .collect();
        expect!["A=[1] D=[x y] E=[a \\ bc\"n] G=[onetwo] H=[]"].assert_eq(&lines.join(" "));
    }

    #[test]
    fn arguments() {
        let environment = [("PID", "7"), ("LIST", " a  b "), ("E", "")];
        let environment = environment
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let argv = [
            "$PID", "x${PID}y", "$LIST", "${LIST}", "$E", "${E}", "$$PID", "$", "a$PID", "${", "$9",
        ];
        let argv = argv.map(str::to_owned);
        expect![[r#"["7", "x7y", "a", "b", " a  b ", "", "$PID", "$", "a$PID", "${", "$9"]"#]]
            .assert_eq(&format!("{:?}", expand(&argv, &environment)));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text: String) {
            parse(&text);
            expand(&[text], &Environment::new());
        }
    }
}
