//! What visitors do with links: look at the page, claim a seat, let it be counted that they looked.
//!
//! A secret that is unknown, revoked or foreign answers in one and the same way, over the same path. Looking changes nothing;
//! only a claim makes a guest. Seats are counted under the share's lock, so they cannot be overdrawn.

use std::sync::Arc;

use parlour_protocol::entry::{ShareAction, ShareChange};
use parlour_protocol::error::{ErrorBody, ErrorCode};
use parlour_protocol::id::{ClientId, GuestId};
use parlour_protocol::share::{Permission, ShareStatus};
use parlour_protocol::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::auth::random;
use crate::auth::tokens::Minted;
use crate::commands::Commands;
use crate::commands::failure::Failure;
use crate::commands::shares::{Settled, TRIES_MAX, kept_moving, settle};
use crate::domain::brand::{Brand, Color};
use crate::domain::draft::Draft;
use crate::domain::policy::{Read, authorize};
use crate::domain::principal::{Actor, OrgScope, Principal};
use crate::domain::room::{Committed, RoomKey};
use crate::domain::secret::{Secret, SecretKind};
use crate::domain::share::{guest_name, is_preview_bot, nameless_guest};
use crate::store::conversations;
use crate::store::directory::ShareRef;
use crate::store::guests::{self, GuestRow};
use crate::store::log::append_in;
use crate::store::organizations::{self, OrganizationRow};
use crate::store::shares::{self, ShareRow, Visit};
use crate::store::tenant::TenantTx;

/// What the link's page shows.
#[derive(Clone, Debug, Serialize)]
pub struct LinkPage {
    /// Whether the link opens anything.
    pub state: LinkState,
    /// Whose page it is; none when the link is unknown.
    pub organization: Option<PageOrganization>,
    /// When the link ends or ended.
    pub expires_at: Option<Timestamp>,
    /// What it allows.
    pub permissions: Vec<Permission>,
}

/// Whether a link opens anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkState {
    /// It does.
    Live,
    /// It did, and ended by itself.
    Expired,
    /// Unknown, revoked or foreign.
    Unknown,
}

/// An organization as its clients see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PageOrganization {
    name: String,
    logo: Option<String>,
    brand: PageBrand,
    contact_email: Option<String>,
    contact_phone: Option<String>,
}

impl PageOrganization {
    /// The name people see.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The organization's colours, readable on both grounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
struct PageBrand {
    color: String,
    ink: String,
    text_light: String,
    text_dark: String,
}

/// What a claim brings along.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The link's secret.
    pub token: String,
    /// The name the person gave.
    pub name: Option<String>,
    /// The key this device got before.
    pub device_key: Option<String>,
    /// Makes the claim of a new device safe to repeat.
    pub key: Option<ClientId>,
}

/// What a claim gives.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Who the visitor now is.
    pub principal: Arc<Principal>,
    /// Their credential.
    pub token: Minted,
    /// What brings this device back to the same seat.
    pub device_key: Secret,
    /// Whose guest they are.
    pub organization: PageOrganization,
}

/// Who looks at a page.
#[derive(Clone, Copy, Debug)]
pub struct Visitor<'a> {
    /// Whether a member of staff is logged in there.
    pub is_staff: bool,
    /// What their program calls itself.
    pub user_agent: &'a str,
}

/// A seat that was taken or found again; true once `tx` is committed.
struct Seated {
    tx: TenantTx,
    principal: Principal,
    organization: OrganizationRow,
    device_key: Secret,
    entry: Option<Committed>,
}

impl Commands {
    /// The facts of a link's page. Changes nothing and counts nothing.
    ///
    /// # Errors
    /// Only the database's trouble: an unknown link has a page too.
    pub async fn link_page(&self, token: &str) -> Result<LinkPage, Failure> {
        let unknown = LinkPage { state: LinkState::Unknown, organization: None, expires_at: None, permissions: vec![] };
        let Some(link) = self.find_link(token).await?.filter(|link| !link.revoked) else { return Ok(unknown) };
        let mut tx = self.store.tenant(OrgScope::for_platform(link.organization)).await?;
        let row = shares::find(&mut tx, link.share).await?;
        let organization = organizations::find(&mut tx).await?;
        tx.commit().await?;
        let (Some(ShareRow { share, .. }), Some(organization)) = (row, organization) else { return Ok(unknown) };
        let state = match share.status {
            ShareStatus::Revoked => return Ok(unknown),
            ShareStatus::Expired => LinkState::Expired,
            ShareStatus::Unopened | ShareStatus::Live => LinkState::Live,
        };
        Ok(LinkPage {
            state,
            organization: Some(page_organization(organization)),
            expires_at: Some(share.expires_at),
            permissions: share.permissions,
        })
    }

