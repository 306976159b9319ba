//! Services and networking, evaluated by real Nix: what units of systemd become, and what is said of
//! those that cannot become anything.

#![forbid(unsafe_code)]
#![cfg(test)]

mod activation;
mod confinement;
mod dependencies;
#[path = "../evaluation/mod.rs"]
mod evaluation;
mod refusals;
mod unit;
mod users;

use evaluation::Evaluation;
use expect_test::Expect;
use serde_json::Value;

fn machine(text: &str) -> Evaluation {
    let base = "fileSystems.\"/\".device = \"LABEL=root\";";
    Evaluation::of_text(&format!(
        "{{ config, lib, pkgs, ... }}: {{ {base}\n{text}\n}}"
    ))
}

/// One service as it is in `system.json`, without what names store paths.
fn check(name: &str, text: &str, expected: &Expect) {
    let service = machine(text).value(&format!(
        "builtins.head (builtins.filter (service: service.name == \"{name}\") \
           config.system.description.services)"
    ));
    let text = serde_json::to_string_pretty(&shorten(service)).unwrap();
    expected.assert_eq(&text);
}

/// `/nix/store/<hash>-x` becomes `x`; the search path is left out.
fn shorten(value: Value) -> Value {
    match value {
        Value::String(text) => {
            let parts = text.split("/nix/store/").enumerate().map(|(number, part)| {
                if number == 0 {
                    part
                } else {
                    part.split_once('-').map_or(part, |(_, rest)| rest)
                }
            });
            Value::String(parts.collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(shorten).collect()),
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(key, _)| key != "PATH")
            .map(|(key, value)| (key, shorten(value)))
            .collect(),
        other => other,
    }
}
