//! Well-formed expressions made of bytes: the same bytes give the same expression, and fewer bytes
//! a smaller one.

use std::fmt::Write as _;

/// Makes choices of bytes; when they are used up, the first choice is taken.
pub struct Choices<'a>(pub &'a [u8]);

impl Choices<'_> {
    fn below(&mut self, count: usize) -> usize {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        usize::from(*first) % count
    }

    fn one<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.below(of.len())]
    }

    fn likely_not(&mut self) -> bool {
        self.below(5) == 4
    }
}

/// A list of derivations that use each other; `./src` is a folder, `./file` a file.
pub fn derivations(choices: &mut Choices<'_>) -> String {
    let count = 1 + choices.below(6);
    let mut text = String::from("let\n");
    let mut outputs: Vec<Vec<&str>> = Vec::new();
    for number in 0..count {
        let (attributes, names) = derivation(choices, number, &outputs);
        writeln!(text, "  d{number} = derivation {attributes};").unwrap();
        outputs.push(names);
    }
    text.push_str("in [");
    for number in 0..count {
        write!(text, " d{number}").unwrap();
    }
    text.push_str(" ]\n");
    text
}

fn derivation(
    choices: &mut Choices<'_>,
    number: usize,
    earlier: &[Vec<&'static str>],
) -> (String, Vec<&'static str>) {
    let name = choices.one(&[
        "a",
        "hello-1.0",
        "x+y_z?=",
        "lib.so",
        "0",
        "-dash",
        ".hidden",
    ]);
    let mut text = format!("{{ name = \"{name}-{number}\"; ");
    let system = choices.one(&["x86_64-linux", "builtin", "aarch64-linux"]);
    write!(text, "system = \"{system}\"; ").unwrap();
    let structured = choices.likely_not();
    if structured {
        text.push_str("__structuredAttrs = true; ");
    }
    if choices.likely_not() {
        text.push_str("__ignoreNulls = true; ");
    }
    let builder = choices.one(&["\"/bin/sh\"", "\"builtin:x\"", "\"${./file}\"", "SOURCE"]);
    let builder = match builder {
        "SOURCE" => format!("\"{}\"", interpolation(choices, earlier)),
        other => other.to_owned(),
    };
    write!(text, "builder = {builder}; ").unwrap();
    if choices.below(2) == 1 {
        write!(text, "args = {}; ", list(choices, earlier, structured)).unwrap();
    }
    let mut outputs = vec!["out"];
    match choices.below(6) {
        3 => {
            outputs = choices
                .one(&["out dev", "bin out doc", "lib", "dev lib"])
                .split(' ')
                .collect();
            let quoted: Vec<String> = outputs.iter().map(|name| format!("\"{name}\"")).collect();
            write!(text, "outputs = [ {} ]; ", quoted.join(" ")).unwrap();
        }
        4 => text.push_str(&fixed(choices)),
        _ => {}
    }
    for _ in 0..choices.below(5) {
        let key = choices.one(&[
            "src",
            "a",
            "Z",
            "_x",
            "\"odd key\"",
            "version",
            "out2",
            "passAsFile",
        ]);
        if text.contains(&format!(" {key} = ")) {
            continue;
        }
        let value = value(choices, earlier, structured, 2);
        write!(text, "{key} = {value}; ").unwrap();
    }
    text.push('}');
    (text, outputs)
}

fn fixed(choices: &mut Choices<'_>) -> String {
    let (algorithm, hash) = match choices.below(4) {
        0 => ("sha256", "builtins.hashString \"sha256\" \"x\""),
        1 => ("sha1", "builtins.hashString \"sha1\" \"x\""),
        2 => ("sha512", "builtins.hashString \"sha512\" \"y\""),
        _ => (
            "",
            "\"sha256-WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM=\"",
        ),
    };
    let algorithm = match algorithm {
        "" if choices.below(2) == 0 => String::new(),
        other => format!("outputHashAlgo = \"{other}\"; "),
    };
    let mode = match choices.below(3) {
        0 => "",
        1 => "outputHashMode = \"flat\"; ",
        _ => "outputHashMode = \"recursive\"; ",
    };
    format!("outputHash = {hash}; {algorithm}{mode}")
}

fn list(choices: &mut Choices<'_>, earlier: &[Vec<&'static str>], structured: bool) -> String {
    let items: Vec<String> = (0..choices.below(4))
        .map(|_| value(choices, earlier, structured, 0))
        .collect();
    format!("[ {} ]", items.join(" "))
}

fn value(
    choices: &mut Choices<'_>,
    earlier: &[Vec<&'static str>],
    structured: bool,
    depth: usize,
) -> String {
    match choices.below(14) {
        0 => format!("\"{}\"", interpolation(choices, earlier)),
        1 => choices
            .one(&["1", "(-7)", "9223372036854775807", "0"])
            .to_owned(),
        2 => choices.one(&["true", "false", "null"]).to_owned(),
        3 => choices.one(&["./src", "./file", "./src/inner"]).to_owned(),
        4 if depth > 0 => {
            let items: Vec<String> = (0..choices.below(4))
                .map(|_| value(choices, earlier, structured, depth - 1))
                .collect();
            format!("[ {} ]", items.join(" "))
        }
        5 if structured && depth > 0 => {
            let inner = value(choices, earlier, structured, depth - 1);
            format!("{{ b = {inner}; a = 1; }}")
        }
        6 => "{ outPath = \"/some/path\"; more = throw \"x\"; }".to_owned(),
        7 => "{ __toString = self: \"shown ${self.x}\"; x = \"y\"; }".to_owned(),
        8 => format!(
            "(builtins.toFile \"{}\" \"text {}\")",
            choices.one(&["f", "name.txt"]),
            choices.one(&["one", "${./file}", "grüße ''"])
        ),
        9 => format!("(placeholder \"{}\")", choices.one(&["out", "dev"])),
        10 => "(builtins.path { path = ./src; name = \"renamed\"; \
               filter = p: t: t != \"directory\"; })"
            .to_owned(),
        11 => "(builtins.filterSource (p: t: baseNameOf p != \"file\") ./src)".to_owned(),
        12 if !structured => choices.one(&["1.5", "(-0.25)", "1.0e10"]).to_owned(),
        _ => format!(
            "\"{}\"",
            choices.one(&[
                "",
                " ",
                "plain",
                "a\\\"b\\\\c\\nd\\te\\r",
                "grüße ∀",
                "''\\${x}",
                "/nix/store"
            ])
        ),
    }
}

/// Text with something that it depends on.
fn interpolation(choices: &mut Choices<'_>, earlier: &[Vec<&'static str>]) -> String {
    if earlier.is_empty() {
        return choices.one(&["${./file}", "${./src}/x", "text"]).to_owned();
    }
    let number = choices.below(earlier.len());
    let output = earlier[number][choices.below(earlier[number].len())];
    let drv = format!("d{number}");
    match choices.below(8) {
        0 | 1 => format!("${{{drv}}}"),
        2 => format!("${{{drv}.{output}}}/bin ${{{drv}}}"),
        3 => format!("${{{drv}.drvPath}}"),
        4 => format!("${{builtins.unsafeDiscardOutputDependency {drv}.drvPath}}"),
        5 => format!("${{builtins.unsafeDiscardStringContext {drv}.{output}}}"),
        6 => format!("${{builtins.substring 0 20 \"${{{drv}.{output}}}\"}}"),
        _ => format!("${{toString ({drv}.all)}}"),
    }
}
