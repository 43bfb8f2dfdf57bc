// The client: one connection, the rooms it is in, and the promise that what was said arrives once and in order, or is clearly refused.
// It must never repeat a durable command under another client_id, and holds no state of a conversation itself.
// The line is connection.ts, the rooms rooms.ts and room.ts, the queue outbox.ts, fleeting signs signs.ts and seen.ts.
import type { BinaryCodec } from "./codec.ts";
import { Connection, type Credentials, type StateChange } from "./connection.ts";
import { Emitter } from "./emitter.ts";
import { LOCAL, ParlourError } from "./errors.ts";
import { Keep, type Kept, type QueueStorage } from "./keep.ts";
import { Outbox } from "./outbox.ts";
import type { Echo } from "./reading.ts";
import type { Room } from "./room.ts";
import { type RoomEvents, Rooms } from "./rooms.ts";
import { type SeenCard, SeenReports, type SeenTarget } from "./seen.ts";
import { Signs, type Viewing } from "./signs.ts";
import type { ConnectionState } from "./states.ts";
import type {
  Commands,
  ConversationRow,
  DurableCommand,
  HistoryReply,
  Limits,
  Member,
  Positioned,
  Principal,
  Push,
  SeenOption,
  StoredReply,
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
  /** MessagePack instead of JSON: `import * as codec from "@msgpack/msgpack"`. */
  codec?: BinaryCodec;
  /** Keeps what was not sent over a reload, under this key. Name the key after the person: it is theirs. */
  queue?: { storage: QueueStorage; key: string };
  newId?: () => string;
}

export interface ClientEvents extends RoomEvents {
  state: StateChange;
  /** Hello was answered, rooms are being attached: reload what is state and not history (the inbox). */
  ready: Principal;
  inbox: ConversationRow;
  /** A durable command is stored, also one that an earlier page left behind. */
  stored: { command: DurableCommand; reply: StoredReply };
  /** A durable command will not be repeated by itself: `retry` or `discard` it. */
  refused: { command: DurableCommand; error: ParlourError };
  /** The queue could not be kept for a reload (storage is full or forbidden). It is still sent. */
  unsaved: { error: unknown };
}

/** A durable command on its way. */
export interface Sent {
  clientId: string;
  /** Rejects when it is clearly refused; a lost connection is waited out. */
  done: Promise<StoredReply>;
}

/** An entry held, or a line of kind `entry`. */
export type Target = { seq: number; entry: { id: string } };

const SILENT = () => undefined;

export class ParlourClient extends Emitter<ClientEvents> {
  readonly #connection: Connection;
  readonly #outbox: Outbox;
  readonly #rooms: Rooms;
  readonly #signs: Signs;
  readonly #seen: SeenReports;
  readonly #clock: Clock;
  readonly #newId: () => string;
  readonly #surroundings: Surroundings;
  #unwatch: (() => void) | null = null;
  #inbox = false;
  /** Who this side is, once hello was answered. */
  me: Principal | null = null;
  limits: Limits | null = null;

