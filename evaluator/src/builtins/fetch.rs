//! Builtins that fetch, and those that refuse to.

use cairn_store_path::Sha256;

use super::paths::store_path_string;
use crate::builtin::{Builtin, arg};
use crate::error::{ErrorKind, EvalError, Result, Traced as _};
use crate::evaluator::Evaluator;
use crate::io::{Content, Fetch};
use crate::source::Place;
use crate::value::Value;

/// The table.
pub const TABLE: &[Builtin] = &[
    Builtin::new("fetchClosure", 1, |_, _, _| {
        Err(unsupported("fetchClosure"))
    }),
    Builtin::new("fetchGit", 1, |_, _, _| Err(unsupported("fetchGit"))),
    Builtin::new("fetchMercurial", 1, |_, _, _| {
        Err(unsupported("fetchMercurial"))
    })
    .global(),
    Builtin::new("fetchTarball", 1, |e, args, _| {
        fetch(e, arg(args, 0), "fetchTarball", Content::Tarball)
    })
    .global(),
    Builtin::new("fetchTree", 1, |_, _, _| Err(unsupported("fetchTree"))).global(),
    Builtin::new("fetchurl", 1, |e, args, _| {
        fetch(e, arg(args, 0), "fetchurl", Content::File)
    }),
    Builtin::new("flakeRefToString", 1, |_, _, _| {
        Err(no_flakes("flakeRefToString"))
    }),
    Builtin::new("getFlake", 1, |_, _, _| {
        let error = no_flakes("getFlake");
        Err(error.note("import the project's default.nix by its path instead"))
    }),
    Builtin::new("parseFlakeRef", 1, |_, _, _| {
        Err(no_flakes("parseFlakeRef"))
    }),
    Builtin::new("outputOf", 2, |_, _, _| {
        Err(EvalError::new(
            ErrorKind::Unsupported,
            "derivations that are made by derivations are not supported: \
             'builtins.outputOf' is not available",
        ))
    }),
];

fn no_flakes(name: &str) -> EvalError {
    EvalError::new(
        ErrorKind::Unsupported,
        format!("flakes are not supported: 'builtins.{name}' is not available"),
    )
}

fn unsupported(name: &str) -> EvalError {
    EvalError::new(
        ErrorKind::Unsupported,
        format!("this fetcher is not supported: 'builtins.{name}' is not available"),
    )
    .note("'builtins.fetchTarball' and 'builtins.fetchurl' are, with a sha256")
}

/// The arguments of a fetch.
#[derive(Default)]
struct Wanted<'e> {
    url: Option<&'e [u8]>,
    name: Option<&'e [u8]>,
    sha256: Option<Sha256>,
}

fn fetch<'e>(
    e: &mut Evaluator<'e>,
    argument: Value<'e>,
    who: &str,
    content: Content,
) -> Result<Value<'e>> {
    let wanted = match e.force(argument)? {
        Value::Attrs(attrs) => {
            let mut wanted = Wanted::default();
            for (name, value) in e.sorted(attrs) {
                let name = e.name_text(name);
                take(e, &mut wanted, &name, value, who).while_(
                    || format!("while evaluating the attribute '{name}'"),
                    Place::NONE,
                )?;
            }
            wanted
        }
        other => Wanted {
            url: Some(e.expect_plain_string(other, &format!("the argument of '{who}'"))?),
            ..Wanted::default()
        },
    };
    let text = |bytes: &'e [u8]| {
        std::str::from_utf8(bytes).map_err(|_| {
            let bytes = String::from_utf8_lossy(bytes);
            EvalError::eval(format!("'{bytes}' is not UTF-8, so '{who}' cannot use it"))
        })
    };
    let url = wanted
        .url
        .map(text)
        .transpose()?
        .ok_or_else(|| EvalError::eval(format!("'{who}' needs the attribute 'url'")))?;
    let name = match (wanted.name.map(text).transpose()?, content) {
        (Some(name), _) => name,
        (None, Content::Tarball) => "source",
        (None, Content::File) => base_name(url),
    };
    let fetch = Fetch {
        url,
        name,
        expected: wanted.sha256,
        content,
    };
    let path = e.io().fetch(&fetch)?;
    Ok(store_path_string(e, &path))
}

fn take<'e>(
    e: &mut Evaluator<'e>,
    wanted: &mut Wanted<'e>,
    name: &str,
    value: Value<'e>,
    who: &str,
) -> Result<()> {
    let what = "an argument of a fetch";
    match name {
        "url" => wanted.url = Some(e.expect_plain_string(value, what)?),
        "name" => wanted.name = Some(e.expect_plain_string(value, what)?),
        "sha256" => {
            let text = e.expect_plain_string(value, what)?;
            wanted.sha256 = Some(super::derivation::sha256(e, text)?);
        }
        _ => {
            let argument = format!("unsupported argument '{name}' to '{who}'");
            let error = EvalError::eval(argument);
            return Err(error.note("it takes url, name and sha256"));
        }
    }
    Ok(())
}

/// The last component of an address.
fn base_name(url: &str) -> &str {
    let url = url.trim_end_matches('/');
    url.rsplit('/').next().unwrap_or(url)
}
