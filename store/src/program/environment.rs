//! What a builder is told: its program, arguments, variables, and files in its working folder.
//!
//! Source: the chapter on derivations of Nix's manual, `passAsFile` and `__structuredAttrs` there.

use std::collections::BTreeMap;
use std::num::NonZero;

use bstr::{BStr, BString, ByteSlice as _, ByteVec as _};
use cairn_store_path::{Derivation, STORE_DIR, Sha256, nix32};

use super::structured;

/// The builder's working folder.
pub(crate) const BUILD_FOLDER: &str = "/build";

/// The derivation's attributes as JSON, if it is structured.
const JSON: &str = "__json";

/// Variables that builders with the network get from the caller: the way to the network.
const PROXIES: [&str; 10] = [
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
];

/// What a builder is told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Environment {
    /// The program.
    pub(crate) builder: BString,
    /// Its arguments.
    pub(crate) args: Vec<BString>,
    /// Its variables.
    pub(crate) variables: BTreeMap<BString, BString>,
    /// Files in its working folder, by name.
    pub(crate) files: BTreeMap<String, BString>,
}

/// What the builder of `derivation` is told.
///
/// # Errors
/// Its attributes are structured, but no JSON.
pub(crate) fn environment(derivation: &Derivation) -> Result<Environment, serde_json::Error> {
    let placeholders = Placeholders::of(derivation);
    let mut files = BTreeMap::new();
    let mut variables: BTreeMap<BString, BString> = BTreeMap::new();
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    for (name, value) in [
        ("PATH", "/path-not-set".to_owned()),
        ("HOME", "/homeless-shelter".to_owned()),
        ("NIX_STORE", STORE_DIR.to_owned()),
        ("NIX_BUILD_CORES", cores.to_string()),
        ("NIX_LOG_FD", "2".to_owned()),
        ("TERM", "xterm-256color".to_owned()),
    ] {
        variables.insert(name.into(), value.into());
    }
    if derivation.outputs.values().any(|out| out.fixed.is_some()) {
        variables.insert("NIX_OUTPUT_CHECKED".into(), "1".into());
        for name in impure_variables(derivation) {
            if let Some(value) = std::env::var_os(&name) {
                variables.insert(
                    name.into(),
                    Vec::from_os_str_lossy(&value).into_owned().into(),
                );
            }
        }
    }
    if let Some(json) = derivation.env(JSON) {
        let written = structured::files(placeholders.replace(json).as_ref(), derivation)?;
        for (name, variable, content) in [
            (".attrs.json", "NIX_ATTRS_JSON_FILE", written.json),
            (".attrs.sh", "NIX_ATTRS_SH_FILE", written.shell),
        ] {
            variables.insert(variable.into(), format!("{BUILD_FOLDER}/{name}").into());
            files.insert(name.to_owned(), content);
        }
    } else {
        let as_files: Vec<&[u8]> = derivation
            .env("passAsFile")
            .map(|names| {
                names
                    .split_str(" ")
                    .filter(|name| !name.is_empty())
                    .collect()
            })
            .unwrap_or_default();
        for (name, value) in &derivation.env {
            let value = placeholders.replace(value.as_ref());
            if as_files.contains(&name.as_slice()) {
                let file = format!(".attr-{}", Sha256::of(name).to_nix32());
                let mut variable = name.clone();
                variable.push_str("Path");
                variables.insert(variable, format!("{BUILD_FOLDER}/{file}").into());
                files.insert(file, value);
            } else {
                variables.insert(name.clone(), value);
            }
        }
    }
    for name in ["NIX_BUILD_TOP", "TMPDIR", "TEMPDIR", "TMP", "TEMP", "PWD"] {
        variables.insert(name.into(), BUILD_FOLDER.into());
    }
    Ok(Environment {
        builder: placeholders.replace(derivation.builder.as_ref()),
        args: derivation
            .args
            .iter()
            .map(|arg| placeholders.replace(arg.as_ref()))
            .collect(),
        variables,
        files,
    })
}

