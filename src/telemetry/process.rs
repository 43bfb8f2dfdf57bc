//! What the process itself holds: files, memory, tasks. Under the names that Prometheus has for them, where it has some.
//!
//! On Linux read from /proc; elsewhere only the tasks are told. It must cost next to nothing: it is asked every few seconds.

use tokio::runtime::Handle;

/// Says what the gauges mean.
pub fn describe() {
    metrics::describe_gauge!("parlour_tasks", "Tasks of the runtime that have not ended.");
    metrics::describe_gauge!("process_open_fds", "Open files, sockets included.");
    metrics::describe_gauge!("process_resident_memory_bytes", "Memory that is in use.");
}

/// Tells how much that is now.
pub fn set_gauges() {
    metrics::gauge!("parlour_tasks").set(Handle::current().metrics().num_alive_tasks() as f64);
    #[cfg(target_os = "linux")]
    {
        if let Some(files) = open_files() {
            metrics::gauge!("process_open_fds").set(files as f64);
        }
        if let Some(bytes) = resident_bytes() {
            metrics::gauge!("process_resident_memory_bytes").set(bytes as f64);
        }
    }
}

#[cfg(target_os = "linux")]
fn open_files() -> Option<usize> {
    // One of them is the list itself.
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1))
}

#[cfg(target_os = "linux")]
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
