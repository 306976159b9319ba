//! `derivationStrict`, and `derivation` around it: a set of attributes becomes a build.
//!
//! Source: the Nix manual, "Derivations" and "Advanced attributes".

use std::collections::BTreeSet;

use bstr::BString;
use cairn_store_path::derivation::DerivationBuilder;
use cairn_store_path::{Algorithm, ContentHash, FixedOutput, Method, Sha256, StorePath};

use crate::attrs::Attrs;
use crate::builtin::{Builtin, arg};
use crate::coerce::Coercion;
use crate::error::{ErrorKind, EvalError, Result, Traced as _};
use crate::evaluator::Evaluator;
use crate::io::Level;
use crate::known;
use crate::load::Text;
use crate::print::Paths;
use crate::source::{Origin, Place};
use crate::string::{ContextBuilder, ContextElement};
use crate::value::Value;

/// The table.
pub const TABLE: &[Builtin] = &[
    Builtin::constant("derivation", derivation).global(),
    Builtin::new("derivationStrict", 1, derivation_strict).global(),
    Builtin::new("placeholder", 1, placeholder).global(),
];

/// `derivation`, in terms of `derivationStrict`: only what is asked for is computed.
const DERIVATION: &[u8] = include_bytes!("derivation.nix");

fn derivation<'e>(e: &mut Evaluator<'e>, _: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let text = Text {
        origin: Origin::Internal("«derivation»"),
        bytes: DERIVATION,
        base: b"/",
        library: true,
    };
    e.evaluate_text(text, None)
}

fn placeholder<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let output = e.expect_plain_string(arg(args, 0), "the argument of 'placeholder'")?;
    let output = String::from_utf8_lossy(output);
    Ok(e.string(cairn_store_path::placeholder(&output)))
}

/// What the attributes of a derivation say.
struct Attributes<'e> {
    name: String,
    env: Vec<(BString, BString)>,
    args: Vec<BString>,
    builder: BString,
    system: BString,
    outputs: Vec<String>,
    hash: Option<BString>,
    algorithm: Option<Algorithm>,
    method: Option<Method>,
    context: ContextBuilder<'e>,
}

fn derivation_strict<'e>(
    e: &mut Evaluator<'e>,
    args: &[Value<'e>],
    place: Place,
) -> Result<Value<'e>> {
    let attrs = e.expect_attrs(arg(args, 0), "the argument of 'derivationStrict'")?;
    let defined = attrs.position(known::NAME).map_or(place, Place::at);
    let name = attrs.get(known::NAME).ok_or_else(|| {
        EvalError::new(ErrorKind::Missing, "required attribute 'name' missing").at(place)
    })?;
    let name = e
        .expect_plain_string(name, "the attribute 'name' of a derivation")
        .while_(
            || "while evaluating the derivation attribute 'name'".to_owned(),
            defined,
        )?;
    let name = String::from_utf8_lossy(name).into_owned();
    let what = |name: &str| format!("while evaluating derivation '{name}'");
    instantiate(e, attrs, &name).while_(|| what(&name), defined)
}

fn instantiate<'e>(e: &mut Evaluator<'e>, attrs: &'e Attrs<'e>, name: &str) -> Result<Value<'e>> {
    let collected = collect(e, attrs, name)?;
    let mut builder = DerivationBuilder::bare(name, collected.system, collected.builder);
    for (key, value) in collected.env {
        builder = builder.env(key, value);
    }
    for argument in collected.args {
        builder = builder.arg(argument);
    }
    builder = builder.bare_outputs(collected.outputs);
    if let Some(hash) = collected.hash {
        let hash = content_hash(e, &hash, collected.algorithm)?;
        let method = collected.method.unwrap_or(Method::Flat);
        builder = builder.fixed(FixedOutput::of(method, hash));
    }
    let context = collected.context.finish(e.arena());
    let elements = context.map_or(&[][..], crate::string::Context::elements);
    let builder = add_inputs(e, builder, elements)?;
    let made = builder
        .build(&mut e.hashes)
        .map_err(|error| EvalError::eval(error.to_string()))?;
    e.io().add_derivation(&made.path, &made.derivation)?;
    let drv: &'e str = e.arena().alloc_str(&made.path.to_string());
    let mut result = vec![e.attr(
        b"drvPath",
        e.string_of(drv, ContextElement::AllOutputs(drv)),
    )];
    for (output, value) in &made.derivation.outputs {
        let element = ContextElement::Output {
            derivation: drv,
            output: e.arena().alloc_str(output),
        };
        let path = e.string_of(value.path.to_string(), element);
        result.push(e.attr(output.as_bytes(), path));
    }
    Ok(e.attrs(result))
}

