//! What a prompt remembers, and what its lines do.

use std::io::{self, Write as _};

use anyhow::{Context as _, anyhow};
use bstr::BString;
use cairn_evaluator::attrs::{Attr, Attrs};
use cairn_evaluator::value::Value;
use cairn_evaluator::{EvalError, Origin};

use super::line::{Line, parse};
use crate::evaluate::arguments::call_with;
use crate::evaluate::derivations::find;
use crate::evaluate::print::print;
use crate::evaluate::request::{Depth, Format, Input};
use crate::evaluate::session::{Failure, Session};

const HELP: &str = "\
  EXPRESSION        show its value
  NAME = EXPRESSION bind it
  :a EXPRESSION     bring the attributes of a set into scope
  :b EXPRESSION     build the derivations in it
  :env              show what is bound
  :l FILE           load a file: its attributes come into scope
  :p EXPRESSION     show the whole value
  :r                load all files again, with what they say now
  :t EXPRESSION     show the type
  :q                leave
  :?                show this
";

/// What happens after a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Another one.
    Line,
    /// No more.
    End,
}

/// The session, and what is in scope.
pub struct State<'s, 'a, 'e> {
    session: &'s mut Session<'a, 'e>,
    scope: &'e Attrs<'e>,
    loaded: Vec<Input>,
}

impl<'s, 'a, 'e> State<'s, 'a, 'e> {
    /// Nothing is in scope but the builtins.
    pub fn new(session: &'s mut Session<'a, 'e>) -> Self {
        let scope = empty(session);
        Self {
            session,
            scope,
            loaded: Vec::new(),
        }
    }

    /// Does what a line says.
    ///
    /// # Errors
    /// Whatever fails; the state is as it was before.
    pub fn line(&mut self, text: &str) -> Result<Next, Failure> {
        match parse(text) {
            Line::Empty => {}
            Line::Command(word, rest) => return self.command(word, rest),
            Line::Binding(name, text) => {
                let value = self.delayed(text);
                let value = value.map_err(|error| self.session.failure(&error))?;
                let attr = self.session.evaluator.attr(name.as_bytes(), value);
                self.bind(vec![attr]);
            }
            Line::Expression(text) => {
                let value = self.evaluate(text)?;
                self.show(value, Depth::Shallow)?;
            }
        }
        Ok(Next::Line)
    }

    fn command(&mut self, word: &str, rest: &str) -> Result<Next, Failure> {
        match word {
            "q" | "quit" => return Ok(Next::End),
            "?" | "h" | "help" => say(HELP.as_bytes())?,
            "a" | "add" => {
                let value = self.evaluate(rest)?;
                self.bring_in(value)?;
            }
            "b" => self.build(rest)?,
            "env" => self.show_names()?,
            "l" | "load" => self.load_input(&Input::File(rest.into()))?,
            "p" | "print" => {
                let value = self.evaluate(rest)?;
                self.show(value, Depth::Whole)?;
            }
            "r" | "reload" => return self.reload(),
            "t" => {
                let value = self.evaluate(rest)?;
                say(format!("{}\n", value.describe()).as_bytes())?;
            }
            _ => return Err(anyhow!("there is no command ':{word}'; :? lists them").into()),
        }
        Ok(Next::Line)
    }

    /// Loads a file: what it gives, called with the arguments if it is a function, is a set whose
    /// attributes come into scope.
    ///
    /// # Errors
    /// It cannot be read or evaluated, or gives no set.
    pub fn load_input(&mut self, input: &Input) -> Result<(), Failure> {
        let value = self.session.evaluate(input)?;
        let arguments = self.session.arguments()?;
        let called = call_with(&mut self.session.evaluator, value, &arguments);
        let value = called.map_err(|error| self.session.failure(&error))?;
        self.bring_in(value)?;
        self.loaded.push(input.clone());
        Ok(())
    }

    fn reload(&mut self) -> Result<Next, Failure> {
        self.session.evaluator.forget_imports();
        self.scope = empty(self.session);
        for input in std::mem::take(&mut self.loaded) {
            // Kept although it fails, so that it can be put right and loaded again.
            if let Err(failure) = self.load_input(&input) {
                self.loaded.push(input);
                return Err(failure);
            }
        }
        Ok(Next::Line)
    }

