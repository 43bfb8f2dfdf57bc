//! Plays the demonstration's script once, through the same commands that everybody uses; later starts only look whether the
//! client's link still lives and let the staff in.
//!
//! Only the organization and its people are made beside the commands, as `parlour org` and `parlour user` make them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use parlour_protocol::id::{ClientId, ConversationId, OrganizationId, PersonId};
use parlour_protocol::share::ShareStatus;
use secrecy::ExposeSecret;

use crate::app::App;
use crate::cli::apikey::{self, NewKey};
use crate::cli::dev::script::{Script, ScriptConversation, Step, What};
use crate::cli::dev::state::{Demo, DevState, Link, LogIn};
use crate::cli::dev::welcome::Staff;
use crate::cli::dev::words;
use crate::cli::error::{CliError, Exit};
use crate::commands::conversations::ConversationRequest;
use crate::commands::visits::Claim;
use crate::domain::principal::Principal;
use crate::domain::share::ShareRequest;
use crate::store::platform::NewOrganization;

/// What systems of the demonstration may do.
const KEY_PERMISSIONS: [&str; 3] = ["conversations:*", "bookings:*", "shares:*"];
/// The key that is printed.
const KEY_NAME: &str = "Demo systems";
/// A link that lives long enough to come back to: the organization's cap.
const LINK_HOURS: i64 = 168;
const LINK_SEATS: i64 = 25;
/// Log-ins come from here.
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

type People = HashMap<String, Arc<Principal>>;

/// Makes what is missing of the demonstration and lets its staff in.
pub async fn open(app: &App, state: &mut DevState, data_dir: &Path) -> Result<Vec<Staff>, CliError> {
    if state.demo.is_none() {
        state.demo = Some(make(app).await?);
        state.save(data_dir)?;
    }
    let Some(demo) = state.demo.as_mut() else { return Err(CliError::new(Exit::Internal, "no demonstration")) };
    let mut staff = vec![];
    for LogIn { email, password } in &demo.staff {
        let tokens = app.auth().login(HERE, email, password.as_str().into()).await?;
        let token = tokens.access_token.expose_secret().to_owned();
        staff.push(Staff { email: email.clone(), password: password.clone(), token });
    }
    let lead = staff.first().ok_or_else(|| CliError::new(Exit::Internal, "nobody to let in"))?;
    let lead = app.auth().authenticate(&lead.token).await?.principal;
    let shares = app.commands().shares(&lead, demo.conversation).await?;
    let lives = |status| matches!(status, ShareStatus::Unopened | ShareStatus::Live);
    if !shares.iter().any(|share| share.id == demo.link.share && lives(share.status)) {
        demo.link = link(app, &lead, demo.conversation, "The printed link").await?;
        state.save(data_dir)?;
    }
    Ok(staff)
}

async fn make(app: &App) -> Result<Demo, CliError> {
    let script = Script::read()?;
    let organization = make_organization(app, &script).await?;
    let (staff, mut people) = make_staff(app, &script, organization).await?;
    for system in &script.systems {
        let key = make_key(app, organization, &system.name).await?;
        people.insert(system.key.clone(), app.auth().authenticate(&key).await?.principal);
    }
    let lead = script.staff.first().and_then(|person| people.get(&person.key)).cloned();
    let lead = lead.ok_or_else(|| CliError::new(Exit::Internal, "the script has no staff"))?;
    let mut main = None;
    for conversation in &script.conversations {
        let id = play(app, &lead, &people, conversation).await?;
        main = main.or(conversation.is_main.then_some(id));
    }
    let conversation = main.ok_or_else(|| CliError::new(Exit::Internal, "the script has no main conversation"))?;
    Ok(Demo {
        organization,
        conversation,
        staff,
        api_key: make_key(app, organization, KEY_NAME).await?,
        link: link(app, &lead, conversation, "The printed link").await?,
    })
}

async fn make_organization(app: &App, script: &Script) -> Result<OrganizationId, CliError> {
    let organization = &script.organization;
    let id = OrganizationId::generate();
    let new = NewOrganization {
        id,
        name: &organization.name,
        slug: &organization.slug,
        primary_color: Some(&organization.color),
        contact_email: Some(&organization.contact_email),
        contact_phone: Some(&organization.contact_phone),
        logo: None,
    };
    app.store().create_organization(&new).await?;
    Ok(id)
}

