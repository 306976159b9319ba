//! Rules about paths: what tmpfiles.d(5) asks for, planned like everything else.
//!
//! A rule sees the tree as it is before activation, and the directories that are planned by then.
//! What is there with the content that a rule wants is left alone, so that a second run plans
//! nothing.

use std::path::{Path, PathBuf};

use cairn_system::{PathKind, PathRule, SystemDescription};

use crate::accounts::Accounts;
use crate::base::directory_with_parents;
use crate::pattern;
use crate::plan::{Failure, Gathered};
use crate::root::{Kind, Rights, Root};
use crate::step::Step;

/// How deep a tree may be whose rights are set.
const MAX_DEPTH: usize = 256;

pub(crate) fn plan(
    root: &Root,
    description: &SystemDescription,
    accounts: &Accounts,
    gathered: &mut Gathered,
) {
    // The link to the system is the last step of the first activation.
    let at_boot = matches!(
        root.kind(Path::new("/run/current-system")),
        Ok(Kind::Absent)
    );
    for rule in &description.paths {
        if rule.at_boot_only && !at_boot {
            continue;
        }
        let following = Following {
            root,
            accounts,
            rule,
            at_boot,
        };
        let steps = following.steps(&gathered.steps).map_err(|failure| {
            Failure::new(format!(
                "cannot follow the rule for '{}': {failure}",
                rule.path
            ))
        });
        gathered.take(steps);
    }
}

/// A rule and what it is followed with.
struct Following<'a> {
    root: &'a Root,
    accounts: &'a Accounts,
    rule: &'a PathRule,
    at_boot: bool,
}