fn collect<'e>(e: &mut Evaluator<'e>, attrs: &'e Attrs<'e>, name: &str) -> Result<Attributes<'e>> {
    let flag = |e: &mut Evaluator<'e>, symbol, what| match attrs.get(symbol) {
        Some(value) => e.expect_bool(value, what),
        None => Ok(false),
    };
    let structured = flag(e, known::STRUCTURED_ATTRS, "'__structuredAttrs'")?;
    let ignore_nulls = flag(e, known::IGNORE_NULLS, "'__ignoreNulls'")?;
    let mut collected = Attributes {
        name: name.to_owned(),
        env: Vec::new(),
        args: Vec::new(),
        builder: BString::default(),
        system: BString::default(),
        outputs: vec!["out".to_owned()],
        hash: None,
        algorithm: None,
        method: None,
        context: ContextBuilder::new(),
    };
    let mut json = structured.then(|| b"{".to_vec());
    for (symbol, value) in e.sorted(attrs) {
        if symbol == known::IGNORE_NULLS || (structured && symbol == known::STRUCTURED_ATTRS) {
            continue;
        }
        let key = e.name(symbol);
        let place = attrs.position(symbol).map_or(Place::NONE, Place::at);
        let taken = if ignore_nulls && matches!(e.force(value)?, Value::Null) {
            Ok(())
        } else {
            match &mut json {
                Some(json) => collected.take_structured(e, key, value, json),
                None => collected.take(e, key, value),
            }
        };
        let what = || {
            let key = String::from_utf8_lossy(key);
            format!("while evaluating the attribute '{key}' of the derivation '{name}'")
        };
        taken.while_(what, place)?;
    }
    if let Some(mut json) = json {
        json.push(b'}');
        collected.env.push(("__json".into(), json.into()));
    }
    for (word, value) in [
        ("builder", &collected.builder),
        ("system", &collected.system),
    ] {
        if value.is_empty() {
            let message = format!("required attribute '{word}' missing");
            return Err(EvalError::new(ErrorKind::Missing, message));
        }
    }
    Ok(collected)
}

