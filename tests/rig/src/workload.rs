use crate::{machine::Machine, history::{Recorder,Strike}, options::Options, plan::Fault};
use std::sync::{Arc, atomic::{AtomicU64, AtomicBool, Ordering}};
use parlour_testkit::{people::People, actors::{Actor, Endpoint}, socket::{Socket, Answer}};
use parlour_protocol::{codec::Codec, id::ConversationId};
#[derive(Clone)]
pub struct Workload { acked: Arc<AtomicU64>, stop: Arc<AtomicBool>, who: Vec<(Actor, ConversationId)>, endpoints: Vec<Endpoint>, recorder: Recorder }
impl Workload {
  pub async fn cast(m: &Machine, r: &Recorder, _: &Options) -> Self {
    let people = People::new(m.direct()[0].clone(), m.database());
    let amira = people.tenancy("lagon").await.admin;
    let rooms: usize = std::env::var("ROOMS").ok().and_then(|v| v.parse().ok()).unwrap_or(10);
    let mut who = vec![];
    for n in 0..rooms { who.push((amira.clone(), amira.conversation(&format!("r{n}")).await)); }
    Self { acked: Default::default(), stop: Default::default(), who, endpoints: m.endpoints(), recorder: r.clone() }
  }
  pub fn start(&self) {
    let depth: usize = std::env::var("DEPTH").ok().and_then(|v| v.parse().ok()).unwrap_or(8);
    let per: usize = std::env::var("PER").ok().and_then(|v| v.parse().ok()).unwrap_or(3);
    for (i, (a, c)) in self.who.iter().enumerate() { for k in 0..per {
      let (a, c, s) = (a.clone(), *c, self.clone());
      tokio::spawn(async move {
        let mut turn = i + k;
        while !s.stop.load(Ordering::Relaxed) {
          turn += 1;
          let ep = &s.endpoints[turn % s.endpoints.len()];
          let Ok(Ok(sock)) = tokio::time::timeout(std::time::Duration::from_secs(3), Socket::open(&ep.ws, Codec::Json)).await else { tokio::time::sleep(std::time::Duration::from_millis(50)).await; continue };
          let go = async {
          let Answer::Ok(_) = sock.hello(&a.token).await else { return };
          let Answer::Ok(_) = sock.attach(c, None).await else { return };
          let mut pend = std::collections::VecDeque::new();
          loop {
            if s.stop.load(Ordering::Relaxed) { return }
            while pend.len() < depth { pend.push_back(sock.begin(serde_json::json!({"type":"send","conversation":c,"client_id":parlour_protocol::id::ClientId::generate(),"text":"hello there, this is a message"}))); }
            let p = pend.pop_front().unwrap();
            match tokio::time::timeout(std::time::Duration::from_secs(5), p).await { Ok(Ok(v)) if v.get("ok").is_some() => { s.acked.fetch_add(1, Ordering::Relaxed); } Ok(Ok(_)) => { tokio::time::sleep(std::time::Duration::from_millis(50)).await; } _ => return }
            sock.pushes_so_far().await;
          } };
          go.await;
        }
      });
    } }
  }
  pub fn acked(&self) -> u64 { self.acked.load(Ordering::Relaxed) }
  pub async fn strike(&self, f: &Fault) { let n = self.recorder.now(); self.recorder.with(|h| h.strikes.push(Strike { fault: f.clone(), injected: n, healed: n, recovered: Some(n) })); }
  pub async fn stop(&self) { self.stop.store(true, Ordering::Relaxed); }
}
