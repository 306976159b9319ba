//! Stands in the evaluator's door and notes what goes through.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use bstr::{BStr, BString};
use cairn_evaluator::io::{Fetch, FileType, Filter, Io, IoResult, Level, SearchEntry, Source};
use cairn_store_path::{Derivation, Method, StorePath};

use super::record::{Answer, Question, Record, Tree};

/// Answers as another door does, and notes what was asked.
pub struct Recorder<'a> {
    io: &'a dyn Io,
    notes: RefCell<Notes>,
}

#[derive(Default)]
struct Notes {
    record: Record,
    seen: HashMap<Question, Answer>,
    /// Why the record would be of no use.
    gap: Option<&'static str>,
}

impl<'a> Recorder<'a> {
    /// A door that leads to `io`.
    #[must_use]
    pub fn new(io: &'a dyn Io) -> Self {
        Self {
            io,
            notes: RefCell::default(),
        }
    }

    /// What was asked; `None` if not all of it can be asked again.
    #[must_use]
    pub fn finish(self) -> Option<Record> {
        let notes = self.notes.into_inner();
        if let Some(gap) = notes.gap {
            log::info!("the evaluation will not be remembered: {gap}");
            return None;
        }
        Some(notes.record)
    }

    fn note(&self, question: Question, answer: Answer) {
        let mut notes = self.notes.borrow_mut();
        match notes.seen.get(&question) {
            Some(before) if *before == answer => {}
            Some(_) => notes.gap = Some("an answer changed while it was running"),
            None => {
                notes.seen.insert(question.clone(), answer.clone());
                notes.record.answers.push((question, answer));
            }
        }
    }

    /// Notes a question about `name`.
    fn note_named(&self, question: fn(String) -> Question, name: &[u8], answer: Answer) {
        match str::from_utf8(name) {
            Ok(name) => self.note(question(name.to_owned()), answer),
            Err(_) => self.give_up("a name is not UTF-8"),
        }
    }

    fn note_path(&self, question: fn(String) -> Question, path: &Path, answer: Answer) {
        self.note_named(question, path.as_os_str().as_encoded_bytes(), answer);
    }

    /// Notes that the result may need an object.
    fn need(&self, object: &StorePath) {
        let mut notes = self.notes.borrow_mut();
        notes.record.objects.insert(object.to_string());
    }

    /// Notes the object that an effect gave. What failed may be otherwise next time, and an evaluation
    /// that goes on all the same is rare.
    fn needed(&self, result: IoResult<StorePath>) -> IoResult<StorePath> {
        match &result {
            Ok(object) => self.need(object),
            Err(_) => self.give_up(FAILED),
        }
        result
    }

    fn give_up(&self, why: &'static str) {
        self.notes.borrow_mut().gap.get_or_insert(why);
    }
}

/// An effect that may succeed another time.
const FAILED: &str = "it met a failure, and went on";