    /// Makes the visitor a guest, or the guest this device was before.
    ///
    /// # Errors
    /// `NOT_FOUND`, `GONE`, `SEATS_FULL`, `INVALID`, or the database's trouble.
    pub async fn claim(&self, claim: &Claim) -> Result<Claimed, Failure> {
        let name = claim.name.as_deref().map(guest_name).transpose()?.flatten();
        let link = self.live_link(&claim.token).await?;
        let devices = devices(claim)?;
        for _ in 0..TRIES_MAX {
            let Some(seated) = self.take_seat(link, name.as_deref(), &devices).await? else { continue };
            let principal = Arc::new(seated.principal);
            let token = self.auth.guest_token(&principal)?;
            self.commit_share(seated.tx, link.share, seated.entry).await?;
            let organization = page_organization(seated.organization);
            return Ok(Claimed { principal, token, device_key: seated.device_key, organization });
        }
        Err(kept_moving())
    }

    /// Counts that a page was rendered, unless by staff or by a program that only looks.
    ///
    /// # Errors
    /// `NOT_FOUND`, `GONE`, or the database's trouble.
    pub async fn open_link(&self, token: &str, visitor: Visitor<'_>) -> Result<(), Failure> {
        let link = self.live_link(token).await?;
        if visitor.is_staff || is_preview_bot(visitor.user_agent) {
            return Ok(());
        }
        let mut tx = self.store.tenant(OrgScope::for_platform(link.organization)).await?;
        shares::count(&mut tx, link.share, Visit::Open).await?;
        self.commit_share(tx, link.share, None).await?;
        Ok(())
    }

    /// Counts an attempt that was refused. Apart from the refusal, so that the answer's time does not tell a known secret.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn count_blocked(&self, token: &str) -> Result<(), Failure> {
        let Some(secret) = Secret::parse(SecretKind::Share, token) else { return Ok(()) };
        for digest in self.auth.peppers().candidates(&secret) {
            self.store.share_blocked(&digest.bytes).await?;
        }
        Ok(())
    }

    async fn find_link(&self, token: &str) -> Result<Option<ShareRef>, Failure> {
        let Some(secret) = Secret::parse(SecretKind::Share, token) else { return Ok(None) };
        for digest in self.auth.peppers().candidates(&secret) {
            if let Some(link) = self.store.share_by_digest(&digest.bytes).await? {
                return Ok(Some(link));
            }
        }
        Ok(None)
    }

    async fn live_link(&self, token: &str) -> Result<ShareRef, Failure> {
        let link = self.find_link(token).await?.filter(|link| !link.revoked).ok_or_else(Failure::not_found)?;
        if !link.expired {
            return Ok(link);
        }
        let mut tx = self.store.tenant(OrgScope::for_platform(link.organization)).await?;
        let organization = organizations::find(&mut tx).await?.ok_or_else(Failure::not_found)?;
        tx.commit().await?;
        Err(gone(organization))
    }

    /// Takes a seat or finds the device's own; none when the log wants it decided again.
    async fn take_seat(
        &self,
        link: ShareRef,
        name: Option<&str>,
        devices: &Devices,
    ) -> Result<Option<Seated>, Failure> {
        let mut tx = self.store.tenant(OrgScope::for_platform(link.organization)).await?;
        let row = shares::lock(&mut tx, link.share).await?.ok_or_else(Failure::not_found)?;
        let organization = organizations::find(&mut tx).await?.ok_or_else(Failure::not_found)?;
        match row.share.status {
            ShareStatus::Revoked => return Err(Failure::not_found()),
            ShareStatus::Expired => return Err(gone(organization)),
            ShareStatus::Unopened | ShareStatus::Live => {}
        }
        if let Some((mut guest, key)) = self.returning(&mut tx, link, devices).await? {
            guest.name = name.map_or(guest.name, ToOwned::to_owned);
            guests::seen(&mut tx, &guest).await?;
            shares::count(&mut tx, link.share, Visit::Claim).await?;
            let principal = principal_of(&guest, &row, &organization);
            return Ok(Some(Seated { tx, principal, organization, device_key: key, entry: None }));
        }
        if row.share.seats_used >= row.share.seats {
            shares::count(&mut tx, link.share, Visit::Blocked).await?;
            self.commit_share(tx, link.share, None).await?;
            return Err(Failure::refused(
                ErrorCode::SeatsFull,
                "every seat of this link is taken; ask for another link",
            ));
        }
        let name = name.map_or_else(|| nameless_guest(row.share.seats_used + 1), ToOwned::to_owned);
        let guest = GuestRow { id: GuestId::generate(), name };
        let device_key = devices.new.clone();
        let principal = principal_of(&guest, &row, &organization);
        // First the guest, then their entry: the log takes an entry only from a guest that the link has.
        guests::insert(&mut tx, link.share, &guest, &self.auth.peppers().digest(&device_key)).await?;
        let Some(entry) = note_arrival(&mut tx, &principal, &row).await? else { return Ok(None) };
        shares::count(&mut tx, link.share, Visit::Claim).await?;
        Ok(Some(Seated { tx, principal, organization, device_key, entry: Some(entry) }))
    }

    async fn returning(
        &self,
        tx: &mut TenantTx,
        link: ShareRef,
        devices: &Devices,
    ) -> Result<Option<(GuestRow, Secret)>, Failure> {
        for key in devices.known.iter().chain([&devices.new]) {
            let digests: Vec<_> = self.auth.peppers().candidates(key).collect();
            if let Some(guest) = guests::find_by_device(tx, link.share, &digests).await? {
                return Ok(Some((guest, key.clone())));
            }
        }
        Ok(None)
    }
}

