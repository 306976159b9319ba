//! `cairn install`.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, ensure};
use cairn::configuration::Configuration;
use cairn::install::{
    Answers, BootLoader, Installed, Mounted, Prepared, dialogue, guard, password, prepare,
};
use clap::Args;
use nix::sys::stat::{Mode, umask};

use super::agreement::agreed;
use super::configuration::ConfigurationArguments;
use crate::print;

/// What is said to somebody who does not agree.
const NOTHING: &str = "nothing was written";

/// `cairn install`.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub struct Install {
    /// Install into the file systems that are mounted at DIR; its configuration is
    /// DIR/etc/nixos/configuration.nix, or that of -c
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Ask nothing: divide a disk and install as FILE says
    #[arg(long, value_name = "FILE", conflicts_with_all = ["root", "configuration", "lock"])]
    pub answers: Option<PathBuf>,
    /// Begin without asking whether the plan is right
    #[arg(long, short, requires = "answers")]
    pub yes: bool,
    /// Show the plan, and do nothing of it
    #[arg(long, short = 'n', requires = "answers")]
    pub dry_run: bool,
    /// Show what was installed as JSON, or with --dry-run the plan
    #[arg(long)]
    pub json: bool,
    /// Do not ask for a password of root
    #[arg(long, requires = "root")]
    pub no_root_password: bool,
    /// Write no GRUB to a disk
    #[arg(long, requires = "root")]
    pub no_boot_loader: bool,
    /// Which configuration.
    #[command(flatten)]
    pub configuration: ConfigurationArguments,
    /// This is the process that does it.
    #[arg(long, hide = true)]
    pub worker: bool,
}

impl Install {
    /// Installs.
    ///
    /// # Errors
    /// Whatever step fails.
    pub fn run(&self) -> Result<ExitCode> {
        ensure!(
            nix::unistd::geteuid().is_root(),
            "cannot install a system: only root may"
        );
        // A new machine's folders, its root among them where that is a subvolume, are everybody's to see, whatever
        // mask somebody has here.
        umask(Mode::S_IWGRP | Mode::S_IWOTH);
        if let Some(root) = &self.root {
            return self.on_what_is_mounted(root);
        }
        if !self.worker {
            return guard::guarded(std::env::args_os().skip(1));
        }
        let _worker = guard::Worker::begin()?;
        let Some(answers) = &self.answers else {
            return match self.asked()? {
                Some(prepared) => self.report(&prepared.apply()?),
                None => Ok(ExitCode::FAILURE),
            };
        };
        let prepared = self.prepared(answers)?;
        if self.dry_run {
            return Ok(ExitCode::SUCCESS);
        }
        if !self.yes
            && !agreed(
                &prepared.plan.disk.path.display().to_string(),
                "begin",
                NOTHING,
            )?
        {
            return Ok(ExitCode::FAILURE);
        }
        self.report(&prepared.apply()?)
    }

    /// What somebody at the terminal wants and agrees to; nothing if he leaves.
    fn asked(&self) -> Result<Option<Prepared>> {
        ensure!(
            self.configuration.configuration.is_none(),
            "cannot ask about a configuration that is ready: name it in the file of --answers, or \
             install it with --root"
        );
        let configuration = |file: &Path| self.evaluated(file);
        let mut shown = None;
        let answers = dialogue::on_terminal(&mut |answers| {
            let prepared = shown.insert(prepare(answers, &configuration)?);
            Ok(prepared.plan.to_string())
        })?;
        // The plan that was shown last is the one that was agreed to.
        Ok(shown.filter(|_| answers.is_some()))
    }

    /// What would be done, and shown.
    fn prepared(&self, answers: &Path) -> Result<Prepared> {
        let configuration = |file: &Path| self.evaluated(file);
        let prepared = prepare(&Answers::read(answers)?, &configuration)?;
        match (self.json, self.dry_run) {
            (false, _) => print(&prepared.plan.to_string())?,
            (true, false) => eprint!("{}", prepared.plan),
            (true, true) => print(&(serde_json::to_string_pretty(&prepared.plan)? + "\n"))?,
        }
        Ok(prepared)
    }

    fn on_what_is_mounted(&self, root: &Path) -> Result<ExitCode> {
        let boot_loader = if self.no_boot_loader {
            BootLoader::LeftOut
        } else {
            BootLoader::Written
        };
        let mounted = Mounted {
            root: root.to_owned(),
            configuration: self.configuration.configuration.clone(),
            boot_loader,
        };
        let installed = mounted.install(&|file| self.evaluated(file))?;
        if !self.no_root_password {
            give_root_a_password(root)?;
        }
        self.report(&installed)
    }

    fn evaluated(&self, file: &Path) -> Result<Configuration> {
        self.configuration.configuration_of(file)
    }

    fn report(&self, installed: &Installed) -> Result<ExitCode> {
        let Installed {
            toplevel,
            generation,
        } = installed;
        if self.json {
            let told = serde_json::json!({
                "toplevel": toplevel.to_string(), "generation": generation,
            });
            print(&format!("{told}\n"))?;
        } else {
            eprintln!("cairn: {toplevel} is installed, and boots as generation {generation}");
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Asks for a password of root, unless there is one. It counts at the first boot if the configuration
/// lets users change theirs.
fn give_root_a_password(root: &Path) -> Result<()> {
    if password::is_set(root, "root")? {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        eprintln!(
            "cairn: nobody can be asked for a password of root; it has the one of the configuration, or \
             none"
        );
        return Ok(());
    }
    if let Some(hash) = password::ask(&mut dialogue::Terminal, "root")? {
        password::set(root, &[("root".to_owned(), hash)])?;
    }
    Ok(())
}
