use crate::history::History;
pub struct Verdict { pub checker: &'static str, pub promise: &'static str, pub checked: u64, pub violations: Vec<String>, pub count: u64 }
pub fn check(h: &History) -> Vec<Verdict> {
  let mut v: Vec<String> = h.leaks.iter().map(|l| format!("{l:?}")).collect();
  v.extend(h.strikes.iter().filter(|s| s.recovered.is_none()).map(|s| format!("{s:?}")));
  for s in &h.strikes { println!("{:?} at {} ms heal {} ms rec {:?} ms", s.fault.kind, s.injected/1000000, (s.healed - s.injected)/1000000, s.recovered.map(|r| (r-s.healed)/1000000)); }
  let count = v.len() as u64;
  vec![Verdict{checker:"C11", promise:"recovers", checked: h.strikes.len() as u64, violations: v, count}]
}
