//! Progress: what a run tells while it goes on, on one line that is rewritten on a terminal, else now and then.
//!
//! It only looks. Everything printed for people goes through [`say`].

use std::io::{IsTerminal, Write, stdout};
use std::time::Duration;

use tokio::time::{Instant, interval};

/// How often a line is printed where it cannot be rewritten.
const LINES: u64 = 10;

/// What is known at a moment.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Messages acknowledged so far.
    pub acks: u64,
    /// Faults that are over.
    pub over: usize,
    /// All faults of the plan.
    pub faults: usize,
    /// What is broken now.
    pub broken: Vec<String>,
}

/// Prints a line.
pub fn say(line: &str) {
    let mut out = stdout().lock();
    let clear = if out.is_terminal() { "\r\x1b[K" } else { "" };
    // Nobody listens any more; the run goes on.
    let _ = writeln!(out, "{clear}{line}");
}

/// Tells how it stands, until it is dropped.
pub async fn tell(look: impl Fn() -> Standing) {
    let began = Instant::now();
    let mut ticks = interval(Duration::from_secs(1));
    let mut before = 0;
    for tick in 0_u64.. {
        ticks.tick().await;
        let is_terminal = stdout().is_terminal();
        if tick == 0 || !(is_terminal || tick % LINES == 0) {
            continue;
        }
        let now = look();
        let seconds = if is_terminal { 1 } else { LINES };
        let rate = now.acks.saturating_sub(before) / seconds;
        before = now.acks;
        let broken = if now.broken.is_empty() { "nothing".to_owned() } else { now.broken.join(", ") };
        let line = format!(
            "{:>4} s  {:>7} acknowledged, {rate:>5}/s  faults {}/{}  broken: {broken}",
            began.elapsed().as_secs(),
            now.acks,
            now.over,
            now.faults,
        );
        if is_terminal {
            let mut out = stdout().lock();
            let _ = write!(out, "\r\x1b[K{}", line.chars().take(119).collect::<String>());
            let _ = out.flush();
        } else {
            say(&line);
        }
    }
}
