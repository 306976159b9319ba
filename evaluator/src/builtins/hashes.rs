//! Digests.

use cairn_store_path::{Algorithm, ContentHash};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

use crate::builtin::{Builtin, arg};
use crate::error::{EvalError, Result};
use crate::evaluator::Evaluator;
use crate::source::Place;
use crate::value::Value;

/// The table.
pub const TABLE: &[Builtin] = &[
    Builtin::new("convertHash", 1, convert_hash),
    Builtin::new("hashFile", 2, hash_file),
    Builtin::new("hashString", 2, hash_string),
];

fn algorithm<'e>(e: &mut Evaluator<'e>, value: Value<'e>, what: &str) -> Result<Algorithm> {
    let name = e.expect_plain_string(value, what)?;
    let name = String::from_utf8_lossy(name);
    Algorithm::parse(&name)
        .map_err(|error| EvalError::eval(format!("unknown hash algorithm: {error}")))
}

fn hash_string<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let algorithm = algorithm(
        e,
        arg(args, 0),
        "the first argument of 'builtins.hashString'",
    )?;
    let string = e.expect_string(arg(args, 1), "the second argument of 'builtins.hashString'")?;
    Ok(e.string(base16(algorithm, string.bytes())?))
}

fn hash_file<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let algorithm = algorithm(e, arg(args, 0), "the first argument of 'builtins.hashFile'")?;
    let path = e.readable_path(arg(args, 1))?;
    let bytes = e.io().read_file(&path)?;
    Ok(e.string(base16(algorithm, &bytes)?))
}

fn base16(algorithm: Algorithm, bytes: &[u8]) -> Result<String> {
    let digest = match algorithm {
        Algorithm::Md5 => Md5::digest(bytes).to_vec(),
        Algorithm::Sha1 => Sha1::digest(bytes).to_vec(),
        Algorithm::Sha256 => Sha256::digest(bytes).to_vec(),
        Algorithm::Sha512 => Sha512::digest(bytes).to_vec(),
    };
    ContentHash::new(algorithm, digest)
        .map(|hash| hash.to_base16())
        .ok_or_else(|| EvalError::eval("internal error: a digest has the wrong length"))
}

fn convert_hash<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let what = "the argument of 'builtins.convertHash'";
    let attrs = e.expect_attrs(arg(args, 0), what)?;
    let hash = e.required(attrs, e.intern(b"hash"), what)?;
    let hash = e.expect_plain_string(hash, "the attribute 'hash'")?;
    let expected = match attrs.get(e.intern(b"hashAlgo")) {
        Some(name) => Some(algorithm(e, name, "the attribute 'hashAlgo'")?),
        None => None,
    };
    let format = e.required(attrs, e.intern(b"toHashFormat"), what)?;
    let format = e.expect_plain_string(format, "the attribute 'toHashFormat'")?;
    let hash = ContentHash::parse(&String::from_utf8_lossy(hash), expected)
        .map_err(|error| EvalError::eval(error.to_string()))?;
    let text = match format {
        b"base16" => hash.to_base16(),
        b"nix32" => hash.to_nix32(),
        b"base32" => {
            let warning = "'base32' is a deprecated name of the hash format 'nix32'";
            e.io().message(crate::io::Level::Warning, warning.into());
            hash.to_nix32()
        }
        b"base64" => hash.to_base64(),
        b"sri" => hash.to_sri(),
        other => {
            return Err(EvalError::eval(format!(
                "unknown hash format '{}'; known are base16, nix32, base64 and sri",
                String::from_utf8_lossy(other)
            )));
        }
    };
    Ok(e.string(text))
}
