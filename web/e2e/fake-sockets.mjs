// The sockets of the stand-in server: one method for each command of protocol/SPEC.md §2.1 the pages use. See fake-server.mjs for what it is not.
import { randomUUID } from "node:crypto";
import { fail, rightsOf, STAFF_RIGHTS, whoOf } from "./fake-rooms.mjs";

export class Sockets {
  #rooms;

  constructor(rooms) {
    this.#rooms = rooms;
  }

  connect(socket) {
    const session = { socket, actor: null, rooms: new Set(), viewing: new Set(), inbox: false, expiry: null };
    session.say = (frame) => socket.send(JSON.stringify(frame));
    this.#rooms.sessions.add(session);
    socket.on("message", (data) => {
      const command = JSON.parse(data);
      try {
        if (!session.actor && command.type !== "hello") return socket.close(4501);
        session.say({ id: command.id, ok: this[`do_${command.type}`](session, command) ?? {} });
      } catch (error) {
        if (!error.code) console.error(error);
        session.say({
          id: command.id,
          error: {
            code: error.code ?? "INTERNAL",
            message: String(error.message),
            retryable: false,
            details: error.details ?? {},
          },
        });
      }
    });
    socket.on("close", () => {
      clearTimeout(session.expiry);
      const left = [...session.rooms];
      session.rooms.clear();
      this.#rooms.sessions.delete(session);
      for (const id of left) this.#presence(id, session, "offline");
    });
  }

