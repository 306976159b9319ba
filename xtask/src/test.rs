//! `test`: everything, from the format to virtual machines.

use std::process::Command;

use crate::apt;
use crate::cargo::{cargo, output_folder, run};
use crate::check;
use crate::demo;
use crate::metadata;
use crate::packages::Need;
use crate::stages::Stages;

/// Runs all stages; one that fails does not hide the others.
pub fn test() -> anyhow::Result<()> {
    apt::install_missing(Need::Test)?;
    let mut stages = Stages::default();
    check::run_checks(&mut stages);
    stages.run("quick tests", || {
        let arguments = [
            "test",
            "--workspace",
            "--exclude=cairn-qemu-tests",
            "--no-fail-fast",
        ];
        run(cargo(&arguments))
    });
    let programs = stages.run("programs for the guests", demo::build_programs);
    for (package, test) in metadata::slow_tests()? {
        // Theirs are run with the virtual machines.
        if package == "cairn-qemu-tests" {
            continue;
        }
        stages.run(&format!("slow test {package} {test}"), || {
            let (package, test) = (format!("--package={package}"), format!("--test={test}"));
            run(cargo(&["test", "--release", &package, &test]))
        });
    }
    if programs {
        stages.run("virtual machines", || {
            // Unpacking is far quicker in a release build, and what it has built is found again.
            let mut build = Command::new(output_folder("release").join("demo"));
            build.arg("--build-test-image");
            run(build)?;
            let mut test = cargo(&["test", "--package=cairn-qemu-tests", "--no-fail-fast"]);
            // Their errors say what happened where; traces would only hide that.
            test.env("RUST_LIB_BACKTRACE", "0");
            // Two machines at a time: under emulation each keeps a processor busy.
            test.args(["--", "--test-threads=2"]);
            run(test)
        });
    }
    if programs {
        for (name, part) in [("power cuts", "cuts"), ("bad generations", "generations")] {
            stages.run(name, || {
                let mut torture = Command::new(output_folder("release").join("torture"));
                torture.args([part, "--short"]);
                run(torture)
            });
        }
    }
    stages.finish()
}
