//! Samples: once a second, what the nodes, PostgreSQL and Redis take and say of themselves.
//!
//! Who does not answer in time has no sample of that second. It must never hold a run up. Look at C12 for who reads them.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::history::Sample;
use crate::machine::node::NodeProcess;
use crate::machine::{Machine, processes};

const EVERY: Duration = Duration::from_secs(1);
/// How long asking Redis may take.
const REDIS_PATIENCE: Duration = Duration::from_secs(1);

/// Samples until it is dropped.
pub async fn run(machine: Machine) {
    let http = processes::http();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        for (number, node) in machine.0.nodes.iter().enumerate() {
            note(&machine, format!("node-{number}"), of_node(node, &http).await);
        }
        note(&machine, "postgres".to_owned(), of_postgres(&machine).await);
        note(&machine, "redis".to_owned(), of_redis(&machine).await);
    }
}

fn note(machine: &Machine, of: String, gauges: BTreeMap<String, f64>) {
    if !gauges.is_empty() {
        let at = machine.0.recorder.now();
        machine.0.recorder.with(|history| history.samples.push(Sample { at, of, gauges }));
    }
}

async fn of_node(node: &NodeProcess, http: &reqwest::Client) -> BTreeMap<String, f64> {
    let mut gauges = of_process(node.pid().await);
    if let Ok(answer) = http.get(format!("{}/metrics", node.admin().http)).send().await
        && let Ok(text) = answer.text().await
    {
        gauges.extend(metrics(&text));
    }
    gauges
}

async fn of_postgres(machine: &Machine) -> BTreeMap<String, f64> {
    let mut gauges = of_process(machine.0.postgres.pid().await);
    let connections = machine.0.postgres.connections().await.and_then(|count| u32::try_from(count).ok());
    gauges.extend(connections.map(|count| ("connections".to_owned(), f64::from(count))));
    gauges
}

async fn of_redis(machine: &Machine) -> BTreeMap<String, f64> {
    // Its lock is held while it is broken.
    let Ok(redis) = machine.0.redis.try_lock() else { return BTreeMap::new() };
    let ask = async {
        let mut connection = redis.connection().await?;
        redis::cmd("INFO").query_async::<String>(&mut connection).await
    };
    let Ok(Ok(info)) = timeout(REDIS_PATIENCE, ask).await else { return BTreeMap::new() };
    let lines = info.lines().filter_map(|line| line.split_once(':'));
    let wanted = lines.filter(|(name, _)| ["used_memory", "connected_clients", "used_memory_rss"].contains(name));
    wanted.filter_map(|(name, value)| Some((name.to_owned(), value.trim().parse().ok()?))).collect()
}

fn of_process(pid: Option<u32>) -> BTreeMap<String, f64> {
    let Some(pid) = pid else { return BTreeMap::new() };
    let named = [("rss_bytes", processes::memory(pid)), ("descriptors", processes::descriptors(pid))];
    named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// Counters and gauges of Prometheus's text format, under their names with their labels; how times are spread is left out.
fn metrics(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.contains("_bucket{"));
    let pairs = lines.filter_map(|line| line.rsplit_once(' ')).filter(|(name, _)| !name.contains("quantile="));
    pairs.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::metrics;

    #[test]
    fn counters_and_gauges_are_read_and_spreads_are_not() {
        let text = "# TYPE a counter\na{x=\"y z\"} 3\nb 0.5\nc_bucket{le=\"1\"} 7\nc_sum 2\nd{quantile=\"0.5\"} 1\n";
        let read: Vec<_> = metrics(text).into_iter().collect();
        assert_eq!(read, [("a{x=\"y z\"}".to_owned(), 3.0), ("b".to_owned(), 0.5), ("c_sum".to_owned(), 2.0)]);
    }
}