  constructor(options: ClientOptions) {
    super();
    this.#clock = options.clock ?? systemClock;
    this.#newId = options.newId ?? newUuid;
    this.#surroundings = options.surroundings ?? browserSurroundings();
    this.#connection = new Connection({
      url: options.url,
      credentials: options.credentials,
      clock: this.#clock,
      socket: options.socket ?? browserSocket,
      surroundings: this.#surroundings,
      codec: options.codec,
    });
    this.#signs = new Signs(this.#clock, this.#connection, this.#surroundings);
    this.#rooms = new Rooms(this.#clock, this.#connection, this.#signs, (event, value) => this.#tell(event, value));
    this.#seen = new SeenReports(
      this.#clock,
      () => !this.#surroundings.visible(),
      (target, options) => this.#connection.request("seen", { ...target, options }),
    );
    this.#outbox = this.#makeOutbox(options.queue);
    this.#connection.on("push", (push) => this.#hear(push));
    this.#connection.on("state", (change) => this.#moved(change));
    this.#connection.on("ready", ({ principal, limits }) => {
      this.me = principal;
      this.limits = limits;
      if (this.#inbox) this.#connection.request("subscribe", { topic: "inbox" }).catch(SILENT);
      this.#rooms.attachAll(principal);
      // After the attaches: commands take effect in the order sent, so an echo finds its entry in a room that is live.
      this.#outbox.resume();
      this.emit("ready", principal);
    });
    this.#outbox.load();
  }

  #makeOutbox(queue: ClientOptions["queue"]): Outbox {
    const keep = queue && new Keep(queue.storage, queue.key, (error) => this.emit("unsaved", { error }));
    const perform = ({ type, ...fields }: DurableCommand) =>
      this.#connection.request(type, fields as never) as Promise<StoredReply>;
    const events = {
      restored: (kept: Kept) => this.#echo(kept),
      stored: (command: DurableCommand, reply: StoredReply) => this.#stored(command, reply),
      failed: (command: DurableCommand, error: ParlourError) => this.#failed(command, error),
    };
    return new Outbox(this.#clock, perform, events, keep);
  }

  // --- the line ----------------------------------------------------------------------------------------------------

  get state(): ConnectionState {
    return this.#connection.state;
  }

  connect(): void {
    this.#unwatch ??= this.#surroundings.onChange((sign) => {
      if (sign === "visible") this.#seen.show();
      if (sign === "hidden") this.#seen.hide();
      if (sign === "visible" || sign === "hidden") this.#signs.look();
    });
    this.#connection.connect();
  }

  /** Ends for good. What was not sent stays in the queue's storage, if it has one. */
  close(): void {
    this.#seen.hide();
    this.#seen.close();
    this.#unwatch?.();
    this.#unwatch = null;
    this.#connection.close();
    this.#outbox.close(ParlourError.local(LOCAL.closed, "the client was closed"));
  }

  #moved(change: StateChange): void {
    if (change.current !== "connected") {
      this.#outbox.pause();
      this.#signs.lost();
    }
    if (change.current === "failed")
      this.#outbox.end(change.reason ?? ParlourError.local(LOCAL.closed, `refused (${change.code})`));
    this.emit("state", change);
  }

  // --- rooms -------------------------------------------------------------------------------------------------------

  room(conversation: string): Room | undefined {
    return this.#rooms.get(conversation);
  }

  /** Enters a conversation and stays in it over every reconnect, until `leave`. */
  join(conversation: string): Room {
    const known = this.#rooms.get(conversation);
    if (known) return known;
    const room = this.#rooms.open(conversation);
    for (const kept of this.#outbox.waiting) if (kept.command.conversation === conversation) this.#echo(kept);
    return room;
  }

  leave(conversation: string): void {
    this.#rooms.leave(conversation);
  }

  /** A page of the log by hand, for looking around in it. `room.loadOlder()` is what a page that scrolls wants. */
  async history(conversation: string, query: Omit<Commands["history"]["fields"], "conversation"> = {}) {
    const reply = await this.#connection.request("history", { conversation, ...query });
    const entries: Positioned[] = this.#rooms.get(conversation)?.blanked(reply.entries) ?? reply.entries;
    return { ...reply, entries } satisfies HistoryReply;
  }

  /** Live rows of the inbox. They are state: list again at every `ready`. */
  subscribeInbox(): void {
    this.#inbox = true;
    if (this.state === "connected") this.#connection.request("subscribe", { topic: "inbox" }).catch(SILENT);
  }

  // --- durable words -----------------------------------------------------------------------------------------------

  send(conversation: string, text: string): Sent {
    this.#signs.stopTyping(conversation);
    return this.#enqueue({ type: "send", conversation, client_id: this.#newId(), text });
  }

  note(conversation: string, text: string): Sent {
    return this.#enqueue({ type: "note", conversation, client_id: this.#newId(), text });
  }

  /** New words for an own message or note, within 15 minutes. They show at once, marked as edited. */
  edit(conversation: string, { seq, entry }: Target, text: string): Sent {
    return this.#enqueue({ type: "edit", conversation, client_id: this.#newId(), entry_id: entry.id, seq, text });
  }

  /** Takes a message or note back for everybody, for good. */
  redact(conversation: string, { seq, entry }: Target): Sent {
    return this.#enqueue({ type: "redact", conversation, client_id: this.#newId(), entry_id: entry.id, seq });
  }

  select(conversation: string, card: string, version: number, options: string[]): Sent {
    return this.#enqueue({ type: "select", conversation, client_id: this.#newId(), card, version, options });
  }

  /** Tries a failed one again under the same client_id. */
  retry(conversation: string, clientId: string): void {
    this.#rooms.get(conversation)?.mark(clientId, { state: "sending" });
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
    const clientId = command.client_id;
    if (!this.#outbox.fits(command)) {
      const error = ParlourError.local(LOCAL.full, "too much waits to be sent");
      this.emit("refused", { command, error });
      const done = Promise.reject(error);
      done.catch(SILENT);
      return { clientId, done };
    }
    const at = new Date(this.#clock.now()).toISOString();
    this.#echo({ command, at });
    const done = this.#outbox.add(command, at);
    done.catch(SILENT); // a failure shows on the echo; who only sends need not listen
    return { clientId, done };
  }

  #echo({ command, at, failed }: Kept): void {
    const echo: Echo = failed
      ? { command, at, state: "failed", error: new ParlourError(failed) }
      : { command, at, state: "sending" };
    this.#rooms.get(command.conversation)?.echo(echo);
    this.#changed(command.conversation);
  }

  #stored(command: DurableCommand, reply: StoredReply): void {
    const room = this.#rooms.get(command.conversation);
    if (command.type === "redact") room?.redact(command.entry_id);
    room?.stored(command.client_id, reply.seq);
    this.emit("stored", { command, reply });
    this.#changed(command.conversation);
  }

  #failed(command: DurableCommand, error: ParlourError): void {
    const room = this.#rooms.get(command.conversation);
    const target = command.type === "edit" || command.type === "redact" ? command.entry_id : null;
    if (target !== null && error.details.reason === "redacted") {
      room?.redact(target);
      this.#outbox.discard(command.client_id);
    }
    room?.mark(command.client_id, { state: "failed", error });
    this.emit("refused", { command, error });
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

  /** Whether the conversation is on this screen; `auto` follows the visibility of the page. Said again after every reconnect. */
  view(conversation: string, viewing: Viewing): void {
    this.#signs.view(conversation, viewing);
  }

  /** Who is there, asked anew. `room.members` follows by itself. */
  async members(conversation: string): Promise<Member[]> {
    return (await this.#connection.request("presence", { conversation })).members;
  }

  /** Guests: counts how long the options of a card are visible, and tells it at most every five seconds and when the page is hidden. */
  trackSeen(target: SeenTarget, before: readonly SeenOption[] = []): SeenCard {
    return this.#seen.track(target, before);
  }

  /** A round trip, for whoever wants to know that the line works. */
  async ping(): Promise<void> {
    await this.#connection.request("ping", {});
  }

  // --- what is heard -----------------------------------------------------------------------------------------------

  #hear(push: Push): void {
    if (push.type === "advice") return; // connection.ts obeys it
    if (push.type === "inbox") this.emit("inbox", push.conversation);
    else this.#rooms.hear(push);
  }

  #tell<K extends keyof RoomEvents>(event: K, value: RoomEvents[K]): void {
    if (event === "room") this.#withdrawVain(value as Room);
    this.emit(event, value as ClientEvents[K]);
  }

  /** An edit of redacted words that still waits is taken back, its text with it. */
  #withdrawVain(room: Room): void {
    this.#outbox.withdraw((it) => it.type === "edit" && it.conversation === room.id && room.isRedacted(it.entry_id));
  }

  #changed(conversation: string): void {
    const room = this.#rooms.get(conversation);
    if (room) this.#tell("room", room);
  }
}