async fn make_staff(
    app: &App,
    script: &Script,
    organization: OrganizationId,
) -> Result<(Vec<LogIn>, People), CliError> {
    let (mut log_ins, mut people) = (vec![], People::new());
    for person in &script.staff {
        let password = words::password()?;
        let hash = app.auth().passwords().hash(password.as_str().into()).await?;
        let id = PersonId::generate();
        app.store().create_person(id, &person.email, &person.name, &hash).await?;
        app.store().add_membership(organization, id, &person.role).await?;
        let tokens = app.auth().login(HERE, &person.email, password.as_str().into()).await?;
        let principal = app.auth().authenticate(tokens.access_token.expose_secret()).await?.principal;
        people.insert(person.key.clone(), principal);
        log_ins.push(LogIn { email: person.email.clone(), password });
    }
    Ok((log_ins, people))
}

async fn make_key(app: &App, organization: OrganizationId, name: &str) -> Result<String, CliError> {
    let permissions = KEY_PERMISSIONS.map(ToOwned::to_owned);
    let new = NewKey { organization, name, permissions: &permissions, expires_at: None };
    let (_, secret) = apikey::create(app.store(), app.auth().peppers(), &new).await?;
    Ok(secret.expose().to_owned())
}

/// Makes a conversation and says in it what the script says.
async fn play(
    app: &App,
    lead: &Arc<Principal>,
    people: &People,
    script: &ScriptConversation,
) -> Result<ConversationId, CliError> {
    let request = ConversationRequest {
        title: script.title.clone(),
        stage: Some(script.stage.clone()),
        channel: Some(script.channel.clone()),
    };
    let (row, _) = app.commands().create_conversation(lead, ClientId::generate(), request).await?;
    let guest = match &script.guest {
        Some(name) => Some(come_in(app, lead, row.id, name).await?),
        None => None,
    };
    for step in &script.steps {
        let speaker = guest.as_ref().filter(|_| step.by == "guest").or_else(|| people.get(&step.by));
        let unknown = || CliError::new(Exit::Internal, format!("the script lets {} speak, who is nobody", step.by));
        say(app, speaker.ok_or_else(unknown)?, row.id, step).await?;
    }
    let head = app.commands().conversation(lead, row.id).await?.head;
    for reader in script.read_by.iter().filter_map(|key| people.get(key)) {
        app.commands().read(reader, row.id, Some(head), Some(head)).await?;
    }
    Ok(row.id)
}

async fn say(app: &App, speaker: &Arc<Principal>, conversation: ConversationId, step: &Step) -> Result<(), CliError> {
    let (commands, client_id) = (app.commands(), ClientId::generate());
    let appended = match &step.what {
        What::Text(text) => commands.send(speaker, conversation, client_id, text.clone()).await?,
        What::Note(text) => commands.note(speaker, conversation, client_id, text.clone()).await?,
        What::Card(card) => commands.offer(speaker, conversation, client_id, card.clone()).await?.appended,
    };
    tracing::debug!(seq = appended.seq, "{} spoke", step.by);
    Ok(())
}

/// A client who came in by a link of their own.
async fn come_in(
    app: &App,
    lead: &Arc<Principal>,
    conversation: ConversationId,
    name: &str,
) -> Result<Arc<Principal>, CliError> {
    let link = link(app, lead, conversation, name).await?;
    let claim = Claim { token: link.token, name: Some(name.to_owned()), device_key: None, key: None };
    Ok(app.commands().claim(&claim).await?.principal)
}

async fn link(app: &App, lead: &Arc<Principal>, conversation: ConversationId, label: &str) -> Result<Link, CliError> {
    let request = ShareRequest {
        expiry_hours: Some(LINK_HOURS),
        permissions: Some(["view", "respond", "select_options"].map(ToOwned::to_owned).to_vec()),
        label: Some(label.to_owned()),
        seats: Some(LINK_SEATS),
    };
    let created = app.commands().create_share(lead, conversation, ClientId::generate(), request).await?;
    let secret = created.secret.ok_or_else(|| CliError::new(Exit::Internal, "a new link came without its secret"))?;
    Ok(Link { share: created.share.id, token: secret.expose().to_owned() })
}
