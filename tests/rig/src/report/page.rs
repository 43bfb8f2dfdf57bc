//! The page: one file that shows a run over time and promise by promise, dark or light as the reader's machine is.
//!
//! It asks nothing of any server and runs no script. Whatever comes from a history is text: [`escaped`].

use std::collections::BTreeMap;
use std::fmt::Write;

use super::faults::label;
use super::figures::Figures;
use super::series::Series;
use super::{conclusion, thousands};
use crate::checkers::Verdict;
use crate::history::{History, Strike};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
/// Height of a curve in its own units.
const HEIGHT: f64 = 100.0;

/// The page.
pub fn render(history: &History, figures: &Figures, verdicts: &[Verdict]) -> String {
    let state = if figures.is_clean { ("kept", "✓") } else { ("broken", "✗") };
    let summary = format!(
        "Seed {}: {} s of work on {} nodes, {} faults, {} entries read by everybody in it.",
        figures.seed,
        figures.seconds,
        figures.nodes,
        figures.faults,
        thousands(figures.given)
    );
    let series = Series::of(history);
    let filled = [
        ("title", format!("Parlour rig, seed {}", figures.seed)),
        ("summary", escaped(&summary)),
        ("verdict_class", state.0.to_owned()),
        ("verdict_glyph", state.1.to_owned()),
        ("verdict", escaped(&conclusion(verdicts))),
        ("tiles", tiles(figures)),
        ("timeline", timeline(history, &series)),
        ("verdicts", verdicts.iter().map(promise).collect()),
        ("measured", measured(figures)),
        ("faults", faults(figures)),
        ("rerun", format!("bin/rig --seed {}", figures.seed)),
        ("style", STYLE.to_owned()),
    ];
    // From the front, so that nothing that was filled in is filled in again.
    let mut page = String::with_capacity(PAGE.len() + STYLE.len() + 64 * 1024);
    let mut rest = PAGE;
    while let Some((before, after)) = rest.split_once("{{") {
        page.push_str(before);
        let Some((name, after)) = after.split_once("}}") else { break };
        page.push_str(filled.iter().find(|(wanted, _)| *wanted == name).map_or("", |(_, text)| text));
        rest = after;
    }
    page.push_str(rest);
    page
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn tiles(figures: &Figures) -> String {
    let tile = |(name, value, is_fault): (&str, u64, bool)| {
        let class = if is_fault && value > 0 { "tile broken" } else { "tile" };
        format!("<div class=\"{class}\"><b>{}</b><span>{name}</span></div>\n", thousands(value))
    };
    let counted = [
        ("acknowledged", figures.acked, false),
        ("faults", figures.faults, false),
        ("lost", figures.lost, true),
        ("duplicated", figures.duplicated, true),
        ("gaps", figures.gaps, true),
        ("reordered", figures.reordered, true),
        ("leaked", figures.leaked, true),
    ];
    let mut text: String = counted.into_iter().map(tile).collect();
    let worst = milliseconds(figures.worst_staleness_ms);
    let _ = writeln!(text, "<div class=\"tile\"><b>{worst}</b><span>worst staleness</span></div>");
    text
}

fn milliseconds(value: f64) -> String {
    if value >= 1_000.0 { format!("{:.1} s", value / 1_000.0) } else { format!("{value:.0} ms") }
}

fn timeline(history: &History, series: &Series) -> String {
    let highest = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    let mut text = curve("Acknowledged", &format!("a second, up to {:.0}", highest(&series.acks)), &series.acks);
    let late = milliseconds(highest(&series.staleness));
    text += &curve("From ack to screen", &format!("longest of a second, up to {late}"), &series.staleness);
    let mut lanes: BTreeMap<(u32, &str), Vec<&Strike>> = BTreeMap::new();
    for strike in &history.strikes {
        let kind = label(&strike.fault.kind).kind;
        let number = kind.trim_start_matches('F').split(' ').next().and_then(|number| number.parse().ok());
        lanes.entry((number.unwrap_or_default(), kind)).or_default().push(strike);
    }
    for ((_, kind), strikes) in &lanes {
        let bars: String = strikes.iter().map(|strike| bar(strike, history, series)).collect();
        let _ = writeln!(text, "<div class=\"lane\"><span>{kind}</span><div class=\"track\">{bars}</div></div>");
    }
    let ticks: String = (0..=4).map(|part| format!("<span>{} s</span>", series.seconds * part / 4)).collect();
    let _ = writeln!(text, "<div class=\"lane\"><span></span><div class=\"axis\">{ticks}</div></div>");
    text += "<p class=\"key\">A bar lasts as long as its cause; the outlined end is how long until what it broke worked again.</p>\n";
    text
}

fn curve(name: &str, remark: &str, values: &[f64]) -> String {
    let highest = values.iter().copied().fold(1.0, f64::max);
    let last = values.len().saturating_sub(1).max(1) as f64;
    let mut line = String::new();
    for (at, value) in values.iter().enumerate() {
        let (x, y) = (at as f64 * 1_000.0 / last, HEIGHT - value / highest * HEIGHT);
        let _ = write!(line, "{}{x:.1},{y:.1}", if at == 0 { "M" } else { " L" });
    }
    format!(
        "<div class=\"lane curve\"><span><b>{name}</b>{}</span><svg viewBox=\"0 0 1000 100\" preserveAspectRatio=\"none\" \
         role=\"img\" aria-label=\"{name}, {}\"><path class=\"area\" d=\"{line} L1000,100 L0,100 Z\"/>\
         <path class=\"stroke\" d=\"{line}\"/></svg></div>\n",
        escaped(remark),
        escaped(remark)
    )
}

fn bar(strike: &Strike, history: &History, series: &Series) -> String {
    let whole = series.seconds as f64 * 1e9;
    let share = |at: u64| (at.saturating_sub(series.from) as f64 / whole * 100.0).min(100.0);
    let over = strike.recovered.unwrap_or(history.ended).max(strike.healed);
    let (from, to) = (share(strike.injected), share(over));
    let mending = (to - share(strike.healed).min(to)) / (to - from).max(0.01) * 100.0;
    let label = label(&strike.fault.kind);
    let lasted = milliseconds(strike.healed.saturating_sub(strike.injected) as f64 / 1e6);
    let mended = strike.recovered.map_or_else(
        || "never recovered".to_owned(),
        |at| format!("recovered {} later", milliseconds(at.saturating_sub(strike.healed) as f64 / 1e6)),
    );
    let place = if label.target.is_empty() { String::new() } else { format!(" ({})", label.target) };
    let title = escaped(&format!("{}{place}: {lasted}, {mended}", label.kind));
    let class = if strike.recovered.is_some() { "bar" } else { "bar lost" };
    let width = to - from;
    format!(
        "<span class=\"{class}\" style=\"left:{from:.2}%;width:{width:.2}%\" title=\"{title}\"><i style=\"width:{mending:.0}%\"></i></span>"
    )
}

fn promise(verdict: &Verdict) -> String {
    let state = if verdict.is_kept() {
        "<span class=\"state kept\">✓ kept</span>".to_owned()
    } else {
        format!("<span class=\"state broken\">✗ broken {} ×</span>", thousands(verdict.count))
    };
    let told: String = verdict.violations.iter().map(|what| format!("<li>{}</li>", escaped(what))).collect();
    let list = if told.is_empty() { String::new() } else { format!("<ul>{told}</ul>") };
    format!(
        "<div class=\"promise\"><code>{}</code><span>{}</span>{state}<span class=\"quiet\">{} looked at</span>{list}</div>\n",
        verdict.checker,
        escaped(verdict.promise),
        thousands(verdict.checked)
    )
}

fn measured(figures: &Figures) -> String {
    let spread = |of: &super::figures::Spread| {
        let (middle, most, all) = (milliseconds(of.p50_ms), milliseconds(of.p99_ms), milliseconds(of.max_ms));
        format!("{middle} · {most} · {all}")
    };
    let mut rows = vec![
        ("from ack to screen while nothing is broken: p50 · p99 · max", spread(&figures.staleness)),
        ("from the end of rights to the end of a socket: p50 · p99 · max", spread(&figures.revoke_to_close)),
        ("cards won, of those chosen on", format!("{} of {}", thousands(figures.winners), thousands(figures.cards))),
        ("cards that several wanted", thousands(figures.contested)),
        ("rooms at nodes that named exactly who was there", {
            let right = figures.attendances.saturating_sub(figures.attendances_wrong);
            format!("{} of {}", thousands(right), thousands(figures.attendances))
        }),
        ("times a reader went on from where it stood", thousands(figures.resumes)),
        ("slowest recovery", milliseconds(figures.longest_recovery_ms)),
    ];
    if let Some(without) = figures.revoke_to_close_without_redis_ms {
        rows.insert(2, ("the same while nodes could not hear each other: max", milliseconds(without)));
    }
    let megabytes = |name: &str| figures.highest.get(name).map(|bytes| format!("{:.0} MiB", bytes / 1024.0 / 1024.0));
    rows.extend(megabytes("node_rss_bytes_max").map(|most| ("most memory of a node", most)));
    rows.extend(megabytes("redis_memory_bytes_max").map(|most| ("most memory of Redis", most)));
    let row =
        |(name, value): (&str, String)| format!("<tr><th scope=\"row\">{name}</th><td class=\"n\">{value}</td></tr>\n");
    rows.into_iter().map(row).collect()
}

fn faults(figures: &Figures) -> String {
    let number =
        |kind: &str| kind.trim_start_matches('F').split(' ').next().and_then(|number| number.parse::<u32>().ok());
    let mut kinds: Vec<_> = figures.kinds.iter().collect();
    kinds.sort_by_key(|(kind, _)| number(kind));
    let row = |(kind, struck): (&String, &super::figures::Struck)| {
        let slowest = match struck.unrecovered {
            0 => milliseconds(struck.slowest_recovery_ms),
            some => format!("✗ {some} never"),
        };
        format!(
            "<tr><th scope=\"row\">{kind}</th><td class=\"n\">{}</td><td class=\"n\">{slowest}</td></tr>\n",
            struck.count
        )
    };
    kinds.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::render;
    use crate::checkers::check;
    use crate::checkers::fixture::Story;
    use crate::history::Leak;
    use crate::plan::Plan;
    use crate::report::Figures;

    #[test]
    fn whatever_was_found_is_text() {
        let mut history = Story::whole();
        let what = "<script>{{title}}</script>".to_owned();
        history.leaks.push(Leak { place: "a log".to_owned(), what });
        let verdicts = check(&history);
        let plan = Plan { seed: 7, seconds: 1, acks: 1, faults: Vec::new() };
        let page = render(&history, &Figures::of(&history, &plan, &verdicts), &verdicts);
        assert!(page.contains("&lt;script&gt;{{title}}&lt;/script&gt;"), "{page}");
        assert!(page.contains("1 of 12 promises were broken: C8."));
    }
}