/// By which keys a device may be known, or will be.
struct Devices {
    /// The one it brought.
    known: Option<Secret>,
    /// The one it gets if nobody knows it. Under an idempotency key always the same, so that a claim whose answer was lost
    /// finds the seat it took.
    new: Secret,
}

fn devices(claim: &Claim) -> Result<Devices, Failure> {
    let known = claim.device_key.as_deref().and_then(|text| Secret::parse(SecretKind::Device, text));
    let new = match (claim.key, Secret::parse(SecretKind::Share, &claim.token)) {
        (Some(key), Some(link)) => link.derive(SecretKind::Device, key.0.as_bytes()),
        _ => random::secret(SecretKind::Device).map_err(|error| Failure::Internal(error.to_string()))?,
    };
    Ok(Devices { known, new })
}

/// Writes into the log that a device came in; none when the rights it was decided on moved meanwhile.
async fn note_arrival(tx: &mut TenantTx, guest: &Principal, row: &ShareRow) -> Result<Option<Committed>, Failure> {
    let found = conversations::facts(tx, row.share.conversation_id).await?.ok_or_else(Failure::not_found)?;
    let grant = authorize::<Read>(&Arc::new(guest.clone()), &found.facts)?;
    let change = ShareChange {
        share: row.share.id,
        action: ShareAction::Claimed,
        label: row.share.label.clone(),
        name: Some(guest.name.clone()),
        permissions: None,
        expires_at: None,
    };
    match settle(append_in(tx, &Draft::claim(&grant, ClientId::generate(), change)).await)? {
        Settled::Now(entry) => Ok(Some(entry)),
        Settled::Before(_) => Err(Failure::Internal("a new key had been used before".into())),
        Settled::AskAgain => Ok(None),
    }
}

fn principal_of(guest: &GuestRow, row: &ShareRow, organization: &OrganizationRow) -> Principal {
    Principal {
        organization: organization.organization.clone(),
        name: guest.name.clone(),
        version: row.version,
        ends_at: Some(row.share.expires_at),
        actor: Actor::Guest {
            guest: guest.id,
            share: row.share.id,
            conversation: row.share.conversation_id,
            permissions: row.share.permissions.clone(),
        },
    }
}

fn page_organization(row: OrganizationRow) -> PageOrganization {
    // The database admits no other form of colour; black stands in for what cannot be.
    let color = row.primary_color.parse().unwrap_or(Color::BLACK);
    let Brand { color, ink, text_light, text_dark } = Brand::of(color);
    PageOrganization {
        name: row.organization.name,
        logo: row.logo,
        brand: PageBrand {
            color: color.to_string(),
            ink: ink.to_string(),
            text_light: text_light.to_string(),
            text_dark: text_dark.to_string(),
        },
        contact_email: row.contact_email,
        contact_phone: row.contact_phone,
    }
}

fn gone(organization: OrganizationRow) -> Failure {
    let body = ErrorBody::new(ErrorCode::Gone, "this link has expired; ask for a new one");
    Failure::Refused(body.with("organization", json!(page_organization(organization))))
}

impl Claimed {
    /// The one room the guest is admitted to, and what they may do there.
    pub fn admission(&self) -> Option<(RoomKey, &[Permission])> {
        match &self.principal.actor {
            Actor::Guest { conversation, permissions, .. } => {
                let room = RoomKey { organization: self.principal.organization.id, conversation: *conversation };
                Some((room, permissions))
            }
            Actor::Staff { .. } | Actor::Service { .. } => None,
        }
    }
}
