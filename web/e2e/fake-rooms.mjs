// The rooms of the stand-in server: entries in two views, sockets, links, cards. Memory only; see fake-server.mjs for what it is not.
import { randomBytes, randomUUID } from "node:crypto";

export function fail(code, status, details = {}) {
  throw Object.assign(new Error(code), { code, status, details });
}

export const whoOf = ({ kind, id, name }) => ({ kind, id, name });
const RIGHTS = { view: ["read"], respond: ["send", "typing"], select_options: ["select"] };
export const rightsOf = (permissions) => permissions.flatMap((it) => RIGHTS[it] ?? []);
export const STAFF_RIGHTS = ["read", "send", "note", "redact", "card", "share", "typing"];

export class Rooms {
  organization = {
    name: "Lagon & Savane",
    logo: null,
    brand: { color: "#0b5a5c", ink: "#ffffff", text_light: "#0b5a5c", text_dark: "#8fc4c5" },
    contact_email: "hello@lagon-savane.example",
    contact_phone: "+230 467 01 00",
  };
  staff = [];
  service = { kind: "service", id: "svc1", name: "Fare watch", key: `parlour_sk_${randomBytes(12).toString("hex")}` };
  life;
  #conversations = new Map();
  #tokens = new Map();
  #tickets = new Map();
  #shares = new Map();
  #secrets = new Map();
  #devices = new Map();
  sessions = new Set();

  constructor(lifeSeconds) {
    this.life = lifeSeconds * 1000;
  }

  token(actor) {
    const token = randomUUID();
    this.#tokens.set(token, { actor, ends: Date.now() + this.life });
    return token;
  }

  /** Good for one hello. */
  ticket(actor) {
    const ticket = `parlour_tk_${randomUUID()}`;
    this.#tickets.set(ticket, actor);
    return ticket;
  }

  redeem(ticket) {
    const actor = this.#tickets.get(ticket);
    this.#tickets.delete(ticket);
    return actor;
  }

  actor(token) {
    if (token === this.service.key) return this.service;
    const held = this.#tokens.get(token);
    return held && held.ends > Date.now() ? held.actor : null;
  }

  // --- conversations -----------------------------------------------------------------------------------------------

  create(title, stage, at = Date.now()) {
    const time = new Date(at).toISOString();
    const conversation = {
      id: randomUUID(),
      title,
      stage,
      status: "open",
      channel: "web",
      entries: [],
      reads: new Map(),
      seen: new Map(),
      created_at: time,
      updated_at: time,
    };
    this.#conversations.set(conversation.id, conversation);
    this.tellInbox(conversation);
    return conversation;
  }

  get(id) {
    return this.#conversations.get(id) ?? fail("NOT_FOUND", 404);
  }

  row(conversation, actor) {
    const { id, title, stage, status, channel, entries, created_at, updated_at } = conversation;
    const last = entries.findLast((it) => !["edit", "redaction", "share"].includes(it.kind));
    const words = last && (entries.findLast((it) => it.kind === "edit" && it.body.entry_id === last.id) ?? last).body;
    const read = conversation.reads.get(actor.id)?.read ?? 0;
    const preview = last && (words.text ?? last.body.title ?? last.body.card?.title ?? last.body.action);
    const unread = entries.filter((it, index) => index + 1 > read && it.author.id !== actor.id).length;
    const online = this.members(conversation).some((it) => it.who.kind === "guest" && it.state === "online");
    return {
      id,
      title,
      status,
      stage,
      channel,
      user_id: null,
      assigned_to: null,
      head: entries.length,
      last_entry_at: last?.at ?? null,
      ...(last && {
        last_entry: { kind: last.kind, audience: last.audience, author: last.author, preview, at: last.at },
      }),
      read,
      unread,
      online,
      created_at,
      updated_at,
    };
  }

