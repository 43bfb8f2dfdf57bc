//! From a command to what it does: one arm per command, without a wildcard, so that a new one shows every place to decide.
//!
//! An arm finds the right (a `Grant`, from facts read now), calls the desk or the hub, and answers with the reply its command
//! is tied to. Rules live elsewhere: who may in `domain::policy`, what happens in `commands` and `hub`.

use std::sync::{Arc, Mutex};

use parlour_protocol::close::CloseCode;
use parlour_protocol::command::{self, Command, Numbered, Request, Topic};
use parlour_protocol::entry::WhoKind;
use parlour_protocol::error::{ErrorBody, ErrorCode};
use parlour_protocol::id::ConversationId;
use parlour_protocol::limits::{PAGE_ENTRIES_DEFAULT, PAGE_ENTRIES_MAX};
use parlour_protocol::reply::{ConversationRef, Empty, Members, Outcome, Refreshed, Reply};
use tokio::time::Instant;

use crate::commands::failure::Failure;
use crate::domain::policy::{self, Asked, Facts, Grant};
use crate::domain::principal::Principal;
use crate::domain::room::RoomKey;
use crate::hub::catch_up::Welcome;
use crate::hub::locked;
use crate::hub::session::Session;
use crate::store::log::Range;
use crate::ws::Gate;
use crate::ws::desk::Answer;
use crate::ws::handshake::millis;
use crate::ws::pipeline::{First, Job, Later};

/// Whose commands are carried out.
pub struct Caller<'a> {
    /// The node.
    pub gate: &'a Gate,
    /// The socket.
    pub session: &'a Arc<Session>,
    /// When its authentication ends, unless it is renewed.
    pub expires_at: Mutex<Option<Instant>>,
}

/// What an answer is made of.
type Answered<C> = Result<<C as Request>::Ok, ErrorBody>;

/// Starts a job. The future is over when the next job may start; what it returns is over when the reply is in the outbox.
pub fn start<'a>(caller: &'a Caller<'a>, job: Job) -> First<'a> {
    match job {
        Job::Command(Numbered { id, command }) => Box::pin(carry_out(caller, id, command)),
        Job::Recheck => Box::pin(async {
            caller.recheck().await;
            None
        }),
    }
}

async fn carry_out<'a>(caller: &'a Caller<'a>, id: u64, command: Command) -> Option<Later<'a>> {
    let desk = &caller.gate.desk;
    let principal = caller.session.principal();
    match command {
        Command::Send(send) => {
            caller.stop_typing(send.conversation);
            return caller.durable::<command::Send>(id, desk.send(principal, send)).await;
        }
        Command::Note(note) => {
            caller.stop_typing(note.conversation);
            return caller.durable::<command::Note>(id, desk.note(principal, note)).await;
        }
        Command::Edit(edit) => {
            caller.stop_typing(edit.conversation);
            return caller.durable::<command::Edit>(id, desk.edit(principal, edit)).await;
        }
        Command::Redact(redact) => {
            return caller.durable::<command::Redact>(id, desk.redact(principal, redact)).await;
        }
        Command::Select(select) => {
            return caller.durable::<command::Select>(id, desk.select(principal, select)).await;
        }
        Command::Attach(attach) => {
            // The hub itself answers, in the instant of going live.
            if let Err(error) = caller.attach(id, attach).await {
                caller.answer::<command::Attach>(id, Err(error));
            }
        }
        Command::Hello(_) => {
            let error = ErrorBody::new(ErrorCode::Malformed, "hello is said once, at first");
            caller.answer::<command::Hello>(id, Err(error));
        }
        Command::Refresh(refresh) => caller.answer::<command::Refresh>(id, caller.refresh(refresh).await),
        Command::Detach(detach) => caller.answer::<command::Detach>(id, caller.detach(detach.conversation)),
        Command::Subscribe(subscribe) => caller.answer::<command::Subscribe>(id, caller.subscribe(subscribe.topic)),
        Command::Seen(seen) => caller.answer::<command::Seen>(id, desk.seen(principal, seen).await),
        Command::Typing(typing) => caller.answer::<command::Typing>(id, caller.typing(typing).await),
        Command::Presence(presence) => caller.answer::<command::Presence>(id, caller.presence(presence).await),
        Command::Read(read) => caller.answer::<command::Read>(id, desk.read(principal, read).await),
        Command::History(history) => {
            let answer = caller.history(history).await;
            // Entries are withheld until it is certain again who may read them.
            let flowing = caller.gate.hub.flow();
            caller.answer::<command::History>(id, flowing.as_ref().map_err(ErrorBody::clone).and(answer));
        }
        Command::Ping(command::Ping {}) => caller.answer::<command::Ping>(id, Ok(Empty {})),
    }
    None
}

