//! Whether services that read what others write fit those.

use crate::process::StandardStream;
use crate::service::Service;

/// The first thing that cannot be.
pub(crate) fn contradiction(services: &[Service]) -> Option<String> {
    let readers = services
        .iter()
        .filter_map(|service| Some((service, service.reads_output_of.as_ref()?)));
    readers.clone().find_map(|(reader, name)| {
        let writer = services.iter().find(|other| other.name == *name);
        let process = &reader.process;
        let another = readers
            .clone()
            .find(|(other, read)| *read == name && other.name != reader.name);
        let problem = match writer {
            None => "which is not defined".to_owned(),
            Some(writer) if writer.name == reader.name => "which is itself".to_owned(),
            Some(writer) if !writer.kind.has_process() || name.as_str().ends_with('@') => {
                "which writes nothing".to_owned()
            }
            Some(writer) if writer.process.output.is_some() => "which writes elsewhere".to_owned(),
            Some(_) if process.tty.is_some() => "but has a terminal as its input".to_owned(),
            Some(_) if process.connected.contains(&StandardStream::Input) => {
                "but has a connection as its input".to_owned()
            }
            Some(_) => format!("as '{}' does; one of them can", another?.0.name),
        };
        Some(format!(
            "service '{}' reads the output of '{name}', {problem}",
            reader.name
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn readers_that_cannot_be() {
        // Whose output each of the others reads, and what its process has besides.
        let check = |readers: &[(&str, &str)]| {
            let rows = [("", "")].iter().chain(readers).zip('a'..);
            let services = rows.map(|((reads, more), name)| {
                let reads = match *reads {
                    "" => String::new(),
                    reads => format!(r#","readsOutputOf":"{reads}""#),
                };
                let json = format!(
                    r#"{{"name":"{name}","kind":"simple","wantedAtBoot":true,"process":{{"argv":["/x"]{more}}}{reads}}}"#
                );
                serde_json::from_str(&json).unwrap()
            });
            let services: Vec<Service> = services.collect();
            contradiction(&services).unwrap_or_default()
        };
        let said = [
            check(&[("a", ""), ("b", "")]),
            check(&[("x", "")]),
            check(&[("b", "")]),
            check(&[("a", r#","tty":"/dev/tty1""#)]),
            check(&[("a", r#","connected":["input"]"#)]),
            check(&[("a", ""), ("a", "")]),
        ];
        expect![[r#"

            service 'b' reads the output of 'x', which is not defined
            service 'b' reads the output of 'b', which is itself
            service 'b' reads the output of 'a', but has a terminal as its input
            service 'b' reads the output of 'a', but has a connection as its input
            service 'b' reads the output of 'a', as 'c' does; one of them can"#]]
        .assert_eq(&said.join("\n"));
    }
}
