//! The ATerm text of derivations: printing, and parsing of untrusted bytes.
//!
//! Strings escape `"` and `\` with a backslash, and newline, carriage return and tab as `\n`, `\r`
//! and `\t`; all other bytes stand for themselves. There is no white space between tokens.

use std::collections::{BTreeMap, BTreeSet};

use bstr::{BStr, BString};

use super::{Derivation, Output};
use crate::hash::base16_decode_vec;
use crate::make::{Algorithm, FixedOutput, Method};
use crate::path::{ParseStorePathError, StorePath};

/// Why a text is not a derivation. Offsets count bytes from the beginning of the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseDerivationError {
    /// Something else stands where a token of the form must be.
    #[error("cannot parse derivation: expected {expected} at byte {offset}")]
    Expected {
        /// The token.
        expected: &'static str,
        /// Where.
        offset: usize,
    },
    /// A string that must be a store path is not one.
    #[error("cannot parse derivation: bad store path before byte {offset}: {source}")]
    StorePath {
        /// The end of the string.
        offset: usize,
        /// What is wrong with it.
        source: ParseStorePathError,
    },
    /// An output's hash fields are neither both empty nor a known algorithm and its digest.
    #[error(
        "cannot parse derivation: output '{output}' has an unknown kind of content address '{algorithm}'"
    )]
    Hash {
        /// The output's name.
        output: String,
        /// The algorithm field.
        algorithm: BString,
    },
    /// A name occurs twice in a list that is a mapping.
    #[error("cannot parse derivation: '{name}' occurs twice before byte {offset}")]
    Duplicate {
        /// What occurs twice.
        name: BString,
        /// The end of the second one.
        offset: usize,
    },
}

pub(super) fn print(derivation: &Derivation) -> Vec<u8> {
    let inputs = derivation
        .input_drvs
        .iter()
        .map(|(path, outputs)| (path.to_string(), outputs));
    print_with_inputs(derivation, inputs)
}

/// Prints with other names of the input derivations.
pub(super) fn print_with_inputs<'a>(
    derivation: &'a Derivation,
    inputs: impl Iterator<Item = (String, &'a BTreeSet<String>)>,
) -> Vec<u8> {
    let outputs = derivation.outputs.iter().map(|(name, output)| {
        let path = output.path.to_string();
        match &output.fixed {
            None => [name.clone(), path, String::new(), String::new()],
            Some(fixed) => [name.clone(), path, fixed.method_algorithm(), fixed.base16()],
        }
    });
    let env = derivation
        .env
        .iter()
        .map(|(key, value)| (key.as_ref(), value.as_ref()));
    print_parts(derivation, outputs, inputs, env)
}

/// Prints with other outputs, input derivations and environment than `derivation` has: what
/// hashing needs.
pub(super) fn print_parts<'a>(
    derivation: &Derivation,
    outputs: impl Iterator<Item = [String; 4]>,
    inputs: impl Iterator<Item = (String, &'a BTreeSet<String>)>,
    env: impl Iterator<Item = (&'a BStr, &'a BStr)>,
) -> Vec<u8> {
    let mut text = Text(b"Derive(".to_vec());
    text.list(outputs, |text, fields| {
        text.0.push(b'(');
        text.separated(fields, |text, field| text.plain(&field));
        text.0.push(b')');
    });
    text.0.push(b',');
    text.list(inputs, |text, (path, outputs)| {
        text.0.push(b'(');
        text.plain(&path);
        text.0.push(b',');
        text.list(outputs, |text, name| text.plain(name));
        text.0.push(b')');
    });
    text.0.push(b',');
    text.list(&derivation.input_srcs, |text, path| {
        text.plain(&path.to_string());
    });
    text.0.push(b',');
    text.string(&derivation.system);
    text.0.push(b',');
    text.string(&derivation.builder);
    text.0.push(b',');
    text.list(&derivation.args, |text, arg| text.string(arg));
    text.0.push(b',');
    text.list(env, |text, (key, value)| {
        text.0.push(b'(');
        text.string(key);
        text.0.push(b',');
        text.string(value);
        text.0.push(b')');
    });
    text.0.push(b')');
    text.0
}

