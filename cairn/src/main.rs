//! The operator's command.

#![forbid(unsafe_code)]

mod command;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use cairn::assessment;
use cairn::configuration::{EvaluationFailed, Found, Wanted};
use cairn::diff::{self, Side};
use cairn::evaluate;
use cairn::format::{self, Mode};
use cairn::generations::{self, Listing, Selection, version};
use cairn::hardware::{generate, hardware_configuration};
use cairn::install::nixos_install;
use cairn::options::{self, Answer, Reference};
use cairn::service_control::{self, Format};
use cairn::switch::rebuild::{self, RebuildError};
use cairn::switch::{self, Action, Wish};
use cairn::time_zone;
use cairn::vm;
use cairn_store::Store;
use cairn_system::control::Request;
use clap::{CommandFactory, Parser};

use command::{
    Blame, Build, Command, DeleteGenerations, Diff, Fhs, Fmt, Gc, GenerateConfig, Generations,
    Image, Log, ManPages, Options, Reboot, Status, Switch, Verb, Vm,
};

/// Names of this program that are a verb of it.
const LINKS: [&str; 7] = [
    "halt",
    "nix-collect-garbage",
    "nixos-generate-config",
    "nixos-version",
    "poweroff",
    "reboot",
    "udevadm",
];

/// Called so, this program takes that tool's options.
const NIX_INSTANTIATE: &str = "nix-instantiate";

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::new().filter_or("CAIRN_LOG", "warn"))
        .format(|out, record| {
            writeln!(
                out,
                "cairn: {}: {}",
                record.level().as_str().to_lowercase(),
                record.args()
            )
        })
        .init();
    if is_called(NIX_INSTANTIATE) {
        return evaluate::nix_instantiate(std::env::args_os().skip(1));
    }
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("cairn: {error}");
            return ExitCode::FAILURE;
        }
    };
    let command = Command::parse_from(arguments);
    if command.user {
        if !command.verb.is_for_users() {
            eprintln!(
                "cairn: --user goes with status, log, start, stop, restart and reload: the rest is the machine's"
            );
            return ExitCode::from(2);
        }
        service_control::speak_to_users_own();
    }
    match run(command.verb) {
        Ok(code) => code,
        Err(error) => {
            // An error of the language has a form of its own, and was shown.
            if !error.is::<evaluate::AlreadyTold>() && !error.is::<EvaluationFailed>() {
                eprintln!("cairn: {}", cairn::message(&error));
            }
            ExitCode::FAILURE
        }
    }
}

/// Whether `name` is what this program was called as.
fn is_called(name: &str) -> bool {
    let called = std::env::args_os().next().unwrap_or_default();
    Path::new(&called).file_name() == Some(OsStr::new(name))
}

/// The arguments, with the verb put in where the program's name is one, and in this command's words.
fn arguments() -> Result<Vec<OsString>, RebuildError> {
    let words = || std::env::args_os().skip(1);
    let translated = if is_called(rebuild::NAME) {
        Some(rebuild::translate(words())?)
    } else if is_called(nixos_install::NAME) {
        Some(nixos_install::translate(words())?)
    } else {
        None
    };
    if let Some(words) = translated {
        return Ok(std::iter::once("cairn".into()).chain(words).collect());
    }
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    let name = arguments
        .first()
        .and_then(|name| Path::new(name).file_name())
        .map(OsString::from);
    if let Some(verb) = name.filter(|name| LINKS.iter().any(|link| name == link)) {
        arguments.insert(1, verb);
    }
    Ok(arguments)
}

