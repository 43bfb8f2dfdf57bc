// The client: one connection, the rooms it is in, and the promise that what was said arrives once and in order.
// It must show no entry twice and none out of turn, and repeat a durable command only with its own client_id.
// The line itself is connection.ts, the queue outbox.ts, the state of one conversation room.ts.
import { Connection, type ConnectionState, type Credentials, type StateChange } from "./connection.ts";
import { Emitter } from "./emitter.ts";
import { asParlourError, LOCAL, type ParlourError } from "./errors.ts";
import { Outbox, type OutboxStore } from "./outbox.ts";
import { Room } from "./room.ts";
import { Signs } from "./signs.ts";
import type {
  AttachReply,
  ConversationRow,
  DurableCommand,
  Positioned,
  PresenceState,
  Principal,
  Push,
  PushOf,
  Share,
  StoredReply,
  Who,
} from "./types.ts";
import {
  browserSocket,
  browserSurroundings,
  type Clock,
  newUuid,
  type OpenSocket,
  type Surroundings,
  systemClock,
} from "./world.ts";

export interface ClientOptions {
  /** `wss://host/api/v1/ws` */
  url: string;
  credentials: Credentials;
  clock?: Clock;
  socket?: OpenSocket;
  surroundings?: Surroundings;
  /** Keeps words that were not sent over a reload. */
  store?: OutboxStore;
  newId?: () => string;
}

export interface ClientEvents {
  state: StateChange;
  /** Hello was answered, rooms are being attached: reload what is state and not history (the inbox). */
  ready: Principal;
  /** Anything about a room changed. */
  room: Room;
  /** An entry that was not there before: told once, also when it came by a resume. */
  entry: { room: Room; at: Positioned };
  /** What was held of this conversation is void (a restore re-used its numbers); it is being read anew. */
  discontinuity: { conversation: string };
  /** Whose presence changed, and what was known of it before: from `unknown` to `online` nobody came. */
  presence: { room: Room; who: Who; state: PresenceState; before: PresenceState };
  share: { conversation: string; share: Share };
  inbox: ConversationRow;
}

/** A durable command on its way. */
export interface Sent {
  clientId: string;
  done: Promise<StoredReply>;
}

export class ParlourClient extends Emitter<ClientEvents> {
  readonly #connection: Connection;
  readonly #outbox: Outbox;
  readonly #signs: Signs;
  readonly #clock: Clock;
  readonly #newId: () => string;
  readonly #rooms = new Map<string, Room>();
  /** Rooms being attached; `true` when it has to be done once more. */
  readonly #attaching = new Map<string, boolean>();
  readonly #typing = new Map<string, ReturnType<Clock["after"]>>();
  #inbox = false;
  me: Principal | null = null;