struct Text(Vec<u8>);

impl Text {
    fn list<T>(&mut self, items: impl IntoIterator<Item = T>, print: impl FnMut(&mut Self, T)) {
        self.0.push(b'[');
        self.separated(items, print);
        self.0.push(b']');
    }

    fn separated<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        mut print: impl FnMut(&mut Self, T),
    ) {
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.0.push(b',');
            }
            print(self, item);
        }
    }

    /// A string that needs no escapes: paths, hashes, names of outputs.
    fn plain(&mut self, string: &str) {
        self.0.push(b'"');
        self.0.extend_from_slice(string.as_bytes());
        self.0.push(b'"');
    }

    fn string(&mut self, string: &[u8]) {
        self.0.push(b'"');
        for &byte in string {
            match byte {
                b'"' | b'\\' => self.0.extend([b'\\', byte]),
                b'\n' => self.0.extend(b"\\n"),
                b'\r' => self.0.extend(b"\\r"),
                b'\t' => self.0.extend(b"\\t"),
                _ => self.0.push(byte),
            }
        }
        self.0.push(b'"');
    }
}

pub(super) fn parse(name: &str, text: &[u8]) -> Result<Derivation, ParseDerivationError> {
    let mut cursor = Cursor { text, offset: 0 };
    cursor.token("Derive(")?;
    let mut outputs = BTreeMap::new();
    cursor.list(|cursor| {
        let (output, value) = cursor.output()?;
        let duplicate = BString::from(output.as_str());
        cursor.unique(outputs.insert(output, value).is_none(), duplicate)
    })?;
    cursor.token(",")?;
    let mut input_drvs = BTreeMap::new();
    cursor.list(|cursor| {
        let (path, outputs) = cursor.input()?;
        let duplicate = BString::from(path.to_string());
        cursor.unique(input_drvs.insert(path, outputs).is_none(), duplicate)
    })?;
    cursor.token(",")?;
    let mut input_srcs = BTreeSet::new();
    cursor.list(|cursor| {
        let path = cursor.store_path()?;
        let duplicate = BString::from(path.to_string());
        cursor.unique(input_srcs.insert(path), duplicate)
    })?;
    cursor.token(",")?;
    let system = cursor.string()?;
    cursor.token(",")?;
    let builder = cursor.string()?;
    cursor.token(",")?;
    let mut args = Vec::new();
    cursor.list(|cursor| {
        args.push(cursor.string()?);
        Ok(())
    })?;
    cursor.token(",")?;
    let mut env = BTreeMap::new();
    cursor.list(|cursor| {
        cursor.token("(")?;
        let key = cursor.string()?;
        cursor.token(",")?;
        let value = cursor.string()?;
        cursor.token(")")?;
        cursor.unique(env.insert(key.clone(), value).is_none(), key)
    })?;
    cursor.token(")")?;
    cursor.end()?;
    Ok(Derivation {
        name: name.to_owned(),
        outputs,
        input_drvs,
        input_srcs,
        system,
        builder,
        args,
        env,
    })
}

struct Cursor<'a> {
    text: &'a [u8],
    offset: usize,
}

type Parsed<T> = Result<T, ParseDerivationError>;