impl<'e> Attributes<'e> {
    /// An attribute that becomes a variable of the builder's environment.
    fn take(&mut self, e: &mut Evaluator<'e>, key: &[u8], value: Value<'e>) -> Result<()> {
        if self.is_special(e, key, value)? {
            return Ok(());
        }
        let text = e.coerce_to_string(value, Coercion::EverythingCopying)?;
        self.context.add(text);
        let bytes = text.bytes();
        self.env.push((key.into(), bytes.into()));
        match key {
            b"builder" => self.builder = bytes.into(),
            b"system" => self.system = bytes.into(),
            b"outputHash" => self.hash = Some(bytes.into()),
            b"outputHashAlgo" => self.set_algorithm(bytes),
            b"outputHashMode" => self.set_mode(bytes)?,
            b"outputs" => {
                let words = bytes
                    .split(|byte| b" \t\n\r".contains(byte))
                    .filter(|word| !word.is_empty());
                self.set_outputs(words)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// An attribute that becomes part of the JSON document that the builder gets.
    fn take_structured(
        &mut self,
        e: &mut Evaluator<'e>,
        key: &[u8],
        value: Value<'e>,
        json: &mut Vec<u8>,
    ) -> Result<()> {
        if self.is_special(e, key, value)? {
            return Ok(());
        }
        if json.len() > 1 {
            json.push(b',');
        }
        crate::print::json_string(json, key)?;
        json.push(b':');
        e.print_json(value, Paths::Copied, json, &mut self.context)?;
        let plain = |e: &mut Evaluator<'e>| e.expect_plain_string(value, "it");
        match key {
            b"builder" => {
                let text = e.expect_string(value, "it")?;
                self.context.add(text);
                self.builder = text.bytes().into();
            }
            b"system" => self.system = plain(e)?.into(),
            b"outputHash" => self.hash = Some(plain(e)?.into()),
            b"outputHashAlgo" => self.set_algorithm(plain(e)?),
            b"outputHashMode" => self.set_mode(plain(e)?)?,
            b"outputs" => {
                let list = e.expect_list(value, "it")?;
                let mut names = Vec::new();
                for name in list.iter() {
                    names.push(e.expect_plain_string(name, "the name of an output")?);
                }
                self.set_outputs(names.into_iter())?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Attributes that mean the same in both forms, and are no variables.
    fn is_special(&mut self, e: &mut Evaluator<'e>, key: &[u8], value: Value<'e>) -> Result<bool> {
        match key {
            b"__contentAddressed" | b"__impure" => {
                if e.expect_bool(value, "it")? {
                    let message = format!(
                        "derivation '{}' sets '{}': only outputs whose paths are known before \
                         they are built are supported",
                        self.name,
                        String::from_utf8_lossy(key)
                    );
                    return Err(EvalError::new(ErrorKind::Unsupported, message));
                }
                Ok(true)
            }
            b"args" => {
                let list = e.expect_list(value, "it")?;
                for item in list.iter() {
                    let text = e.coerce_to_string(item, Coercion::EverythingCopying)?;
                    self.context.add(text);
                    self.args.push(text.bytes().into());
                }
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// An algorithm that is not known is one only if the hash does not name its own.
    fn set_algorithm(&mut self, name: &[u8]) {
        let name = std::str::from_utf8(name).unwrap_or_default();
        self.algorithm = Algorithm::parse(name).ok();
    }

    fn set_mode(&mut self, mode: &[u8]) -> Result<()> {
        self.method = Some(match mode {
            b"flat" => Method::Flat,
            b"recursive" | b"nar" => Method::Recursive,
            _ => {
                return Err(EvalError::eval(format!(
                    "invalid value '{}' for 'outputHashMode': 'flat' or 'recursive' is expected",
                    String::from_utf8_lossy(mode)
                )));
            }
        });
        Ok(())
    }

    fn set_outputs<'a>(&mut self, names: impl Iterator<Item = &'a [u8]>) -> Result<()> {
        let mut seen = BTreeSet::new();
        self.outputs.clear();
        for name in names {
            let name = String::from_utf8_lossy(name).into_owned();
            if !seen.insert(name.clone()) {
                return Err(EvalError::eval(format!(
                    "duplicate derivation output '{name}'"
                )));
            }
            if name == "drv" {
                return Err(EvalError::eval("invalid derivation output name 'drv'"));
            }
            self.outputs.push(name);
        }
        if self.outputs.is_empty() {
            return Err(EvalError::eval(
                "derivation cannot have an empty set of outputs",
            ));
        }
        Ok(())
    }
}

/// What the strings depend on becomes inputs, whose hashes are learnt on the way.
fn add_inputs<'e>(
    e: &mut Evaluator<'e>,
    mut builder: DerivationBuilder,
    context: &[ContextElement<'e>],
) -> Result<DerivationBuilder> {
    for element in context {
        match *element {
            ContextElement::Path(path) => builder = builder.input_src(parse(path)?),
            ContextElement::Output { derivation, output } => {
                let drv = parse(derivation)?;
                learn(e, &drv)?;
                builder = builder.input_drv(drv, output);
            }
            ContextElement::AllOutputs(path) => {
                // The builder may look at the whole graph, so all of it has to be there.
                for path in e.io().closure(&parse(path)?)? {
                    if path.is_derivation() {
                        learn(e, &path)?;
                        let derivation = e.io().read_derivation(&path)?;
                        for output in derivation.outputs.keys() {
                            builder = builder.input_drv(path.clone(), output);
                        }
                    }
                    builder = builder.input_src(path);
                }
            }
        }
    }
    Ok(builder)
}

/// Makes the hash of an input derivation known: it may be from the store rather than from this
/// evaluation.
fn learn(e: &mut Evaluator<'_>, drv: &StorePath) -> Result<()> {
    let io = e.io();
    e.hashes
        .hash(drv, |path| io.read_derivation(path))
        .map_err(|error| EvalError::new(ErrorKind::Io, chain(&error)))?;
    Ok(())
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

fn parse(path: &str) -> Result<StorePath> {
    path.parse()
        .map_err(|error| EvalError::eval(format!("a string depends on no store path: {error}")))
}

/// A hash as expressions write it; an empty one stands for one that is not known yet.
fn content_hash(
    e: &Evaluator<'_>,
    text: &[u8],
    algorithm: Option<Algorithm>,
) -> Result<ContentHash> {
    if text.is_empty() {
        let algorithm = algorithm
            .ok_or_else(|| EvalError::eval("an empty hash needs an explicit hash algorithm"))?;
        let hash = ContentHash::unknown(algorithm);
        let warning = format!("found empty hash, assuming '{}'", hash.to_sri());
        e.io().message(Level::Warning, warning.as_str().into());
        return Ok(hash);
    }
    let text = String::from_utf8_lossy(text);
    ContentHash::parse(&text, algorithm).map_err(|error| EvalError::eval(error.to_string()))
}

/// A SHA-256 as expressions write it.
pub(super) fn sha256(e: &Evaluator<'_>, text: &[u8]) -> Result<Sha256> {
    let hash = content_hash(e, text, Some(Algorithm::Sha256))?;
    let digest = hash
        .into_digest()
        .try_into()
        .map_err(|_| EvalError::eval("internal error: a SHA-256 hash has not 32 bytes"))?;
    Ok(Sha256::from_bytes(digest))
}