impl<'a> Caller<'a> {
    fn answer<C: Request>(&self, id: u64, answer: Answered<C>) {
        let outcome = match answer {
            Ok(ok) => Outcome::Ok(ok),
            Err(error) => Outcome::Error(error),
        };
        self.session.reply(&Reply { id: Some(id), outcome });
    }

    /// Waits for the place in the order; the commit is waited for later.
    async fn durable<C: Request>(&'a self, id: u64, started: Answer<'a, Answer<'a, C::Ok>>) -> Option<Later<'a>>
    where
        C::Ok: Send + 'a,
    {
        match started.await {
            Ok(committed) => Some(Box::pin(async move { self.answer::<C>(id, committed.await) })),
            Err(error) => {
                self.answer::<C>(id, Err(error));
                None
            }
        }
    }

    fn room(&self, conversation: ConversationId) -> RoomKey {
        RoomKey { organization: self.session.organization(), conversation }
    }

    fn stop_typing(&self, conversation: ConversationId) {
        self.gate.hub.stop_typing(self.session, self.room(conversation));
    }

    /// The right to do something in a conversation, decided on facts read now.
    async fn grant<A: Asked>(
        &self,
        principal: &Arc<Principal>,
        conversation: ConversationId,
    ) -> Result<(Grant<A>, Facts, ConversationRef), ErrorBody> {
        let (facts, reference) = self.gate.desk.facts(Arc::clone(principal), conversation).await?;
        let grant = policy::authorize(principal, &facts).map_err(|denied| ErrorBody::from(&Failure::from(denied)))?;
        Ok((grant, facts, reference))
    }

    /// The right to a sign, on what is remembered, while the database does not answer and rights still count as confirmed.
    fn grant_at_hand<A: Asked>(&self, principal: &Arc<Principal>, conversation: ConversationId) -> Option<Grant<A>> {
        self.gate.hub.flow().ok()?;
        let facts = self.gate.desk.remembered_facts(principal, conversation)?;
        policy::authorize(principal, &facts).ok()
    }

    async fn attach(&self, id: u64, attach: command::Attach) -> Result<(), ErrorBody> {
        let principal = self.session.principal();
        let (grant, facts, conversation) = self.grant::<policy::Read>(&principal, attach.conversation).await?;
        let rights = policy::rights(&principal, &facts);
        let for_readers = grant.clone();
        let welcome = async {
            let (receipts, seen) = self.gate.desk.readers(for_readers).await?;
            Ok(Welcome { conversation, rights, receipts, seen })
        };
        self.gate.hub.attach(self.session, id, grant, attach.since, welcome).await?;
        // Rights that changed while the log was read were told to attached sessions only.
        let now = self.session.principal();
        if !Arc::ptr_eq(&now, &principal) {
            self.gate.hub.set_rights(self.session, attach.conversation, &policy::rights(&now, &facts));
        }
        Ok(())
    }

    fn detach(&self, conversation: ConversationId) -> Answered<command::Detach> {
        self.gate.hub.detach(self.session, self.room(conversation));
        Ok(Empty {})
    }

    fn subscribe(&self, topic: Topic) -> Answered<command::Subscribe> {
        let principal = self.session.principal();
        match topic {
            Topic::Inbox if principal.kind() == WhoKind::Staff && policy::sight(&principal).is_some() => {
                self.gate.hub.inbox().subscribe(self.session);
                Ok(Empty {})
            }
            Topic::Inbox => Err(ErrorBody::new(ErrorCode::Forbidden, "only staff have a list of conversations")),
        }
    }

    async fn typing(&self, typing: command::Typing) -> Answered<command::Typing> {
        let principal = self.session.principal();
        let grant = match self.grant::<policy::ShowTyping>(&principal, typing.conversation).await {
            Ok((grant, ..)) => grant,
            Err(error) if error.code == ErrorCode::Unavailable => {
                self.grant_at_hand(&principal, typing.conversation).ok_or(error)?
            }
            Err(error) => return Err(error),
        };
        self.gate.hub.typing(self.session, &grant, typing.active);
        Ok(Empty {})
    }

    async fn presence(&self, presence: command::Presence) -> Answered<command::Presence> {
        let (grant, ..) = self.grant::<policy::Read>(&self.session.principal(), presence.conversation).await?;
        if let Some(viewing) = presence.viewing {
            self.gate.hub.view(self.session, &grant, viewing);
        }
        Ok(Members { members: self.gate.hub.members(&grant) })
    }

    async fn history(&self, history: command::History) -> Answered<command::History> {
        let range = match (history.before, history.after, history.around) {
            (None, None, None) => Range::Newest,
            (Some(before), None, None) => Range::Before(before),
            (None, Some(after), None) => Range::After(after),
            (None, None, Some(around)) => Range::Around(around),
            _ => return Err(ErrorBody::invalid("before", "only one of before, after and around")),
        };
        let limit = history.limit.unwrap_or(PAGE_ENTRIES_DEFAULT);
        if !(1..=PAGE_ENTRIES_MAX).contains(&limit) {
            return Err(ErrorBody::invalid("limit", "from 1 to 200"));
        }
        self.gate.desk.history(self.session.principal(), history.conversation, range, limit).await
    }

    async fn refresh(&self, refresh: command::Refresh) -> Answered<command::Refresh> {
        let current = self.session.principal();
        match (current.kind(), refresh.token) {
            (WhoKind::Guest, None) => self.refresh_guest(current).await,
            (WhoKind::Guest, Some(_)) => {
                Err(ErrorBody::invalid("token", "a guest's link is read again without a token"))
            }
            (WhoKind::Staff | WhoKind::Service, None) => Err(ErrorBody::invalid("token", "a fresh token is required")),
            (WhoKind::Staff | WhoKind::Service, Some(token)) => {
                let fresh = self.gate.desk.authenticate(token).await?;
                let principal = fresh.principal;
                let is_same = principal.kind() == current.kind()
                    && principal.author() == current.author()
                    && principal.organization.id == current.organization.id;
                if !is_same {
                    return Err(ErrorBody::new(ErrorCode::Forbidden, "the token is somebody else's"));
                }
                self.session.set_principal(principal);
                self.renew(fresh.expires_in.map(|life| Instant::now() + life));
                Ok(Refreshed { expires_in_ms: fresh.expires_in.map(millis), guest_token: None })
            }
        }
    }

    async fn refresh_guest(&self, current: Arc<Principal>) -> Answered<command::Refresh> {
        let Some(fresh) = self.gate.desk.reload(current).await? else {
            self.session.close(CloseCode::LinkEnded);
            return Err(ErrorBody::from(&Failure::link_ended()));
        };
        let (token, life) = self.gate.desk.guest_token(&fresh)?;
        self.session.set_principal(fresh);
        self.renew(Some(Instant::now() + life));
        Ok(Refreshed { expires_in_ms: Some(millis(life)), guest_token: Some(token) })
    }

    /// The guest's time is up, by our clock: the link decides.
    async fn recheck(&self) {
        match self.gate.desk.reload(self.session.principal()).await {
            Ok(Some(fresh)) => match self.gate.desk.guest_token(&fresh) {
                Ok((_, life)) => {
                    self.session.set_principal(fresh);
                    self.renew(Some(Instant::now() + life));
                }
                Err(_) => self.session.close(CloseCode::TryAgainLater),
            },
            Ok(None) => self.session.close(CloseCode::LinkEnded),
            // What cannot be confirmed does not go on.
            Err(_) => self.session.close(CloseCode::TryAgainLater),
        }
    }

    fn renew(&self, expires_at: Option<Instant>) {
        *locked(&self.expires_at) = expires_at;
    }
}
