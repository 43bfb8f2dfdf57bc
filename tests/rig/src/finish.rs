//! What is read, asked and looked for when the run is over and everything works again.
//!
//! It only notes; checkers decide. The order matters: last tries first, because they write. Then, at once, because each waits
//! for something else: whoever is there, every room read in every way, and what the database shows to whom. Then what all of
//! that may have left where it must not be. Look next in `finish/`.

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
    tokio::join!(attendance::take(workload), readings::read(workload), walls::climb(machine, recorder));
    scans::scan(machine, workload, recorder).await;
    workload.end().await;
}