  #presence(id, session, state) {
    const conversation = this.#rooms.get(id);
    if ([...this.#rooms.sessions].some((it) => it !== session && it.actor?.id === session.actor.id && it.rooms.has(id)))
      return;
    this.#others(id, session, { type: "presence", conversation: id, who: whoOf(session.actor), state });
    this.#rooms.tellInbox(conversation);
  }

  #others(id, session, frame) {
    for (const it of this.#rooms.sessions) if (it !== session && it.rooms.has(id)) it.say(frame);
  }

  #live(session) {
    clearTimeout(session.expiry);
    if (session.actor.kind !== "service")
      session.expiry = setTimeout(() => session.socket.close(4401), this.#rooms.life);
    return this.#rooms.life;
  }

  do_hello(session, { token, ticket }) {
    session.actor = (ticket ? this.#rooms.redeem(ticket) : this.#rooms.actor(token)) ?? fail("UNAUTHENTICATED", 401);
    const principal = { ...whoOf(session.actor), organization: { id: "o1", name: this.#rooms.organization.name } };
    return { session: randomUUID(), principal, heartbeat_ms: 25_000, expires_in_ms: this.#live(session), limits: {} };
  }

  do_refresh(session, { token }) {
    if (session.actor.kind === "guest")
      return { expires_in_ms: this.#live(session), guest_token: this.#rooms.token(session.actor) };
    if (!this.#rooms.actor(token)) fail("UNAUTHENTICATED", 401);
    return { expires_in_ms: this.#live(session) };
  }

  do_attach(session, { conversation: id, since }) {
    const conversation = this.#rooms.get(id);
    if (session.actor.kind === "guest" && session.actor.share.conversation_id !== id) fail("NOT_FOUND", 404);
    const all = this.#rooms.view(conversation, session.actor);
    const came = !this.#rooms.members(conversation).some((it) => it.who.id === session.actor.id);
    session.rooms.add(id);
    if (came) this.#presence(id, session, "online");
    const { title, status, stage } = conversation;
    const receipts = [...conversation.reads.values()]
      .map((it) => this.#receiptFor(it, conversation, session.actor))
      .filter((it) => it.who.id !== session.actor.id);
    return {
      resumed: Boolean(since),
      position: { epoch: 1, seq: all.length },
      entries: since ? all.slice(since.seq) : all.slice(-50),
      has_more: false,
      conversation: { id, title, status, stage },
      permissions: session.actor.kind === "guest" ? rightsOf(session.actor.share.permissions) : STAFF_RIGHTS,
      members: this.#rooms.members(conversation),
      receipts,
      ...(session.actor.kind !== "guest" && { seen: [...conversation.seen.values()] }),
    };
  }

  do_detach(session, { conversation }) {
    session.rooms.delete(conversation);
    session.viewing.delete(conversation);
    this.#presence(conversation, session, "offline");
  }

  do_subscribe(session) {
    session.inbox = true;
  }

  do_send(session, { conversation, client_id, text }) {
    return this.#rooms.write(this.#rooms.get(conversation), session.actor, "message", { text }, client_id);
  }

  do_note(session, { conversation, client_id, text }) {
    return this.#rooms.write(this.#rooms.get(conversation), session.actor, "note", { text }, client_id);
  }

  do_select(session, command) {
    return this.#rooms.select(this.#rooms.get(command.conversation), session.actor, command);
  }

  do_typing(session, { conversation, active }) {
    this.#others(conversation, session, {
      type: "typing",
      conversation,
      who: whoOf(session.actor),
      active,
      expires_ms: 6000,
    });
  }

  do_edit(session, command) {
    return this.#rooms.change(this.#rooms.get(command.conversation), session.actor, "edit", command);
  }

  do_redact(session, command) {
    return this.#rooms.change(this.#rooms.get(command.conversation), session.actor, "redaction", command);
  }

  do_presence(session, { conversation: id, viewing }) {
    const conversation = this.#rooms.get(id);
    if (viewing !== undefined) {
      session.viewing[viewing ? "add" : "delete"](id);
      const who = whoOf(session.actor);
      const frame = { type: "presence", conversation: id, who, state: "online", ...(viewing && { viewing: true }) };
      this.#others(id, session, frame);
    }
    return { members: this.#rooms.members(conversation) };
  }

  do_seen(session, { conversation: id, card, version, options }) {
    const { seen } = this.#rooms.get(id);
    const key = `${session.actor.id}/${card}/${version}`;
    const at = new Date().toISOString();
    const before = seen.get(key);
    const now = { who: whoOf(session.actor), card, version, options, first_at: before?.first_at ?? at, last_at: at };
    seen.set(key, now);
    for (const it of this.#rooms.sessions)
      if (it.rooms.has(id) && it.actor.kind === "staff") it.say({ type: "seen", conversation: id, seen: now });
  }

  do_ping() {
    return {};
  }

  do_history(session, { conversation: id, before, limit = 50 }) {
    const all = this.#rooms.view(this.#rooms.get(id), session.actor);
    const older = all.filter((it) => it.seq < before);
    return { entries: older.slice(-limit), epoch: 1, head: all.length, has_more: older.length > limit };
  }

  do_read(session, { conversation: id, received = 0, read = 0 }) {
    const conversation = this.#rooms.get(id);
    const before = conversation.reads.get(session.actor.id) ?? { received: 0, read: 0 };
    const now = {
      actor: session.actor,
      received: Math.max(before.received, received, read),
      read: Math.max(before.read, read),
    };
    conversation.reads.set(session.actor.id, now);
    for (const it of this.#rooms.sessions) {
      if (it.rooms.has(id) && it.actor.id !== session.actor.id)
        it.say({ type: "receipt", conversation: id, ...this.#receiptFor(now, conversation, it.actor) });
    }
    if (session.actor.kind === "staff") this.#rooms.tellInbox(conversation);
    return { received: now.received, read: now.read };
  }

  /** The same reading in the numbering of whoever hears it. */
  #receiptFor({ actor, received, read }, conversation, hearer) {
    const own = this.#rooms.view(conversation, actor);
    const theirs = this.#rooms.view(conversation, hearer);
    const map = (seq) =>
      theirs.filter((it) => conversation.entries.indexOf(it.entry) <= conversation.entries.indexOf(own[seq - 1]?.entry))
        .length;
    return { who: whoOf(actor), received: map(received), read: map(read) };
  }
}
