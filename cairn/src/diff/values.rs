//! Where two JSON documents differ, by the names that lead there.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// A value of one document that the other does not have, or has differently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ValueChange {
    /// The names that lead there: `services.openssh.enable`.
    pub path: String,
    /// The value before, if there was one.
    pub before: Option<Value>,
    /// The value after, if there is one.
    pub after: Option<Value>,
}

/// All differences between two documents, in the order of their names. Lists are compared as sets
/// of their elements where they are named by a `name`, `target` or `mountPoint`, else as a whole.
#[must_use]
pub fn changes(before: &Value, after: &Value) -> Vec<ValueChange> {
    let mut found = Vec::new();
    compare("", Some(before), Some(after), &mut found);
    found
}

fn compare(
    path: &str,
    before: Option<&Value>,
    after: Option<&Value>,
    found: &mut Vec<ValueChange>,
) {
    if before == after {
        return;
    }
    let children = match (before, after) {
        (Some(before), Some(after)) => children(before).zip(children(after)),
        _ => None,
    };
    let Some((before_children, after_children)) = children else {
        found.push(ValueChange {
            path: path.to_owned(),
            before: before.cloned(),
            after: after.cloned(),
        });
        return;
    };
    let value = |children: &[(String, &Value)], name: &str| -> Option<Value> {
        let child = children.iter().find(|(other, _)| other == name)?;
        Some(child.1.clone())
    };
    let names: std::collections::BTreeSet<_> = before_children
        .iter()
        .chain(&after_children)
        .map(|(name, _)| name.as_str())
        .collect();
    for name in names {
        let path = match path {
            // The outermost names are attribute paths already.
            "" => name.to_owned(),
            path => format!("{path}.{}", quoted(name)),
        };
        let (before, after) = (value(&before_children, name), value(&after_children, name));
        compare(&path, before.as_ref(), after.as_ref(), found);
    }
}

/// The parts of an object, or of a list whose elements have distinct names.
fn children(value: &Value) -> Option<Vec<(String, &Value)>> {
    match value {
        Value::Object(object) => Some(
            object
                .iter()
                .map(|(name, value)| (name.clone(), value))
                .collect(),
        ),
        Value::Array(elements) if !elements.is_empty() => {
            let named: Option<Vec<_>> = elements
                .iter()
                .map(|element| {
                    let name = ["name", "target", "mountPoint"]
                        .into_iter()
                        .find_map(|key| element.get(key)?.as_str())?;
                    Some((name.to_owned(), element))
                })
                .collect();
            let named = named?;
            let distinct: std::collections::BTreeSet<_> =
                named.iter().map(|(name, _)| name).collect();
            (distinct.len() == named.len()).then_some(named)
        }
        _ => None,
    }
}

/// A name as it stands in an attribute path.
fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-'".contains(c);
    if !name.is_empty() && name.chars().all(plain) {
        name.to_owned()
    } else {
        Value::String(name.to_owned()).to_string()
    }
}

impl fmt::Display for ValueChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => write!(f, "{path}: {before} -> {after}"),
            (None, Some(after)) => write!(f, "{path}: added {after}"),
            (Some(before), None) => write!(f, "{path}: removed {before}"),
            (None, None) => write!(f, "{path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use serde_json::json;

    fn lines(before: &Value, after: &Value) -> String {
        let lines: Vec<_> = changes(before, after)
            .iter()
            .map(ToString::to_string)
            .collect();
        lines.join("\n")
    }

    #[test]
    fn values_are_named() {
        let before = json!({
            "hostName": "a", "gone": 1, "same": {"x": 1},
            "fileSystems": [{"mountPoint": "/", "device": "/dev/sda1"}],
            "list": [1, 2], "mixed": [{"name": "x"}, {"name": "x"}],
        });
        let after = json!({
            "hostName": "b", "new": null, "same": {"x": 1},
            "fileSystems": [{"mountPoint": "/", "device": "/dev/vda1"}, {"mountPoint": "/tmp"}],
            "list": [2], "mixed": [],
        });
        expect![[r#"
            fileSystems."/".device: "/dev/sda1" -> "/dev/vda1"
            fileSystems."/tmp": added {"mountPoint":"/tmp"}
            gone: removed 1
            hostName: "a" -> "b"
            list: [1,2] -> [2]
            mixed: [{"name":"x"},{"name":"x"}] -> []
            new: added null"#]]
        .assert_eq(&lines(&before, &after));
    }

    #[test]
    fn a_document_does_not_differ_from_itself() {
        let value = json!({"a": [1, {"name": "b"}]});
        assert_eq!(lines(&value, &value), "");
    }
}
