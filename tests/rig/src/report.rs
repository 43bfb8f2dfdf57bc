use crate::{history::History, plan::Plan, checkers::Verdict};
pub struct Figures;
pub fn write(_: &History, _: &Plan, _: &[Verdict], _: &std::path::Path) -> std::io::Result<Figures> { Ok(Figures) }
pub fn table(_: &Figures, v: &[Verdict]) -> String { v.iter().map(|v| format!("{} {} {} {:#?}\n", v.checker, v.promise, v.checked, v.violations)).collect() }