  constructor(options: ClientOptions) {
    super();
    this.#clock = options.clock ?? systemClock;
    this.#newId = options.newId ?? newUuid;
    this.#connection = new Connection({
      url: options.url,
      credentials: options.credentials,
      clock: this.#clock,
      socket: options.socket ?? browserSocket,
      surroundings: options.surroundings ?? browserSurroundings(),
    });
    const send = (command: DurableCommand) => {
      const { type, ...fields } = command;
      return this.#connection.request(type, fields as never) as Promise<StoredReply>;
    };
    this.#outbox = new Outbox(
      this.#clock,
      send,
      { stored: (command) => this.#stored(command), failed: (command, error) => this.#failed(command, error) },
      options.store,
    );
    this.#signs = new Signs(this.#clock, this.#connection);
    this.#connection.on("push", (push) => this.#hear(push));
    this.#connection.on("state", (change) => {
      if (change.current !== "connected") this.#outbox.pause();
      this.emit("state", change);
    });
    this.#connection.on("ready", (hello) => {
      this.me = hello.principal;
      if (this.#inbox) this.#connection.request("subscribe", { topic: "inbox" }).catch(() => undefined);
      for (const room of this.#rooms.values()) void this.#attach(room);
      // After the attaches: commands take effect in the order sent, so an echo finds its entry in a room that is live.
      this.#outbox.resume();
      this.emit("ready", hello.principal);
    });
  }

  get state(): ConnectionState {
    return this.#connection.state;
  }

  connect(): void {
    this.#connection.connect();
  }

  close(): void {
    this.#connection.close();
  }

  // --- rooms -------------------------------------------------------------------------------------------------------

  room(conversation: string): Room | undefined {
    return this.#rooms.get(conversation);
  }

  /** Enters a conversation and stays in it over every reconnect, until `leave`. */
  join(conversation: string): Room {
    const known = this.#rooms.get(conversation);
    if (known) return known;
    const room = new Room(conversation);
    this.#rooms.set(conversation, room);
    if (this.state === "connected") void this.#attach(room);
    return room;
  }

  leave(conversation: string): void {
    if (!this.#rooms.delete(conversation)) return;
    this.#signs.forget(conversation);
    this.#connection.request("detach", { conversation }).catch(() => undefined);
  }

  /** Takes up the words an earlier page could not send, as echoes in their rooms. */
  restore(): void {
    for (const command of this.#outbox.restore()) this.#echo(command);
  }

  /** Reads the entries before the oldest one held. */
  async older(conversation: string, limit = 50): Promise<void> {
    const room = this.#rooms.get(conversation);
    const before = room?.entries[0]?.seq;
    if (!room || before === undefined || room.complete) return;
    const reply = await this.#connection.request("history", { conversation, before, limit });
    // A reset in between replaced what `before` was about.
    if (room.entries[0]?.seq !== before) return;
    room.prepend(reply.entries, reply.has_more);
    this.emit("room", room);
  }

  /** Live rows of the inbox. They are state: list again at every `ready`. */
  subscribeInbox(): void {
    this.#inbox = true;
    if (this.state === "connected") this.#connection.request("subscribe", { topic: "inbox" }).catch(() => undefined);
  }

  // --- durable words -----------------------------------------------------------------------------------------------

  send(conversation: string, text: string): Sent {
    this.#signs.stopTyping(conversation);
    return this.#enqueue({ type: "send", conversation, client_id: this.#newId(), text });
  }

  note(conversation: string, text: string): Sent {
    return this.#enqueue({ type: "note", conversation, client_id: this.#newId(), text });
  }

  select(conversation: string, card: string, version: number, options: string[]): Sent {
    return this.#enqueue({ type: "select", conversation, client_id: this.#newId(), card, version, options });
  }

  /** Tries a failed one again under the same client_id. */
  retry(conversation: string, clientId: string): void {
    this.#rooms.get(conversation)?.mark(clientId, "sending");
    this.#outbox.retry(clientId);
    this.#changed(conversation);
  }

  /** Lets a failed one go. */
  discard(conversation: string, clientId: string): void {
    this.#outbox.discard(clientId);
    this.#rooms.get(conversation)?.drop(clientId);
    this.#changed(conversation);
  }

  #enqueue(command: DurableCommand): Sent {
    this.#echo(command);
    const done = this.#outbox.add(command);
    done.catch(() => undefined); // a failure shows on the echo; who only sends need not listen
    return { clientId: command.client_id, done };
  }

  #echo(command: DurableCommand): void {
    this.#rooms.get(command.conversation)?.echo(command, new Date(this.#clock.now()).toISOString());
    this.#changed(command.conversation);
  }

  #stored(command: DurableCommand): void {
    const room = this.#rooms.get(command.conversation);
    if (!room) return;
    if (room.holds(command.client_id)) room.drop(command.client_id);
    else room.mark(command.client_id, "sent");
    this.emit("room", room);
  }

  #failed(command: DurableCommand, error: ParlourError): void {
    this.#rooms.get(command.conversation)?.mark(command.client_id, "failed", error);
    this.#changed(command.conversation);
  }

  // --- fleeting signs ----------------------------------------------------------------------------------------------

  /** Call it at every key; it is sent at most every three seconds. */
  typing(conversation: string): void {
    this.#signs.typing(conversation);
  }

  stopTyping(conversation: string): void {
    this.#signs.stopTyping(conversation);
  }

  /** Everything up to `seq` was seen by a person. */
  read(conversation: string, seq: number): void {
    this.#signs.acknowledge(conversation, { read: seq, received: seq });
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
      if (again && this.state === "connected" && this.#rooms.has(room.id)) void this.#attach(room);
    }
  }

  /** One attach; true when another must follow. */
  async #attachOnce(room: Room): Promise<boolean> {
    const since = room.position;
    const reply = await this.#connection.request("attach", { conversation: room.id, ...(since && { since }) });
    if (this.#rooms.get(room.id) !== room) return false;
    if (reply.reset) {
      room.forget();
      this.emit("discontinuity", { conversation: room.id });
      return true;
    }
    const moved = since ? this.#continue(room, reply) : this.#begin(room, reply);
    this.#signs.acknowledge(room.id, { received: room.last });
    if (reply.has_more) {
      if (!moved) room.forget(); // more is promised but nothing came: start over rather than turn in circles
      this.emit("room", room);
      return true;
    }
    room.goLive(reply);
    this.emit("room", room);
    return false;
  }

  #begin(room: Room, reply: AttachReply): boolean {
    room.begin(reply);
    return room.last > 0;
  }

  #continue(room: Room, reply: AttachReply): boolean {
    const before = room.last;
    const epoch = reply.position?.epoch ?? room.position?.epoch ?? 0;
    for (const at of reply.entries ?? []) {
      if (room.take(epoch, at.seq, at.entry) === "new") this.emit("entry", { room, at });
    }
    return room.last > before;
  }

  #attachFailed(room: Room, error: ParlourError): void {
    if (error.code === LOCAL.lost || error.code === LOCAL.offline || error.code === LOCAL.closed) return;
    if (error.retryable) {
      this.#clock.after(error.retryAfterMs ?? 1000, () => {
        if (this.state === "connected" && this.#rooms.has(room.id)) void this.#attach(room);
      });
      return;
    }
    room.phase = "gone";
    room.error = error;
    this.emit("room", room);
  }

  // --- pushes ------------------------------------------------------------------------------------------------------

  #hear(push: Push): void {
    if (push.type === "inbox") {
      this.emit("inbox", push.conversation);
      return;
    }
    if (push.type === "advice") return;
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
        this.emit("presence", { room, who: push.who, state: push.state, before: room.meet(push.who, push.state) });
        break;
      case "receipt":
        room.note({ who: push.who, received: push.received, read: push.read });
        break;
      case "permission":
        room.permissions = push.permissions;
        break;
      case "share":
        room.knowShare(push.share);
        this.emit("share", { conversation: push.conversation, share: push.share });
        break;
    }
    this.emit("room", room);
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
    this.emit("entry", { room, at: { seq, entry } });
    this.emit("room", room);
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
      this.emit("room", room);
    });
    this.#typing.set(key, timer);
  }

  #changed(conversation: string): void {
    const room = this.#rooms.get(conversation);
    if (room) this.emit("room", room);
  }
}
