//! The derivations in a value: itself, those in a list, those in a set and in sets below it that
//! ask for it.

use std::collections::HashSet;

use cairn_evaluator::attrs::Attrs;
use cairn_evaluator::value::Value;
use cairn_evaluator::{ErrorKind, EvalError, Evaluator};
use cairn_store_path::StorePath;

use super::arguments::{Arguments, call_with};

/// A derivation that a value has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its file in the store.
    pub path: StorePath,
    /// The output that is meant.
    pub output: String,
}

/// All derivations in `value`, each set once, in the order of the attributes' names.
///
/// # Errors
/// The value has none and is nothing that could, or whatever evaluating it meets.
pub fn find<'e>(
    e: &mut Evaluator<'e>,
    value: Value<'e>,
    arguments: &Arguments<'e>,
) -> Result<Vec<Found>, EvalError> {
    let mut search = Search {
        e,
        arguments,
        seen: HashSet::new(),
        found: Vec::new(),
    };
    search.whole(value)?;
    let Search { e, found, .. } = search;
    found.into_iter().map(|attrs| describe(e, attrs)).collect()
}

struct Search<'a, 'e> {
    e: &'a mut Evaluator<'e>,
    arguments: &'a Arguments<'e>,
    seen: HashSet<*const Attrs<'e>>,
    found: Vec<&'e Attrs<'e>>,
}

impl<'e> Search<'_, 'e> {
    fn whole(&mut self, value: Value<'e>) -> Result<(), EvalError> {
        self.e.check_stack()?;
        let value = call_with(self.e, value, self.arguments)?;
        if self.is_one(value)? {
            return Ok(());
        }
        match value {
            Value::Attrs(attrs) => self.set(attrs),
            Value::List(list) => {
                for item in list.iter() {
                    if !self.is_one(item)? {
                        self.whole(item)?;
                    }
                }
                Ok(())
            }
            _ => Err(EvalError::type_error(
                "expression does not evaluate to a derivation (or a set or list of those)",
            )),
        }
    }

    fn set(&mut self, attrs: &'e Attrs<'e>) -> Result<(), EvalError> {
        let combine = self.e.intern(b"_combineChannels");
        let combine = attrs.get(combine).is_some();
        for (name, value) in self.e.sorted(attrs) {
            if !is_plain(self.e.name(name)) {
                continue;
            }
            if combine {
                self.whole(value)?;
            } else if !self.is_one(value)?
                && let Value::Attrs(inner) = self.e.force(value)?
                && self.wants_search(inner)?
            {
                self.whole(value)?;
            }
        }
        Ok(())
    }

    /// Whether the value is a derivation; if so, it is taken.
    fn is_one(&mut self, value: Value<'e>) -> Result<bool, EvalError> {
        let Value::Attrs(attrs) = self.e.force(value)? else {
            return Ok(false);
        };
        if !self.e.is_derivation(attrs)? {
            return Ok(false);
        }
        if self.seen.insert(std::ptr::from_ref(attrs)) {
            if let Some(name) = attrs.get(self.e.intern(b"name")) {
                self.e.expect_plain_string(name, "a derivation's name")?;
            } else {
                return Err(EvalError::new(
                    ErrorKind::Missing,
                    "derivation name missing",
                ));
            }
            self.found.push(attrs);
        }
        Ok(true)
    }

    fn wants_search(&mut self, attrs: &'e Attrs<'e>) -> Result<bool, EvalError> {
        let name = self.e.intern(b"recurseForDerivations");
        match attrs.get(name) {
            Some(value) => self.e.expect_bool(value, "'recurseForDerivations'"),
            None => Ok(false),
        }
    }
}

/// `[A-Za-z_][A-Za-z0-9-_+]*`
fn is_plain(name: &[u8]) -> bool {
    let [first, rest @ ..] = name else {
        return false;
    };
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_+".contains(byte);
    (first.is_ascii_alphabetic() || *first == b'_') && rest.iter().all(inner)
}

fn describe<'e>(e: &mut Evaluator<'e>, attrs: &'e Attrs<'e>) -> Result<Found, EvalError> {
    let path = attrs.get(e.intern(b"drvPath")).ok_or_else(|| {
        EvalError::new(
            ErrorKind::Missing,
            "derivation does not contain a 'drvPath' attribute",
        )
    })?;
    let path = e.coerce_to_string(path, cairn_evaluator::Coercion::Strict)?;
    let path: StorePath = String::from_utf8_lossy(path.bytes())
        .parse()
        .map_err(|error| EvalError::eval(format!("a derivation's 'drvPath' is none: {error}")))?;
    if !path.is_derivation() {
        return Err(EvalError::eval(format!(
            "store path '{}' is not a valid derivation path",
            path.base_name()
        )));
    }
    let output = match attrs.get(e.intern(b"outputName")) {
        Some(output) => e.expect_plain_string(output, "a derivation's 'outputName'")?,
        None => &[],
    };
    if output.is_empty() {
        return Err(EvalError::new(
            ErrorKind::Missing,
            format!("derivation '{path}' lacks an 'outputName' attribute"),
        ));
    }
    Ok(Found {
        path,
        output: String::from_utf8_lossy(output).into_owned(),
    })
}