impl Cursor<'_> {
    fn rest(&self) -> &[u8] {
        self.text.get(self.offset..).unwrap_or_default()
    }

    fn expected<T>(&self, expected: &'static str) -> Parsed<T> {
        Err(ParseDerivationError::Expected {
            expected,
            offset: self.offset,
        })
    }

    fn accept(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token.as_bytes());
        if found {
            self.offset += token.len();
        }
        found
    }

    fn token(&mut self, token: &'static str) -> Parsed<()> {
        if self.accept(token) {
            Ok(())
        } else {
            self.expected(token)
        }
    }

    fn end(&self) -> Parsed<()> {
        match self.rest() {
            [] => Ok(()),
            _ => self.expected("the end"),
        }
    }

    fn unique(&self, unique: bool, name: BString) -> Parsed<()> {
        if unique {
            Ok(())
        } else {
            Err(ParseDerivationError::Duplicate {
                name,
                offset: self.offset,
            })
        }
    }

    fn list(&mut self, mut item: impl FnMut(&mut Self) -> Parsed<()>) -> Parsed<()> {
        self.token("[")?;
        if self.accept("]") {
            return Ok(());
        }
        loop {
            item(self)?;
            if self.accept("]") {
                return Ok(());
            }
            self.token(",")?;
        }
    }

    fn string(&mut self) -> Parsed<BString> {
        self.token("\"")?;
        let mut string = Vec::new();
        loop {
            match *self.rest() {
                [b'"', ..] => {
                    self.offset += 1;
                    return Ok(string.into());
                }
                [b'\\', escaped, ..] => {
                    string.push(match escaped {
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        other => other,
                    });
                    self.offset += 2;
                }
                [b'\\'] | [] => return self.expected("the end of a string"),
                [byte, ..] => {
                    string.push(byte);
                    self.offset += 1;
                }
            }
        }
    }

    fn store_path(&mut self) -> Parsed<StorePath> {
        let text = self.string()?;
        String::from_utf8_lossy(&text)
            .parse()
            .map_err(|source| ParseDerivationError::StorePath {
                offset: self.offset,
                source,
            })
    }

    fn output_name(&mut self) -> Parsed<String> {
        let start = self.offset;
        let name = self.string()?;
        match String::from_utf8(name.into()) {
            Ok(name) if is_output_name(&name) => Ok(name),
            _ => Err(ParseDerivationError::Expected {
                expected: "the name of an output",
                offset: start,
            }),
        }
    }

    fn output(&mut self) -> Parsed<(String, Output)> {
        self.token("(")?;
        let name = self.output_name()?;
        self.token(",")?;
        let path = self.store_path()?;
        self.token(",")?;
        let algorithm = self.string()?;
        self.token(",")?;
        let digest = self.string()?;
        self.token(")")?;
        let fixed = match (algorithm.as_slice(), digest.as_slice()) {
            (b"", b"") => None,
            (kind, digest) => match fixed_output(kind, digest) {
                Some(fixed) => Some(fixed),
                None => {
                    return Err(ParseDerivationError::Hash {
                        output: name,
                        algorithm,
                    });
                }
            },
        };
        Ok((name, Output { path, fixed }))
    }

    fn input(&mut self) -> Parsed<(StorePath, BTreeSet<String>)> {
        self.token("(")?;
        let path = self.store_path()?;
        self.token(",")?;
        let mut outputs = BTreeSet::new();
        self.list(|cursor| {
            let name = cursor.output_name()?;
            let duplicate = BString::from(name.as_str());
            cursor.unique(outputs.insert(name), duplicate)
        })?;
        self.token(")")?;
        Ok((path, outputs))
    }
}

/// Whether `name` can be part of a store path's name.
pub(super) fn is_output_name(name: &str) -> bool {
    StorePath::new([0; 20], name).is_ok()
}

fn fixed_output(kind: &[u8], digest: &[u8]) -> Option<FixedOutput> {
    let kind = std::str::from_utf8(kind).ok()?;
    let (method, name) = match kind.strip_prefix("r:") {
        Some(name) => (Method::Recursive, name),
        None => (Method::Flat, kind),
    };
    let digest = std::str::from_utf8(digest).ok()?;
    // Nix writes lower case; another case would hash to another path when it is printed again.
    if digest.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    FixedOutput::new(
        method,
        Algorithm::from_name(name)?,
        base16_decode_vec(digest)?,
    )
}
