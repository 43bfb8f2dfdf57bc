// The rooms this side is in: attached after every connect, resumed where they stood, fed by pushes.
// It must show no entry out of turn: a hole, a head above, a pause and a reset all lead to an attach, and nothing is taken before it.
// The state of one room is room.ts; client.ts owns this and passes its events on.
import type { Connection } from "./connection.ts";
import { asParlourError, LOCAL, type ParlourError } from "./errors.ts";
import { Room } from "./room.ts";
import type { Signs } from "./signs.ts";
import type { AttachReply, Positioned, PresenceState, Push, PushOf, Seen, Share, Who } from "./types.ts";
import type { Clock, Timer } from "./world.ts";

export interface RoomEvents {
  /** Anything about a room changed. */
  room: Room;
  /** An entry that was not there before: told once and in order, also when it came by a resume. Of every kind, also edits and redactions. */
  entry: { room: Room; at: Positioned };
  /** What was held of this conversation is void (a restore re-used its numbers); it is being read anew. */
  discontinuity: { conversation: string };
  /** Whose presence changed, and what was known of it before: from `unknown` to `online` nobody came. */
  presence: { room: Room; who: Who; state: PresenceState; before: PresenceState; viewing: boolean };
  /** Staff only: a guest has looked at a card. */
  seen: { room: Room; seen: Seen };
  share: { conversation: string; share: Share };
}

type Tell = <K extends keyof RoomEvents>(event: K, value: RoomEvents[K]) => void;
type RoomPush = Exclude<Push, { type: "inbox" | "advice" }>;

export class Rooms {
  readonly #clock: Clock;
  readonly #connection: Connection;
  readonly #signs: Signs;
  readonly #tell: Tell;
  #me: Who | null = null;
  readonly #rooms = new Map<string, Room>();
  /** Rooms being attached; `true` when it has to be done once more. */
  readonly #attaching = new Map<string, boolean>();
  readonly #typing = new Map<string, Timer>();
  readonly #loading = new Map<string, Promise<void>>();

  constructor(clock: Clock, connection: Connection, signs: Signs, tell: Tell) {
    this.#clock = clock;
    this.#connection = connection;
    this.#signs = signs;
    this.#tell = tell;
  }

  get(conversation: string): Room | undefined {
    return this.#rooms.get(conversation);
  }

  open(conversation: string): Room {
    const room = new Room(conversation, (limit) => this.older(conversation, limit));
    room.meAs(this.#me);
    this.#rooms.set(conversation, room);
    if (this.#connection.state === "connected") void this.#attach(room);
    return room;
  }

  leave(conversation: string): boolean {
    if (!this.#rooms.delete(conversation)) return false;
    this.#signs.forget(conversation);
    this.#connection.request("detach", { conversation }).catch(() => undefined);
    return true;
  }

  /** The connection is up, as this principal: attach all. */
  attachAll(me: Who): void {
    this.#me = me;
    for (const room of this.#rooms.values()) {
      room.meAs(me);
      void this.#attach(room);
    }
  }

  // --- history -----------------------------------------------------------------------------------------------------

  older(conversation: string, limit = 50): Promise<void> {
    const running = this.#loading.get(conversation);
    if (running) return running;
    const loading = this.#loadOlder(conversation, limit).finally(() => this.#loading.delete(conversation));
    this.#loading.set(conversation, loading);
    return loading;
  }

  async #loadOlder(conversation: string, limit: number): Promise<void> {
    const room = this.#rooms.get(conversation);
    const before = room?.entries[0]?.seq;
    if (!room || before === undefined || room.complete) return;
    const reply = await this.#connection.request("history", { conversation, before, limit });
    // A reset in between replaced what `before` was about.
    if (room.entries[0]?.seq !== before || reply.epoch !== room.position?.epoch) return;
    room.prepend(reply.entries, reply.has_more);
    this.#tell("room", room);
  }

  // --- attach and resume -------------------------------------------------------------------------------------------

  async #attach(room: Room): Promise<void> {
    if (this.#attaching.has(room.id)) {
      this.#attaching.set(room.id, true);
      return;
    }
    this.#attaching.set(room.id, false);
    try {
      while (await this.#attachOnce(room));
    } catch (reason) {
      this.#attachFailed(room, asParlourError(reason));
    } finally {
      const again = this.#attaching.get(room.id);
      this.#attaching.delete(room.id);
      if (again) this.#attachIfUp(room);
    }
  }

  #attachIfUp(room: Room): void {
    if (this.#connection.state === "connected" && this.#rooms.get(room.id) === room) void this.#attach(room);
  }

  /** One attach; true when another must follow. */
  async #attachOnce(room: Room): Promise<boolean> {
    const since = room.position;
    const reply = await this.#connection.request("attach", { conversation: room.id, ...(since && { since }) });
    if (this.#rooms.get(room.id) !== room) return false;
    if (reply.reset) {
      room.forget();
      this.#signs.restart(room.id);
      this.#tell("discontinuity", { conversation: room.id });
      return true;
    }
    const before = room.last;
    if (since) this.#continue(room, reply);
    else room.begin(reply);
    this.#signs.acknowledge(room.id, { received: room.last });
    if (reply.has_more) {
      if (room.last <= before) room.forget(); // more is promised but nothing came: start over rather than turn in circles
      this.#tell("room", room);
      return true;
    }
    room.goLive(reply);
    this.#signs.attached(room.id);
    this.#tell("room", room);
    return false;
  }

  #continue(room: Room, reply: AttachReply): void {
    const epoch = reply.position?.epoch ?? room.position?.epoch ?? 0;
    for (const at of reply.entries ?? []) {
      if (room.take(epoch, at.seq, at.entry) === "new") this.#tellEntry(room);
    }
  }

  /** The newest entry as the room holds it: a text redacted meanwhile is not told. */
  #tellEntry(room: Room): void {
    const at = room.entries.at(-1);
    if (at) this.#tell("entry", { room, at });
  }