    fn bring_in(&mut self, value: Value<'e>) -> Result<(), Failure> {
        let e = &mut self.session.evaluator;
        let attrs = e.expect_attrs(value, "what is brought into scope");
        let attrs = attrs.map_err(|error| self.session.failure(&error))?;
        let added: Vec<Attr<'e>> = attrs
            .flat(self.session.evaluator.arena())
            .entries()
            .collect();
        say(format!("added {} variables\n", added.len()).as_bytes())?;
        self.bind(added);
        Ok(())
    }

    /// Brings attributes into scope; those of the same names go out of it.
    fn bind(&mut self, added: Vec<Attr<'e>>) {
        let e = &self.session.evaluator;
        let mut all: Vec<Attr<'e>> = self.scope.flat(e.arena()).entries().collect();
        all.extend(added);
        if let Value::Attrs(scope) = e.attrs(all) {
            self.scope = scope;
        }
    }

    fn evaluate(&mut self, text: &str) -> Result<Value<'e>, Failure> {
        self.value(text)
            .map_err(|error| self.session.failure(&error))
    }

    /// The value of an expression in the scope of the prompt.
    ///
    /// # Errors
    /// Whatever evaluating it meets.
    pub fn value(&mut self, text: &str) -> Result<Value<'e>, EvalError> {
        let value = self.delayed(text)?;
        self.session.evaluator.force(value)
    }

    fn delayed(&mut self, text: &str) -> Result<Value<'e>, EvalError> {
        let scope = Some(self.scope);
        self.session
            .delayed_text(Origin::String, text.as_bytes(), scope)
    }

    fn show(&mut self, value: Value<'e>, depth: Depth) -> Result<(), Failure> {
        let printed = print(&mut self.session.evaluator, value, Format::Nix(depth));
        let printed = printed.map_err(|error| self.session.failure(&error))?;
        say(&printed)
    }

    fn show_names(&self) -> Result<(), Failure> {
        let e = &self.session.evaluator;
        let mut text = BString::default();
        for (name, _) in e.sorted(self.scope) {
            text.extend(e.name(name));
            text.push(b'\n');
        }
        say(&text)
    }

    fn build(&mut self, text: &str) -> Result<(), Failure> {
        let value = self.evaluate(text)?;
        let found = find(&mut self.session.evaluator, value, &[]);
        let found = found.map_err(|error| self.session.failure(&error))?;
        let io = self.session.evaluator.io();
        let wanted: Vec<_> = found
            .into_iter()
            .map(|derivation| (derivation.path, derivation.output))
            .collect();
        io.realise(&wanted)
            .map_err(|error| self.session.failure(&error.into()))?;
        let store = self.session.world.objects().store()?;
        for (drv, output) in &wanted {
            let derivation = io.read_derivation(drv);
            let derivation = derivation.map_err(|error| self.session.failure(&error.into()))?;
            if let Some(path) = derivation.output(output) {
                let real = store.real_path(path);
                say(format!("{output}  {path}  (in {})\n", real.display()).as_bytes())?;
            }
        }
        Ok(())
    }

    /// Names that can stand where `prefix` was typed: variables, or attributes behind the last dot.
    pub fn completions(&mut self, prefix: &str) -> Vec<String> {
        let (subject, start) = match prefix.rsplit_once('.') {
            Some((subject, start)) => (Some(subject), start),
            None => (None, prefix),
        };
        let names: Vec<Vec<u8>> = if let Some(subject) = subject {
            // Errors are of no interest here: there is nothing to complete, then.
            match self.value(subject) {
                Ok(Value::Attrs(attrs)) => self.names(attrs),
                Ok(_) | Err(_) => Vec::new(),
            }
        } else {
            let mut names = self.names(self.scope);
            let e = &self.session.evaluator;
            names.extend(e.globals().map(|(name, _)| e.name(name).to_vec()));
            names.sort();
            names.dedup();
            names
        };
        names
            .iter()
            .filter_map(|name| std::str::from_utf8(name).ok())
            .filter(|name| {
                name.starts_with(start) && (!start.is_empty() || !name.starts_with("__"))
            })
            .map(str::to_owned)
            .collect()
    }

    fn names(&self, attrs: &'e Attrs<'e>) -> Vec<Vec<u8>> {
        let e = &self.session.evaluator;
        let names = e.sorted(attrs).map(|(name, _)| e.name(name).to_vec());
        names.collect()
    }
}

fn empty<'e>(session: &Session<'_, 'e>) -> &'e Attrs<'e> {
    session.evaluator.no_attrs()
}

fn say(text: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text)
        .and_then(|()| out.flush())
        .context("cannot write to standard output")?;
    Ok(())
}