impl Following<'_> {
    fn steps(&self, planned: &[Step]) -> Result<Vec<Step>, Failure> {
        let path = Path::new(&self.rule.path);
        if !path.is_absolute() || path.components().any(|part| part.as_os_str() == "..") {
            return Err(Failure::new("not an absolute path without '..'"));
        }
        match self.rule.kind {
            PathKind::Directory => self.directory(path, planned),
            PathKind::EmptiedDirectory => self.emptied_directory(path, planned),
            PathKind::File => self.file(path, planned),
            PathKind::Link => self.link(path, planned),
            PathKind::Write => self.each(Self::write_into),
            PathKind::Remove => self.each(Self::remove),
            PathKind::RemoveTree => self.each(|_, path| Ok(vec![Step::RemoveTree { path }])),
            PathKind::Rights => self.each(Self::rights),
            PathKind::RightsOfTree => self.each(|rule, path| rule.rights_of_tree(&path, 0)),
        }
    }

    fn each(
        &self,
        steps: impl Fn(&Self, PathBuf) -> Result<Vec<Step>, Failure>,
    ) -> Result<Vec<Step>, Failure> {
        let mut all = Vec::new();
        for path in pattern::matches(self.root, Path::new(&self.rule.path))? {
            all.extend(steps(self, path)?);
        }
        Ok(all)
    }

    fn directory(&self, path: &Path, planned: &[Step]) -> Result<Vec<Step>, Failure> {
        let rights = self.rights_or(Rights::root(0o755))?;
        directory_with_parents(self.root, path, rights, planned)
    }

    fn emptied_directory(&self, path: &Path, planned: &[Step]) -> Result<Vec<Step>, Failure> {
        let mut steps = self.directory(path, planned)?;
        if self.at_boot && matches!(self.root.kind(path)?, Kind::Directory(_)) {
            for name in self.root.names(path)? {
                let path = path.join(name);
                steps.push(Step::RemoveTree { path });
            }
        }
        Ok(steps)
    }

    fn file(&self, path: &Path, planned: &[Step]) -> Result<Vec<Step>, Failure> {
        let content = self.argument().as_bytes().to_vec();
        let rights = self.rights_or(Rights::root(0o644))?;
        let write = Step::Write {
            path: path.to_owned(),
            content,
            rights,
        };
        match self.root.kind(path)? {
            Kind::Absent => self.with_parents(path, write, planned),
            Kind::File(_) if self.rule.replace && !self.has_argument(path)? => Ok(vec![write]),
            Kind::File(_) => self.rights(path.to_owned()),
            _ => Err(Failure::new("something else is there; move it away")),
        }
    }

    fn link(&self, path: &Path, planned: &[Step]) -> Result<Vec<Step>, Failure> {
        let target = PathBuf::from(self.argument());
        let present = self.root.kind(path)?;
        let path = path.to_owned();
        let link = Step::Link {
            path: path.clone(),
            target: target.clone(),
        };
        match present {
            Kind::Link(found) if found == target => Ok(Vec::new()),
            Kind::Absent => self.with_parents(&path, link, planned),
            _ if !self.rule.replace => Ok(Vec::new()),
            Kind::Directory(_) => Ok(vec![Step::RemoveTree { path }, link]),
            _ => Ok(vec![link]),
        }
    }

    /// A step that makes something, after those that make its folder.
    fn with_parents(
        &self,
        path: &Path,
        step: Step,
        planned: &[Step],
    ) -> Result<Vec<Step>, Failure> {
        let parent = path.parent().unwrap_or(path);
        let is_planned = planned
            .iter()
            .any(|step| matches!(step, Step::MakeDirectory { path, .. } if path == parent));
        let mut steps = if is_planned || self.root.kind(parent)? != Kind::Absent {
            Vec::new()
        } else {
            directory_with_parents(self.root, parent, Rights::root(0o755), planned)?
        };
        steps.push(step);
        Ok(steps)
    }

    fn write_into(&self, path: PathBuf) -> Result<Vec<Step>, Failure> {
        if self.has_argument(&path)? {
            return Ok(Vec::new());
        }
        let content = self.argument().as_bytes().to_vec();
        Ok(vec![Step::WriteInto { path, content }])
    }

    fn remove(&self, path: PathBuf) -> Result<Vec<Step>, Failure> {
        match self.root.kind(&path)? {
            Kind::Absent => Ok(Vec::new()),
            Kind::Directory(_) if self.root.names(&path)?.is_empty() => {
                Ok(vec![Step::RemoveDirectory { path }])
            }
            Kind::Directory(_) => Err(Failure::new(format!(
                "the directory '{}' is not empty",
                path.display()
            ))),
            _ => Ok(vec![Step::RemoveFile { path }]),
        }
    }

    /// The rights that the rule names, of what is there; links have none.
    fn rights(&self, path: PathBuf) -> Result<Vec<Step>, Failure> {
        let (Kind::Directory(found) | Kind::File(found)) = self.root.kind(&path)? else {
            return Ok(Vec::new());
        };
        let rights = self.rights_or(found)?;
        if self.root.same_rights(found, rights) {
            return Ok(Vec::new());
        }
        Ok(vec![Step::SetRightsOfAny { path, rights }])
    }

    fn rights_of_tree(&self, path: &Path, depth: usize) -> Result<Vec<Step>, Failure> {
        if depth > MAX_DEPTH {
            return Err(Failure::new(format!(
                "'{}' is too deep in its tree",
                path.display()
            )));
        }
        let mut steps = self.rights(path.to_owned())?;
        if matches!(self.root.kind(path)?, Kind::Directory(_)) {
            for name in self.root.names(path)? {
                steps.extend(self.rights_of_tree(&path.join(name), depth + 1)?);
            }
        }
        Ok(steps)
    }

    fn argument(&self) -> &str {
        self.rule.argument.as_deref().unwrap_or_default()
    }

    /// Whether the file holds the argument, but for a newline at its end.
    fn has_argument(&self, path: &Path) -> Result<bool, Failure> {
        let content = self.root.read_if_there(path)?.unwrap_or_default();
        let argument = self.argument().as_bytes();
        Ok(content == argument || content.strip_suffix(b"\n") == Some(argument))
    }

    /// What the rule says, and for what it leaves open, what `other` has.
    fn rights_or(&self, other: Rights) -> Result<Rights, Failure> {
        let mut rights = other;
        if let Some(mode) = self.rule.mode {
            rights.mode = mode;
        }
        if let Some(user) = &self.rule.user {
            rights.uid = self
                .accounts
                .uid(user.as_str())
                .ok_or_else(|| Failure::new(format!("there is no user '{user}'")))?;
        }
        if let Some(group) = &self.rule.group {
            rights.gid = self
                .accounts
                .gid(group.as_str())
                .ok_or_else(|| Failure::new(format!("there is no group '{group}'")))?;
        }
        Ok(rights)
    }
}
