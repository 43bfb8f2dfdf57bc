//! What is read, asked and looked for when the run is over and everything works again.
//!
//! It only notes; checkers decide. The order matters: last tries first, because they write, then whoever is there, then every
//! room read in every way, then what must be nowhere. Look next in `finish/`.

mod attendance;
mod probes;
mod readings;
mod scans;
mod walls;

use crate::history::Recorder;
use crate::machine::Machine;
use crate::workload::Workload;

/// Finishes a history: to be called when everything is calm and the workload has stopped.
pub async fn finish(machine: &Machine, workload: &Workload, recorder: &Recorder) {
    probes::probe(workload).await;
    workload.caught_up().await;
    attendance::take(workload).await;
    readings::read(workload).await;
    scans::scan(machine, workload, recorder).await;
    walls::climb(machine, recorder).await;
    workload.end().await;
}
