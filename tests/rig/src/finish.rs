use crate::{machine::Machine, workload::Workload, history::Recorder};
pub async fn finish(_: &Machine, _: &Workload, _: &Recorder) {}
