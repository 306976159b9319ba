//! `check`: what can be said of the code without running it.

use anyhow::bail;

use crate::apt;
use crate::cargo::{cargo, run};
use crate::packages::Need;
use crate::stages::Stages;
use crate::{dependency_policy, dependency_table, metadata};

/// Runs all checks.
pub fn check() -> anyhow::Result<()> {
    // Clippy compiles the C libraries.
    apt::install_missing(Need::Demo)?;
    let mut stages = Stages::new();
    run_checks(&mut stages);
    stages.finish()
}

/// Adds the checks to a row of stages.
pub fn run_checks(stages: &mut Stages) {
    stages.run("format", || run(cargo(&["fmt", "--all", "--check"])));
    stages.run("clippy", || {
        let arguments = [
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "--deny=warnings",
        ];
        run(cargo(&arguments))
    });
    stages.run("clippy of slow tests", || {
        let tests = metadata::slow_tests()?;
        let tests = tests.iter().map(|(_, test)| format!("--test={test}"));
        let mut clippy = cargo(&["clippy", "--workspace"]);
        clippy.args(tests).args(["--", "--deny=warnings"]);
        run(clippy)
    });
    stages.run("documentation", || {
        let mut doc = cargo(&[
            "doc",
            "--workspace",
            "--no-deps",
            "--document-private-items",
        ]);
        // Private items are documented too, so that links to them lead somewhere.
        let flags = "--deny=warnings --allow=rustdoc::private_intra_doc_links";
        doc.env("RUSTDOCFLAGS", flags);
        run(doc)
    });
    stages.run("dependency table", || {
        none(&dependency_table::violations(&metadata::read()?))
    });
    stages.run("dependency policy", || {
        let packages = metadata::read()?;
        eprintln!("{}", dependency_policy::pid_1_report(&packages));
        none(&dependency_policy::violations(&packages)?)
    });
}

fn none(problems: &[String]) -> anyhow::Result<()> {
    if problems.is_empty() {
        return Ok(());
    }
    bail!("{}", problems.join("; "))
}