  #attachFailed(room: Room, error: ParlourError): void {
    if (error.code === LOCAL.lost || error.code === LOCAL.offline || error.code === LOCAL.closed) return;
    if (error.retryable) {
      this.#clock.after(error.retryAfterMs ?? 1000, () => this.#attachIfUp(room));
      return;
    }
    room.phase = "gone";
    room.error = error;
    this.#tell("room", room);
  }

  // --- pushes ------------------------------------------------------------------------------------------------------

  hear(push: RoomPush): void {
    const room = this.#rooms.get(push.conversation);
    if (!room) return;
    switch (push.type) {
      case "entry":
        this.#hearEntry(room, push);
        return;
      case "head":
        // After a pause the session gets no entries before it has attached again, however old the head.
        if (room.paused || push.epoch !== room.position?.epoch || push.seq > room.last) void this.#attach(room);
        return;
      case "paused":
        room.paused = true;
        break;
      case "typing":
        this.#hearTyping(room, push);
        break;
      case "presence":
        this.#hearPresence(room, push);
        break;
      case "seen":
        room.knowSeen(push.seen);
        this.#tell("seen", { room, seen: push.seen });
        break;
      case "receipt":
        room.note({ who: push.who, received: push.received, read: push.read });
        break;
      case "permission":
        room.permissions = push.permissions;
        break;
      case "share":
        room.knowShare(push.share);
        this.#tell("share", { conversation: push.conversation, share: push.share });
        break;
    }
    this.#tell("room", room);
  }

  #hearEntry(room: Room, push: PushOf<"entry">): void {
    const { epoch, seq, entry } = push;
    const taken = room.take(epoch, seq, entry);
    if (taken === "known") return;
    if (taken === "hole") {
      void this.#attach(room);
      return;
    }
    room.types(entry.author, false);
    this.#signs.acknowledge(room.id, { received: seq });
    this.#tellEntry(room);
    this.#tell("room", room);
  }

  #hearPresence(room: Room, { who, state, viewing }: PushOf<"presence">): void {
    const before = room.meet({ who, state, ...(viewing && { viewing }) });
    this.#tell("presence", { room, who, state, before, viewing: viewing === true });
  }

  #hearTyping(room: Room, push: PushOf<"typing">): void {
    const key = `${room.id}/${push.who.id}`;
    this.#clock.cancel(this.#typing.get(key));
    this.#typing.delete(key);
    room.types(push.who, push.active);
    if (!push.active) return;
    const timer = this.#clock.after(push.expires_ms, () => {
      this.#typing.delete(key);
      room.types(push.who, false);
      this.#tell("room", room);
    });
    this.#typing.set(key, timer);
  }
}