  list(actor, query) {
    const rows = [...this.#conversations.values()]
      .map((it) => this.row(it, actor))
      .filter((it) => !query.get("status") || it.status === query.get("status"))
      .filter((it) => !query.get("stage") || it.stage === query.get("stage"))
      .filter((it) => !query.get("q") || it.title.toLowerCase().includes(query.get("q").toLowerCase()))
      .sort((a, b) => (b.last_entry_at ?? b.created_at).localeCompare(a.last_entry_at ?? a.created_at));
    if (query.get("sort") === "last_entry_at") rows.reverse();
    return { rows, total: rows.length };
  }

  members(conversation) {
    const members = new Map();
    for (const session of this.sessions) {
      if (!session.rooms?.has(conversation.id)) continue;
      const viewing = session.viewing.has(conversation.id) || members.get(session.actor.id)?.viewing;
      members.set(session.actor.id, { who: whoOf(session.actor), state: "online", ...(viewing && { viewing }) });
    }
    return [...members.values()];
  }

  view(conversation, actor) {
    const seen =
      actor.kind === "guest" ? conversation.entries.filter((it) => it.audience === "everyone") : conversation.entries;
    return seen.map((entry, index) => ({ seq: index + 1, entry }));
  }

  write(conversation, author, kind, body, clientId, at = Date.now()) {
    const known = conversation.entries.find((it) => it.client_id === clientId);
    if (known) {
      const seq = this.view(conversation, author).find((it) => it.entry === known)?.seq;
      return { entry_id: known.id, seq, duplicate: true, ...(known.body.state && { state: known.body.state }) };
    }
    const target = conversation.entries.find((it) => it.id === body.entry_id);
    const audience = kind === "note" || kind === "share" ? "staff" : (target?.audience ?? "everyone");
    const entry = {
      id: randomUUID(),
      client_id: clientId,
      kind,
      audience,
      author: whoOf(author),
      at: new Date(at).toISOString(),
      body,
    };
    conversation.entries.push(entry);
    for (const session of this.sessions) {
      if (!session.rooms?.has(conversation.id)) continue;
      const mine = this.view(conversation, session.actor).find((it) => it.entry === entry);
      if (mine) session.say({ type: "entry", conversation: conversation.id, epoch: 1, ...mine });
    }
    this.tellInbox(conversation);
    const seq = this.view(conversation, author).find((it) => it.entry === entry)?.seq;
    return { entry_id: entry.id, seq, duplicate: false, ...(body.state && { state: body.state }) };
  }

  /** An edit or a redaction: of own words, or of anybody's by staff. */
  change(conversation, author, kind, { entry_id, text, client_id }) {
    const target = conversation.entries.find((it) => it.id === entry_id) ?? fail("NOT_FOUND", 404);
    if (target.body.redacted) fail("CONFLICT", 409, { reason: "redacted" });
    if (target.author.id !== author.id && (kind === "edit" || author.kind !== "staff")) fail("FORBIDDEN", 403);
    if (kind === "edit") return this.write(conversation, author, "edit", { entry_id, text }, client_id);
    for (const it of conversation.entries) {
      if (it === target) it.body = { text: "", redacted: true };
      if (it.kind === "edit" && it.body.entry_id === entry_id) it.body = { entry_id, text: "", redacted: true };
    }
    return this.write(conversation, author, "redaction", { entry_id }, client_id);
  }

  card(conversation, author, body, clientId, at) {
    const card = { id: randomUUID(), version: 1, state: "open", ...body };
    const written = this.write(conversation, author, "card", { card }, clientId, at);
    return { card: { id: card.id, version: 1, state: "open" }, ...written };
  }

  select(conversation, author, { client_id, card: id, version, options }, at) {
    const card = conversation.entries.findLast((it) => it.kind === "card" && it.body.card.id === id)?.body.card;
    if (!card) fail("NOT_FOUND", 404);
    const before = conversation.entries.find((it) => it.kind === "selection" && it.body.card === id);
    if (before && before.client_id !== client_id) {
      const holder = { who: before.author, options: before.body.options };
      fail("CONFLICT", 409, { current_version: card.version, state: "decided", holder });
    }
    const labels = card.options.filter((it) => options.includes(it.id)).map((it) => it.label);
    const body = { card: id, version, options, title: card.title, labels, state: "decided" };
    return this.write(conversation, author, "selection", body, client_id, at);
  }

  tellInbox(conversation) {
    for (const session of this.sessions) {
      if (session.inbox) session.say({ type: "inbox", conversation: this.row(conversation, session.actor) });
    }
  }

  // --- links -------------------------------------------------------------------------------------------------------

  share(
    conversation,
    actor,
    { expiry_hours = 48, permissions = ["view", "respond"], label = null, seats = 5 },
    at = Date.now(),
  ) {
    const secret = `parlour_sh_${randomBytes(18).toString("base64url")}`;
    const share = {
      id: randomUUID(),
      conversation_id: conversation.id,
      label,
      permissions,
      created_by: whoOf(actor),
      created_at: new Date(at).toISOString(),
      expires_at: new Date(at + expiry_hours * 3_600_000).toISOString(),
      revoked_at: null,
      status: "unopened",
      opens: 0,
      access_count: 0,
      blocked: 0,
      seats,
      seats_used: 0,
      last_accessed: null,
    };
    this.#shares.set(share.id, share);
    this.#secrets.set(secret, share);
    this.#event(share, actor, { action: "created", label, permissions, expires_at: share.expires_at }, at);
    return { secret, share };
  }

  shareByToken(token) {
    return this.#secrets.get(token);
  }

  sharesOf(id) {
    return [...this.#shares.values()].filter((it) => it.conversation_id === id).reverse();
  }

  opened(token) {
    const share = this.#secrets.get(token) ?? fail("NOT_FOUND", 404);
    share.opens += 1;
    if (share.status === "unopened") share.status = "live";
    this.#tellShare(share);
  }

  claim({ token, name, device_key }) {
    const share = this.#secrets.get(token);
    if (!share || share.revoked_at) fail("NOT_FOUND", 404);
    if (Date.parse(share.expires_at) <= Date.now()) fail("GONE", 410);
    let guest = this.#devices.get(device_key);
    const key = guest ? device_key : randomUUID();
    if (!guest) {
      if (share.seats_used >= share.seats) fail("SEATS_FULL", 409);
      share.seats_used += 1;
      guest = { kind: "guest", id: randomUUID(), name: name || `Guest ${share.seats_used}`, share };
      this.#devices.set(key, guest);
      this.#event(share, guest, { action: "claimed", label: share.label, name: guest.name });
    }
    share.access_count += 1;
    share.status = "live";
    share.last_accessed = new Date().toISOString();
    this.#tellShare(share);
    return {
      guest_token: this.token(guest),
      expires_in: this.life / 1000,
      device_key: key,
      conversation_id: share.conversation_id,
      permissions: share.permissions,
      name: guest.name,
      organization: this.organization,
    };
  }

  changeShare(id, change, actor) {
    const share = this.#shares.get(id) ?? fail("NOT_FOUND", 404);
    Object.assign(share, change);
    for (const session of this.sessions) {
      if (session.actor?.share === share)
        session.say({
          type: "permission",
          conversation: share.conversation_id,
          permissions: rightsOf(share.permissions),
        });
    }
    this.#event(share, actor, {
      action: "changed",
      label: share.label,
      permissions: share.permissions,
      expires_at: share.expires_at,
    });
    this.#tellShare(share);
    return share;
  }

  revoke(id, actor) {
    const share = this.#shares.get(id) ?? fail("NOT_FOUND", 404);
    share.revoked_at = new Date().toISOString();
    share.status = "revoked";
    for (const session of [...this.sessions]) if (session.actor?.share === share) session.socket.close(4510);
    this.#event(share, actor, { action: "revoked", label: share.label });
    this.#tellShare(share);
    return share;
  }

  #event(share, author, body, at) {
    this.write(this.get(share.conversation_id), author, "share", { share: share.id, ...body }, randomUUID(), at);
  }

  #tellShare(share) {
    for (const session of this.sessions) {
      if (session.actor?.kind === "staff" && session.rooms.has(share.conversation_id))
        session.say({ type: "share", conversation: share.conversation_id, share });
    }
  }
}
