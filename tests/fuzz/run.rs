//! How a target is run: examples first, then damaged ones until the time is over, on a small stack.
//!
//! The time is `BOLERO_RANDOM_TEST_TIME_MS` (a second without it), the recipes are bolero's. An input that leads to something not
//! seen before joins the corpus for the rest of the run, so that damage adds up; what counts as new is the target's to say.
//! Before each execution the input is written down, so that it is known even after an abort: `bin/fuzz` keeps it then.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::mutate::{Kit, damaged};

/// Less than a worker's stack: what recurses with its input aborts here.
const STACK_BYTES: usize = 256 * 1024;
/// A worker's stack (tokio's), for what is known to recurse, but only so far.
const WORKER_STACK_BYTES: usize = 2 * 1024 * 1024;
/// Inputs a run may keep, and the longest that is worth keeping.
const KEPT_MAX: usize = 4_096;
const KEPT_BYTES_MAX: usize = 8 * 1024;
const RECIPE_BYTES_MAX: usize = 192;

/// Longer than any message may be, so that limits are met; bounded, so that a run is spent on more than copying.
pub const MESSAGE: usize = 80 * 1024;
/// For what comes in the head of a request, which no listener takes longer.
pub const HEAD: usize = 4 * 1024;

/// A target: what is fed, and with what.
pub struct Target {
    /// As in `seeds/` and in the table of `bin/fuzz`.
    pub name: &'static str,
    /// Good examples, and bad ones of the interesting sort.
    pub examples: Vec<Vec<u8>>,
    /// Words of the format.
    pub dictionary: &'static [&'static [u8]],
    /// The longest input: [`MESSAGE`] or [`HEAD`].
    pub bytes_max: usize,
}

/// What an execution did, in one number: equal for what is not worth telling apart.
pub fn behaviour(what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

impl Target {
    /// Runs the target. `check` panics when something that must hold does not.
    pub fn run(self, check: impl Fn(&[u8]) -> u64 + Send + 'static) {
        self.run_on(STACK_BYTES, check);
    }

    /// The same with as much stack as the server has.
    pub fn run_as_a_worker(self, check: impl Fn(&[u8]) -> u64 + Send + 'static) {
        self.run_on(WORKER_STACK_BYTES, check);
    }

    fn run_on(self, stack_bytes: usize, check: impl Fn(&[u8]) -> u64 + Send + 'static) {
        let thread = thread::Builder::new().name(self.name.to_owned()).stack_size(stack_bytes);
        let run = thread.spawn(move || campaign(&self, check)).unwrap();
        if let Err(panic) = run.join() {
            resume_unwind(panic);
        }
    }

    fn corpus(&self) -> Vec<Vec<u8>> {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds").join(self.name);
        let mut corpus = self.examples.clone();
        if let Ok(files) = fs::read_dir(seeds) {
            corpus.extend(files.map(|file| fs::read(file.unwrap().path()).unwrap()));
        }
        corpus
    }
}

fn campaign(target: &Target, check: impl Fn(&[u8]) -> u64) {
    let log = Log::new(target.name);
    let (corpus, seen) = (RefCell::new(target.corpus()), RefCell::new(HashSet::new()));
    let examples = corpus.borrow().clone();
    for example in &examples {
        log.write(example);
        seen.borrow_mut().insert(check(example));
    }
    let executions = Cell::new(examples.len());
    let execute = |recipe: &[u8]| {
        let damage = |corpus: &[Vec<u8>]| {
            damaged(&Kit { corpus, dictionary: target.dictionary, bytes_max: target.bytes_max }, recipe)
        };
        let input = damage(&corpus.borrow());
        log.write(&input);
        executions.set(executions.get() + 1);
        let is_new = seen.borrow_mut().insert(check(&input));
        if is_new && corpus.borrow().len() < KEPT_MAX && input.len() <= KEPT_BYTES_MAX {
            corpus.borrow_mut().push(input);
        }
    };
    // Shrinking would need the same corpus at every try; the input that was written down is small enough.
    let execute = AssertUnwindSafe(execute);
    bolero::check!(name = target.name)
        .with_max_len(RECIPE_BYTES_MAX)
        .with_shrink_time(Duration::ZERO)
        .for_each(|recipe: &[u8]| (*execute)(recipe));
    log.finish(executions.get(), examples.len(), corpus.borrow().len());
}

/// The files of one run: the input that is being executed, and at the end one line for the table.
struct Log {
    input: File,
    line: PathBuf,
    name: &'static str,
    began: Instant,
}

impl Log {
    fn new(name: &'static str) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz");
        fs::create_dir_all(&directory).unwrap();
        let line = directory.join(format!("{name}.line"));
        // An earlier run's, which would hide that this one did not come to its end.
        let _ = fs::remove_file(&line);
        let input = File::create(directory.join(format!("{name}.input"))).unwrap();
        Self { input, line, name, began: Instant::now() }
    }

    fn write(&self, input: &[u8]) {
        self.input.write_all_at(input, 0).unwrap();
        self.input.set_len(input.len() as u64).unwrap();
    }

    fn finish(&self, executions: usize, examples: usize, corpus: usize) {
        let (name, seconds) = (self.name, self.began.elapsed().as_secs_f32());
        let line = format!("{name} {executions} {seconds:.1} {examples} {corpus}\n");
        fs::write(&self.line, line).unwrap();
    }
}