fn run(verb: Verb) -> Result<ExitCode> {
    match verb {
        Verb::Status(arguments) => return status(&arguments),
        Verb::Log(arguments) => log(arguments)?,
        Verb::Why(named) => print(&service_control::why(&named.name)?)?,
        Verb::Blame(arguments) => blame(&arguments)?,
        Verb::Start(named) => service_control::command(&Request::Start { name: named.name })?,
        Verb::Stop(named) => service_control::command(&Request::Stop { name: named.name })?,
        Verb::Disable(named) => service_control::command(&Request::Disable { name: named.name })?,
        Verb::Enable(named) => service_control::command(&Request::Enable { name: named.name })?,
        Verb::Freeze(named) => service_control::command(&Request::Freeze { name: named.name })?,
        Verb::Thaw(named) => service_control::command(&Request::Thaw { name: named.name })?,
        Verb::Reload(named) => service_control::command(&Request::Reload { name: named.name })?,
        Verb::Restart(named) => service_control::command(&Request::Restart { name: named.name })?,
        Verb::Poweroff => service_control::command(&Request::PowerOff)?,
        Verb::Reboot(arguments) => reboot(&arguments)?,
        Verb::Halt => service_control::command(&Request::Halt)?,
        Verb::FactoryReset(arguments) => return arguments.run(),
        Verb::Devices(arguments) => return arguments.run(),
        Verb::Options(arguments) => return options(&arguments),
        Verb::Eval(arguments) => return Ok(evaluate::eval(&arguments.request())),
        Verb::Repl(arguments) => return Ok(evaluate::repl(&arguments.request())),
        Verb::Fmt(arguments) => return fmt(&arguments),
        Verb::Build(arguments) => return build(&arguments),
        Verb::Image(arguments) => image(&arguments)?,
        Verb::Vm(arguments) => return vm(&arguments),
        Verb::Install(arguments) => return arguments.run(),
        Verb::Diff(arguments) => diff(&arguments)?,
        Verb::Tpm2(arguments) => print(&arguments.run()?)?,
        Verb::Fhs(arguments) => fhs(arguments)?,
        Verb::ManPages(arguments) => man_pages(&arguments)?,
        Verb::Switch(arguments) => return arguments.wish()?.grant(Action::Switch),
        Verb::Boot(arguments) => return arguments.wish()?.grant(Action::Boot),
        Verb::Test(arguments) => return arguments.wish()?.grant(Action::Test),
        Verb::DryRun(arguments) => dry_run(&arguments)?,
        Verb::Rollback => return Wish::rollback().grant(Action::Switch),
        Verb::Assess(arguments) => {
            let stable = Duration::from_secs(arguments.stable_seconds.into());
            assessment::assess(Path::new("/"), stable)?;
        }
        Verb::Generations(arguments) => generations(&arguments)?,
        Verb::DeleteGenerations(arguments) => return delete_generations(&arguments),
        Verb::Gc(arguments) => collect_garbage(&arguments)?,
        Verb::GenerateConfig(arguments) => generate_config(&arguments)?,
        Verb::NixosVersion(arguments) => {
            let question = if arguments.json {
                version::Question::Json
            } else {
                version::Question::Version
            };
            print(&version::answer(Path::new("/"), question)?)?;
        }
        Verb::ApplySwitch(arguments) => {
            switch::detached::detach();
            return switch::apply::apply(Path::new("/"), arguments.action, &arguments.target());
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn reboot(arguments: &Reboot) -> Result<()> {
    if arguments.soft {
        return service_control::restart::user_space(arguments.to.as_ref());
    }
    if arguments.kexec {
        return service_control::restart::kernel(arguments.to.as_ref());
    }
    if let Some(entry) = &arguments.to {
        switch::boot_once(entry)?;
    }
    Ok(service_control::command(&Request::Reboot)?)
}

fn generations(arguments: &Generations) -> Result<()> {
    let listing = Listing::read(&arguments.root)?;
    if arguments.json {
        return print(&(serde_json::to_string_pretty(&listing)? + "\n"));
    }
    let zone = time_zone::machines();
    print(&generations::table(
        &listing,
        |seconds| generations::local_date(&zone, seconds),
        arguments.verbose,
    ))
}

/// Fails if a generation stays that was named by its number.
fn delete_generations(arguments: &DeleteGenerations) -> Result<ExitCode> {
    let selection = Selection::parse(&arguments.which)?;
    let deletion = generations::delete(&arguments.root, &selection, arguments.dry_run)?;
    if arguments.json {
        print(&(serde_json::to_string_pretty(&deletion)? + "\n"))?;
    } else {
        print(&deletion.tale(arguments.dry_run))?;
    }
    Ok(if selection.is_explicit() && !deletion.kept.is_empty() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn generate_config(arguments: &GenerateConfig) -> Result<()> {
    let request = arguments.request();
    let hardware = request.scan()?;
    for note in &hardware.notes {
        log::warn!("{note}");
    }
    if arguments.show_hardware_config {
        return print(&hardware_configuration(&hardware));
    }
    let files = request.plan(&hardware);
    generate::write(&files)?;
    let paths: Vec<String> = files
        .iter()
        .map(|file| file.path.display().to_string())
        .collect();
    print(&lines(&paths))
}

fn collect_garbage(arguments: &Gc) -> Result<()> {
    let collection = arguments.collection()?;
    let collected = if arguments.dry_run {
        collection.plan()?
    } else {
        collection.run()?
    };
    if arguments.json {
        return print(&(serde_json::to_string_pretty(&collected)? + "\n"));
    }
    print(&collected.tale())
}

fn dry_run(arguments: &Switch) -> Result<()> {
    let preview = arguments.wish()?.preview(Action::Switch)?;
    if arguments.json {
        return print(&(serde_json::to_string(&preview)? + "\n"));
    }
    print(&preview.to_string())
}

fn fmt(arguments: &Fmt) -> Result<ExitCode> {
    let mode = if arguments.check {
        Mode::Check
    } else {
        Mode::Write
    };
    Ok(if format::format_files(&arguments.files, mode)? {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Comes back only with an error.
fn fhs(arguments: Fhs) -> Result<()> {
    cairn::fhs::Fhs {
        view: arguments.view,
        store: arguments.store,
        command: arguments.command,
    }
    .exec()
}

fn build(arguments: &Build) -> Result<ExitCode> {
    let configuration = arguments.configuration.configuration()?;
    let store = Store::open(&configuration.place.store)?;
    let wanted = Wanted {
        derivations: arguments.wanted(),
        facts: Vec::new(),
    };
    let evaluated = configuration.evaluate(&store, &wanted)?;
    if arguments.dry_run {
        let missing = store.missing(&evaluated.needed())?;
        let mut names: Vec<String> = missing.iter().map(|(path, _)| path.to_string()).collect();
        names.sort();
        return print(&lines(&names)).map(|()| ExitCode::SUCCESS);
    }
    configuration.realise(&store, &evaluated)?;
    if !arguments.no_link {
        link_results(&store, &arguments.out_link, &evaluated.derivations)?;
    }
    print(&results(&evaluated.derivations, arguments.json)?)?;
    Ok(ExitCode::SUCCESS)
}

fn image(arguments: &Image) -> Result<()> {
    let configuration = arguments.configuration.configuration()?;
    let output = arguments.output.as_deref();
    let built = cairn::image::build(&configuration, arguments.format, output)?;
    let file = &built.image;
    if arguments.json {
        let milliseconds = |time: &Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let steps = built.steps.iter();
        let steps: Vec<_> = steps
            .map(|(name, time)| serde_json::json!({"name": name, "milliseconds": milliseconds(time)}))
            .collect();
        return print(&format!(
            "{}\n",
            serde_json::json!({
                "image": file, "toplevel": built.toplevel.to_string(), "steps": steps,
            })
        ));
    }
    print(&format!("{}\n", file.display()))
}

fn vm(arguments: &Vm) -> Result<ExitCode> {
    let options = vm::Options {
        disk: arguments.disk.clone(),
        writes: if arguments.discard {
            vm::Writes::Discarded
        } else {
            vm::Writes::Kept
        },
        kernel_params: arguments.kernel_param.clone(),
    };
    let mut command = vm::prepare(&arguments.configuration.configuration()?, &options)?;
    command.args(&arguments.qemu);
    if arguments.dry_run {
        print(&format!("{command:?}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    // QEMU takes this program's place: it has the terminal and its signals for itself.
    let error = command.exec();
    Err(error).with_context(|| {
        format!(
            "cannot run {}; install it: apt-get install qemu-system-x86",
            vm::QEMU
        )
    })
}

fn diff(arguments: &Diff) -> Result<()> {
    let (before, after) = (Side::of(&arguments.before), Side::of(&arguments.after));
    let kind = before.kind(&after);
    let store = Store::open(&arguments.configuration.place()?.store)?;
    let look = |side: &Side| {
        side.look(
            &store,
            |file| arguments.configuration.configuration_of(file),
            kind,
        )
    };
    let (before, after) = (look(&before)?, look(&after)?);
    let packages = before.packages.changes(&after.packages);
    let values = diff::changes(&before.values, &after.values);
    if arguments.json {
        let all = serde_json::json!({"packages": packages, "values": values});
        return print(&format!("{all}\n"));
    }
    let head = match kind {
        diff::Kind::Options => "options",
        diff::Kind::Description => "system description",
    };
    print(&(section("packages", &packages) + &section(head, &values)))
}

/// A heading and a line for each change; nothing without one.
fn section<T: std::fmt::Display>(head: &str, changes: &[T]) -> String {
    if changes.is_empty() {
        return String::new();
    }
    let rows: Vec<_> = changes.iter().map(|change| format!("  {change}")).collect();
    format!("{head}:\n{}\n", rows.join("\n"))
}

/// `LINK` to the first, `LINK-2` to the second; they keep what they point to.
fn link_results(store: &Store, link: &Path, found: &[Found]) -> Result<()> {
    for (at, found) in found.iter().enumerate() {
        let mut name = link.as_os_str().to_owned();
        if at > 0 {
            name.push(format!("-{}", at + 1));
        }
        store.add_indirect_root(Path::new(&name), found.path()?)?;
    }
    Ok(())
}

fn results(found: &[Found], json: bool) -> Result<String> {
    if json {
        let one = |found: &Found| {
            let outputs = found.outputs.iter();
            let outputs: serde_json::Map<_, _> = outputs
                .map(|(name, path)| (name.clone(), path.to_string().into()))
                .collect();
            serde_json::json!({
                "name": found.name,
                "drvPath": found.derivation.to_string(),
                "outputs": outputs,
            })
        };
        let all: Vec<_> = found.iter().map(one).collect();
        return Ok(serde_json::to_string_pretty(&all)? + "\n");
    }
    let paths = found.iter().map(|found| Ok(found.path()?.to_string()));
    Ok(lines(&paths.collect::<Result<Vec<_>>>()?))
}

fn lines(texts: &[String]) -> String {
    texts
        .iter()
        .fold(String::new(), |all, text| all + text + "\n")
}

fn status(arguments: &Status) -> Result<ExitCode> {
    let format = if arguments.json {
        Format::Json
    } else {
        Format::Text
    };
    let (text, well) = service_control::status(arguments.name.as_ref(), format)?;
    print(&text)?;
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn options(arguments: &Options) -> Result<ExitCode> {
    let entries = arguments.include.iter();
    let question = options::Question {
        search_path: entries.map(|entry| entry.as_bytes().into()).collect(),
        configuration: arguments.configuration.clone(),
    };
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let reference = options::evaluate(&program, &question)?;
    let mut files = false;
    for (file, render) in [
        (
            &arguments.html,
            options::web_page as fn(&Reference) -> String,
        ),
        (&arguments.man, options::man_page),
    ] {
        if let Some(file) = file {
            std::fs::write(file, render(&reference))
                .with_context(|| format!("cannot write '{}'", file.display()))?;
            files = true;
        }
    }
    if files {
        return Ok(ExitCode::SUCCESS);
    }
    let query = arguments.words.join(" ");
    match options::answer(&reference, &query, arguments.json)? {
        Answer::Found(text) => {
            print(&text)?;
            Ok(ExitCode::SUCCESS)
        }
        Answer::Nothing(message) => {
            eprintln!("cairn: {message}");
            Ok(ExitCode::FAILURE)
        }
    }
}

fn log(arguments: Log) -> Result<()> {
    let follow = arguments.follow;
    let query = arguments.query(&time_zone::machines())?;
    if follow {
        let out = &mut io::stdout().lock();
        return Ok(service_control::log::follow(&query, out)?);
    }
    print(&service_control::log::read(&query)?)
}

fn blame(arguments: &Blame) -> Result<()> {
    let timing = service_control::timing()?;
    if arguments.json {
        return print(&(serde_json::to_string(&timing)? + "\n"));
    }
    if let Some(file) = &arguments.chart {
        const HOST: &str = "/proc/sys/kernel/hostname";
        let host = std::fs::read_to_string(HOST).with_context(|| format!("cannot read {HOST}"))?;
        let title = format!("Boot of {}", host.trim_end());
        let picture = service_control::chart::draw(&timing, &title);
        return std::fs::write(file, picture)
            .with_context(|| format!("cannot write '{}'", file.display()));
    }
    print(&timing.listing())
}

fn man_pages(arguments: &ManPages) -> Result<()> {
    let folder = &arguments.folder;
    let failed = || format!("cannot write man pages to '{}'", folder.display());
    clap_mangen::generate_to(Command::command(), folder).with_context(failed)?;
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let reference = options::evaluate(&program, &options::Question::default())?;
    let page = options::man_page(&reference);
    std::fs::write(folder.join("cairn-configuration.nix.5"), page).with_context(failed)
}

/// Writes to standard output; a reader that has gone away is no error.
fn print(text: &str) -> Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot write to standard output"),
    }
}
