//! The report of a run: a table for whoever stands in front of the terminal, `latest.json` for programs, and `report.html`,
//! one file without a foreign request, for everybody else.
//!
//! It repeats what the checkers found and judges nothing itself. Look at `figures.rs` for the numbers, `page.rs` for the page.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;

use crate::checkers::Verdict;
use crate::history::History;
use crate::plan::Plan;

pub use figures::Figures;

mod faults;
mod figures;
mod page;
mod series;

/// Violations told in the terminal for one promise; the files have more.
const TOLD: usize = 3;

/// Writes `latest.json` and `report.html` into a directory, and gives the figures.
///
/// # Errors
/// When the directory cannot be written to.
pub fn write(history: &History, plan: &Plan, verdicts: &[Verdict], directory: &Path) -> io::Result<Figures> {
    let figures = Figures::of(history, plan, verdicts);
    fs::create_dir_all(directory)?;
    let mut flat = serde_json::to_value(&figures)?;
    if let Some(flat) = flat.as_object_mut() {
        flat.insert("verdicts".to_owned(), serde_json::to_value(verdicts)?);
    }
    fs::write(directory.join("latest.json"), format!("{flat:#}\n"))?;
    fs::write(directory.join("report.html"), page::render(history, &figures, verdicts))?;
    Ok(figures)
}

/// The run in a terminal: what was done, what was found, promise by promise, and one last line that says it all.
pub fn table(figures: &Figures, verdicts: &[Verdict]) -> String {
    let mut text = format!("\n  seed {}, {} s, {} nodes\n\n", figures.seed, figures.seconds, figures.nodes);
    for (name, value, remark) in lines(figures) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name:<16}{value:>12}  {remark}");
    }
    text.push('\n');
    for verdict in verdicts {
        let (glyph, found) = if verdict.is_kept() {
            ("✓", format!("kept     {:>12} looked at", thousands(verdict.checked)))
        } else {
            ("✗", format!("BROKEN   {:>12} violations", thousands(verdict.count)))
        };
        let _ = writeln!(text, "  {glyph} {:<4} {found}   {}", verdict.checker, verdict.promise);
        for what in verdict.violations.iter().take(TOLD) {
            let _ = writeln!(text, "         - {what}");
        }
        if verdict.count > TOLD as u64 {
            let _ = writeln!(text, "         and {} more", thousands(verdict.count - TOLD as u64));
        }
    }
    let _ = writeln!(text, "\n  {}", conclusion(verdicts));
    text
}

/// One sentence for the whole run.
pub fn conclusion(verdicts: &[Verdict]) -> String {
    let broken: Vec<&str> =
        verdicts.iter().filter(|verdict| !verdict.is_kept()).map(|verdict| verdict.checker).collect();
    if broken.is_empty() {
        return format!("All {} promises were kept.", verdicts.len());
    }
    format!("{} of {} promises were broken: {}.", broken.len(), verdicts.len(), broken.join(", "))
}

/// The figures that come first, with a remark each.
fn lines(figures: &Figures) -> Vec<(&'static str, String, String)> {
    let count = |value: u64| thousands(value);
    let recovery = match figures.unrecovered {
        0 => format!("all recovered, the slowest {:.1} s after its cause was gone", figures.longest_recovery_ms / 1e3),
        some => format!("{some} did not recover"),
    };
    let rate = if figures.seconds == 0 { 0 } else { figures.acked / figures.seconds };
    let staleness = &figures.staleness;
    let healthy = format!(
        "ms at worst; while nothing was broken {:.0} ms in the middle, {:.0} ms for 99 of 100",
        staleness.p50_ms, staleness.p99_ms
    );
    let closing = &figures.revoke_to_close;
    let closed = format!("ms at worst, {:.0} ms in the middle, of {} sockets", closing.p50_ms, closing.count);
    vec![
        ("acknowledged", count(figures.acked), format!("operations, {} a second", count(rate))),
        ("faults", count(figures.faults), recovery),
        ("lost", count(figures.lost), String::new()),
        ("duplicated", count(figures.duplicated), String::new()),
        ("gaps", count(figures.gaps), String::new()),
        ("reordered", count(figures.reordered), String::new()),
        ("leaked", count(figures.leaked), String::new()),
        ("staleness", format!("{:.0}", figures.worst_staleness_ms), healthy),
        ("revoke to close", format!("{:.0}", closing.max_ms), closed),
        ("cards won", count(figures.winners), format!("of {}, {} of them contested", figures.cards, figures.contested)),
    ]
}

/// A number that can be read at a glance: 1,234,567.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::check;
    use crate::checkers::fixture::Story;

    fn plan() -> Plan {
        Plan { seed: 7, seconds: 1, acks: 1, faults: Vec::new() }
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([7, 999, 1_000, 1_234_567].map(thousands), ["7", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_good_run_is_told_in_one_last_line() {
        let history = Story::whole();
        let verdicts = check(&history);
        let text = table(&Figures::of(&history, &plan(), &verdicts), &verdicts);
        assert!(text.trim_end().ends_with("All 12 promises were kept."), "{text}");
        assert!(text.contains("seed 7") && text.contains("✓ C1 "), "{text}");
    }

    #[test]
    fn a_broken_promise_is_told_with_what_broke_it() {
        let mut history = Story::whole();
        history.readings[0].entries.remove(2);
        let verdicts = check(&history);
        let figures = Figures::of(&history, &plan(), &verdicts);
        let text = table(&figures, &verdicts);
        assert_eq!((figures.lost, figures.gaps > 0, figures.is_clean), (1, true, false));
        assert!(text.contains("✗ C1   BROKEN") && text.contains("- op 2 was acknowledged"), "{text}");
        assert!(text.contains("promises were broken: C1, C2"), "{text}");
    }

    #[test]
    fn files_hold_what_others_read() {
        let directory = std::env::temp_dir().join(format!("parlour-report-{}", std::process::id()));
        let history = Story::whole();
        write(&history, &plan(), &check(&history), &directory).unwrap();
        let json: serde_json::Value =
            serde_json::from_slice(&fs::read(directory.join("latest.json")).unwrap()).unwrap();
        let page = fs::read_to_string(directory.join("report.html")).unwrap();
        fs::remove_dir_all(&directory).unwrap();
        for name in [
            "seed",
            "seconds",
            "nodes",
            "acked",
            "faults",
            "lost",
            "duplicated",
            "gaps",
            "reordered",
            "leaked",
            "worst_staleness_ms",
            "verdicts",
        ] {
            assert!(json.get(name).is_some(), "{name} is missing");
        }
        assert!(
            !page.contains("http://") && !page.contains("https://") && !page.contains("<script"),
            "a foreign request"
        );
        assert!(!page.contains("{{"), "a place that was not filled in");
    }
}