/// The caller's variables that a builder with the network gets: what it asks for, and proxies.
fn impure_variables(derivation: &Derivation) -> impl Iterator<Item = String> {
    let asked = derivation
        .env("impureEnvVars")
        .map(|names| names.to_str_lossy().into_owned())
        .unwrap_or_default();
    let asked: Vec<String> = asked.split_whitespace().map(str::to_owned).collect();
    PROXIES.into_iter().map(str::to_owned).chain(asked)
}

/// What `builtins.placeholder` writes for an output whose path is not known yet, and that path.
struct Placeholders(Vec<(BString, BString)>);

impl Placeholders {
    fn of(derivation: &Derivation) -> Self {
        let pair = |(name, output): (&String, &cairn_store_path::derivation::Output)| {
            let digest = Sha256::of(format!("nix-output:{name}").as_bytes());
            let placeholder = format!("/{}", nix32::encode(digest.as_bytes()));
            (placeholder.into(), output.path.to_string().into())
        };
        Self(derivation.outputs.iter().map(pair).collect())
    }

    fn replace(&self, text: &BStr) -> BString {
        let mut text: BString = text.to_owned();
        for (placeholder, path) in &self.0 {
            if text.contains_str(placeholder) {
                text = text.replace(placeholder, path).into();
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use cairn_store_path::derivation::{DerivationBuilder, ModuloHashes};

    use super::*;

    fn made(builder: DerivationBuilder) -> Environment {
        let made = builder.build(&mut ModuloHashes::new()).unwrap();
        environment(&made.derivation).unwrap()
    }

    fn new() -> DerivationBuilder {
        DerivationBuilder::new("x", crate::SYSTEM, "/nix/store/s/bin/bash")
    }

    #[test]
    fn placeholders_become_paths() {
        // What Nix prints for `builtins.placeholder "out"`.
        let placeholder = "/1rz4g4znpzjwh1xymhjpm42vipw92pr73vdgl6xs1hycac8kf2n9";
        let environment = made(
            new()
                .env("flag", format!("--prefix={placeholder}/x"))
                .arg(placeholder),
        );
        let out = environment.variables.get(BStr::new("out")).unwrap();
        assert_eq!(environment.args, std::slice::from_ref(out));
        let flag = environment.variables.get(BStr::new("flag")).unwrap();
        assert_eq!(flag, &BString::from(format!("--prefix={out}/x")));
    }

    #[test]
    fn variables_as_files() {
        let environment = made(new().env("passAsFile", "text more").env("text", "a\0b"));
        let path = environment
            .variables
            .get(BStr::new("textPath"))
            .unwrap()
            .to_string();
        let name = path.strip_prefix("/build/").unwrap();
        assert_eq!(name, format!(".attr-{}", Sha256::of(b"text").to_nix32()));
        assert_eq!(environment.files.get(name).unwrap(), "a\0b");
        assert!(!environment.variables.contains_key(BStr::new("text")));
    }

    #[test]
    fn structured_attributes_are_no_variables() {
        let json = r#"{"name":"x","list":["a b","c"],"set":{"k":"v"},"yes":true,"no":false,"n":3,"nothing":null,"odd-name":1,"quote":"it's","deep":[[1]]}"#;
        let environment = made(new().env("__json", json));
        assert!(!environment.variables.contains_key(BStr::new("out")));
        let shell = environment.files.get(".attrs.sh").unwrap().to_string();
        let out = shell
            .lines()
            .find(|line| line.contains("outputs="))
            .unwrap();
        assert!(
            out.starts_with("declare -A outputs=(['out']='/nix/store/"),
            "{out}"
        );
        let others: Vec<&str> = shell
            .lines()
            .filter(|line| !line.contains("outputs="))
            .collect();
        assert_eq!(
            others,
            [
                "declare -a list=('a b' 'c' )",
                "declare n=3",
                "declare name='x'",
                "declare no=''",
                "declare nothing=''",
                r"declare quote='it'\''s'",
                "declare -A set=(['k']='v' )",
                "declare yes=1",
            ]
        );
    }
}
