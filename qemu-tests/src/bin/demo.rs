//! Makes the demo's image and boots it: with the serial console on the terminal, or, with
//! `--check`, driving the login itself.

#![forbid(unsafe_code)]

use std::env;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use cairn_qemu_tests::images::{Built, ROOT_PASSWORD};
use cairn_qemu_tests::shell::Shell;
use cairn_qemu_tests::{Blueprint, Boot, Machine, images};
use cairn_system::boot_mark;

const USAGE: &str = "\
usage: cargo xtask demo [--check] [--uefi] [--mirror URL] [--update]

  --check       drive the login, run a few commands, power off, print the times
  --uefi        boot with UEFI firmware (OVMF) instead of BIOS (SeaBIOS)
  --build       make the image only
  --mirror URL  take packages from there instead of from the host's apt sources
  --update      resolve the packages again
  --build-test-image
                make the image of the tests instead, and print its path
";

/// Commands that the check runs, and what each must say.
const COMMANDS: &[(&str, &str)] = &[
    ("cat /proc/1/comm", "init"),
    ("readlink /run/current-system", "/nix/store/"),
    (
        "findmnt --noheadings --output OPTIONS /nix/store | cut -d, -f1",
        "ro",
    ),
    ("id --user", "0"),
    ("ls -d /usr/lib /lib /sbin 2>/dev/null | wc -l", "0"),
    ("ip -brief address show dev lo", "127.0.0.1/8"),
    ("bash -c 'echo $((6*7))'", "42"),
    ("cairn status", "sshd"),
];

#[derive(Debug)]
struct Arguments {
    task: Task,
    boot: Boot,
    update: bool,
    mirror: Option<String>,
}

#[derive(Debug)]
enum Task {
    Show,
    Check,
    Build,
    BuildTestImage,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let arguments = parse(env::args().skip(1))?;
    let begin = Instant::now();
    let mut options = images::options()?;
    options.mirror = arguments.mirror;
    options.update = arguments.update;
    let built = match arguments.task {
        Task::BuildTestImage => images::build_test(&options)?,
        Task::Show | Task::Check | Task::Build => images::build_demo(&options)?,
    };
    let took = begin.elapsed().as_secs_f64();
    eprintln!("image: {} (ready after {took:.1} s)", built.image.display());
    let blueprint = Blueprint::new("demo", arguments.boot).disk(&built.image);
    let blueprint = blueprint.memory_mib(1024).ssh();
    match arguments.task {
        Task::Show => show(&blueprint),
        Task::Check => check(blueprint, &built),
        Task::Build => print_build(&built),
        Task::BuildTestImage => {
            println!("{}", built.image.display());
            Ok(())
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> anyhow::Result<Arguments> {
    let mut arguments = Arguments {
        task: Task::Show,
        boot: Boot::Bios,
        update: false,
        mirror: None,
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--check" => arguments.task = Task::Check,
            "--build" => arguments.task = Task::Build,
            "--build-test-image" => arguments.task = Task::BuildTestImage,
            "--uefi" => arguments.boot = Boot::Uefi,
            "--update" => arguments.update = true,
            "--mirror" => {
                arguments.mirror = Some(words.next().context("--mirror needs a URL")?);
            }
            _ => bail!("there is no argument '{word}'\n\n{USAGE}"),
        }
    }
    Ok(arguments)
}

/// The console on the terminal until QEMU ends.
fn show(blueprint: &Blueprint) -> anyhow::Result<()> {
    let mut interactive = blueprint.interactive()?;
    eprintln!(
        "Log in as root with the password '{ROOT_PASSWORD}'. Leave with `cairn poweroff`, or at once \
         with Ctrl-A X."
    );
    let status = interactive.command.status().context("cannot run QEMU")?;
    if !status.success() {
        bail!("QEMU ended with {status}");
    }
    Ok(())
}

/// Logs in, runs the commands, powers off, prints the times.
fn check(blueprint: Blueprint, built: &Built) -> anyhow::Result<()> {
    let machine = blueprint.deadline(Duration::from_mins(5)).start()?;
    // First, so that no line of the kernel's falls into what a command writes.
    machine.check("boot complete", |machine| {
        machine.console().wait_for(boot_mark::BOOT_DONE)
    })?;
    let shell = machine.check("login on the serial console", |machine| {
        Shell::login(machine.console(), ROOT_PASSWORD)
    })?;
    for (command, expected) in COMMANDS {
        machine.check(command, |_| {
            let output = shell.succeed(command)?;
            if !output.contains(expected) {
                bail!("`{command}` should say '{expected}', but it said:\n{output}");
            }
            Ok(())
        })?;
    }
    let begin = Instant::now();
    machine.check("power off", |machine| {
        shell.start("cairn poweroff")?;
        machine.console().wait_for(boot_mark::SHUTDOWN_DONE)?;
        machine.wait_for_power_off(Duration::from_mins(1))
    })?;
    print_times(built, &machine, begin.elapsed())
}

fn print_build(built: &Built) -> anyhow::Result<()> {
    println!("\n{:<18}{:>10}", "build step", "time");
    if let Ok(milliseconds) = env::var("CAIRN_CARGO_MILLISECONDS") {
        let milliseconds = milliseconds
            .parse()
            .context("CAIRN_CARGO_MILLISECONDS is no number")?;
        print_step("cargo build", Duration::from_millis(milliseconds));
    }
    for step in &built.steps {
        print_step(&step.name, step.took());
    }
    Ok(())
}

fn print_step(name: &str, took: Duration) {
    println!("{name:<18}{:>8.2} s", took.as_secs_f64());
}

fn print_times(built: &Built, machine: &Machine, power_off: Duration) -> anyhow::Result<()> {
    print_build(built)?;
    println!(
        "\n{:<18}{:>10}   accelerator: {}",
        "boot stage",
        "time",
        machine.accelerator()
    );
    print!("{}", machine.timeline());
    print_step("power off", power_off);
    Ok(())
}