impl Io for Recorder<'_> {
    fn read_file(&self, path: &Path) -> IoResult<Vec<u8>> {
        let answer = self.io.read_file(path);
        self.note_path(Question::File, path, Answer::file(&answer));
        answer
    }

    fn file_type(&self, path: &Path) -> IoResult<Option<FileType>> {
        let answer = self.io.file_type(path);
        self.note_path(Question::Kind, path, Answer::kind(&answer));
        answer
    }

    fn read_link(&self, path: &Path) -> IoResult<PathBuf> {
        let answer = self.io.read_link(path);
        self.note_path(Question::Link, path, Answer::path(&answer));
        answer
    }

    fn read_dir(&self, path: &Path) -> IoResult<Vec<(BString, FileType)>> {
        let answer = self.io.read_dir(path);
        self.note_path(Question::Folder, path, Answer::folder(&answer));
        answer
    }

    fn env_var(&self, name: &BStr) -> Option<BString> {
        let answer = self.io.env_var(name);
        self.note_named(Question::Variable, name, Answer::variable(answer.as_ref()));
        answer
    }

    fn current_time(&self) -> i64 {
        let answer = self.io.current_time();
        self.note(Question::Time, Answer::time(answer));
        answer
    }

    /// The program's own: another program does not know this record.
    fn current_system(&self) -> &str {
        self.io.current_system()
    }

    fn message(&self, level: Level, text: &BStr) {
        self.io.message(level, text);
    }

    fn search_path(&self) -> Vec<SearchEntry> {
        let answer = self.io.search_path();
        self.note(Question::SearchPath, Answer::search_path(&answer));
        answer
    }

    fn search_entry(&self, path: &BStr) -> IoResult<Option<PathBuf>> {
        let answer = self.io.search_entry(path);
        self.note_named(Question::SearchEntry, path, Answer::entry(&answer));
        answer
    }

    fn home(&self) -> IoResult<PathBuf> {
        let answer = self.io.home();
        self.note(Question::Home, Answer::path(&answer));
        answer
    }

    fn add_text(
        &self,
        name: &str,
        text: &[u8],
        references: &BTreeSet<StorePath>,
    ) -> IoResult<StorePath> {
        self.needed(self.io.add_text(name, text, references))
    }

    fn add_path(
        &self,
        source: &Source<'_>,
        filter: Option<&mut Filter<'_>>,
    ) -> IoResult<StorePath> {
        if source.expected.is_some() {
            // Its digest is its name: where it came from does not matter.
            return self.needed(self.io.add_path(source, filter));
        }
        let mut chosen = BTreeMap::new();
        let filtered = filter.is_some();
        let added = match filter {
            None => self.io.add_path(source, None),
            Some(filter) => {
                let mut noting = |path: &Path, kind: FileType| {
                    let taken = filter(path, kind)?;
                    match path.to_str() {
                        Some(path) => {
                            let decision = (kind.name().to_owned(), taken);
                            chosen.insert(path.to_owned(), decision);
                        }
                        None => self.give_up("a name is not UTF-8"),
                    }
                    Ok(taken)
                };
                self.io.add_path(source, Some(&mut noting))
            }
        };
        let tree = |path| {
            Question::Tree(Tree {
                path,
                name: source.name.to_owned(),
                flat: source.method == Method::Flat,
                chosen: filtered.then_some(chosen),
            })
        };
        match source.path.to_str() {
            Some(path) => self.note(tree(path.to_owned()), Answer::object(&added)),
            None => self.give_up("a name is not UTF-8"),
        }
        self.needed(added)
    }

    /// A derivation that the result needs is an input of what it names.
    fn add_derivation(&self, path: &StorePath, derivation: &Derivation) -> IoResult<()> {
        self.io.add_derivation(path, derivation)
    }

    fn read_derivation(&self, path: &StorePath) -> IoResult<Derivation> {
        let answer = self.io.read_derivation(path);
        match &answer {
            Ok(_) => self.need(path),
            Err(_) => self.give_up(FAILED),
        }
        answer
    }

    fn is_valid(&self, path: &StorePath) -> IoResult<bool> {
        let answer = self.io.is_valid(path);
        self.note(Question::Valid(path.to_string()), Answer::valid(&answer));
        answer
    }

    fn ensure(&self, path: &StorePath) -> IoResult<()> {
        let answer = self.io.ensure(path);
        match &answer {
            Ok(()) => self.need(path),
            Err(_) => self.give_up(FAILED),
        }
        answer
    }

    fn closure(&self, path: &StorePath) -> IoResult<Vec<StorePath>> {
        let answer = self.io.closure(path);
        self.note(
            Question::Closure(path.to_string()),
            Answer::objects(&answer),
        );
        answer
    }

    fn realise(&self, wanted: &[(StorePath, String)]) -> IoResult<()> {
        if let Err(error) = self.io.realise(wanted) {
            self.give_up(FAILED);
            return Err(error);
        }
        for (drv, output) in wanted {
            match self.io.read_derivation(drv)?.output(output) {
                Some(output) => self.need(output),
                None => self.give_up(FAILED),
            }
        }
        Ok(())
    }

    fn fetch(&self, fetch: &Fetch<'_>) -> IoResult<StorePath> {
        self.needed(self.io.fetch(fetch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_evaluator::io::MemoryIo;

    /// Everything that can be asked.
    fn ask(io: &dyn Io) {
        let path = Path::new;
        io.read_file(path("/a/file")).unwrap();
        io.read_file(path("/a/none")).unwrap_err();
        io.file_type(path("/a/none")).unwrap();
        io.read_link(path("/a/link")).unwrap();
        io.read_dir(path("/a")).unwrap();
        io.env_var("WHO".into());
        io.current_time();
        io.search_path();
        io.search_entry("/a".into()).unwrap();
        let source = |method| Source {
            name: "a",
            path: path("/a"),
            method,
            expected: None,
        };
        io.add_path(&source(Method::Recursive), None).unwrap();
        let mut filter = |path: &Path, _: FileType| Ok(!path.ends_with("out"));
        io.add_path(&source(Method::Recursive), Some(&mut filter))
            .unwrap();
        let object = io.add_text("x", b"x", &BTreeSet::new()).unwrap();
        io.is_valid(&object).unwrap();
        io.closure(&object).unwrap();
        io.ensure(&object).unwrap();
    }

    fn world() -> MemoryIo {
        MemoryIo::new()
            .with_file("/a/file", "x")
            .with_file("/a/out", "y")
            .with_link("/a/link", "file")
            .with_variable("WHO", "me")
            .with_search_entry("n", "/a")
    }

    fn record() -> Record {
        let world = world();
        let recorder = Recorder::new(&world);
        ask(&recorder);
        recorder.finish().unwrap()
    }

    #[test]
    fn the_same_machine_answers_the_same() {
        let record = record();
        let kinds: Vec<String> = record
            .answers
            .iter()
            .map(|(question, _)| serde_json::to_string(question).unwrap())
            .collect();
        expect_test::expect![[r#"
            {"file":"/a/file"}
            {"file":"/a/none"}
            {"kind":"/a/none"}
            {"link":"/a/link"}
            {"folder":"/a"}
            {"variable":"WHO"}
            "time"
            "searchPath"
            {"searchEntry":"/a"}
            {"tree":{"path":"/a","name":"a","flat":false,"chosen":null}}
            {"tree":{"path":"/a","name":"a","flat":false,"chosen":{"/a/file":["regular",true],"/a/link":["symlink",true],"/a/out":["regular",false]}}}
            {"valid":"/nix/store/fl9d7p1wby9wxs70dy3zpr4n3xahlscd-x"}
            {"closure":"/nix/store/fl9d7p1wby9wxs70dy3zpr4n3xahlscd-x"}"#]].assert_eq(&kinds.join("\n"));
        // What was put into the store is there.
        let world = world();
        world.add_text("x", b"x", &BTreeSet::new()).unwrap();
        assert!(record.holds(&world));
        let text = serde_json::to_vec(&record).unwrap();
        assert_eq!(serde_json::from_slice::<Record>(&text).unwrap(), record);
    }

    #[test]
    fn any_other_answer_counts() {
        let record = record();
        for (what, other) in [
            ("content", world().with_file("/a/file", "z")),
            ("a new file", world().with_file("/a/none", "")),
            ("a link", world().with_link("/a/link", "out")),
            ("a variable", world().with_variable("WHO", "you")),
            ("the search path", world().with_search_entry("m", "/a")),
        ] {
            other.add_text("x", b"x", &BTreeSet::new()).unwrap();
            assert!(!record.holds(&other), "{what}");
        }
        // Nothing was put into the store.
        assert!(!record.holds(&world()));
    }

    #[test]
    fn what_cannot_be_asked_again_is_not_recorded() {
        let world = world();
        let recorder = Recorder::new(&world);
        recorder.env_var(BStr::new(b"\xff"));
        assert_eq!(recorder.finish(), None);
        let recorder = Recorder::new(&world);
        let missing: StorePath = "/nix/store/00000000000000000000000000000000-x.drv"
            .parse()
            .unwrap();
        recorder.read_derivation(&missing).unwrap_err();
        assert_eq!(recorder.finish(), None);
    }
}
