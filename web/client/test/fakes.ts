// A world that stands still until told: a hand-wound clock, sockets whose other end the test plays, a network that comes and goes.
// Nothing here may wait for real time. Used by every test of the SDK.
import { type ClientEvents, ParlourClient } from "../src/client.ts";
import type { Credential, Credentials } from "../src/connection.ts";
import type { QueueStorage } from "../src/keep.ts";
import { NEXT } from "../src/states.ts";
import type { Entry, Push } from "../src/types.ts";
import type { Clock, Refusal, Sign, SocketLike, Surroundings } from "../src/world.ts";

export class HandClock implements Clock {
  time = 1_000_000;
  #timers: { at: number; run: () => void }[] = [];

  now(): number {
    return this.time;
  }

  after(ms: number, run: () => void): object {
    const timer = { at: this.time + ms, run };
    this.#timers.push(timer);
    return timer;
  }

  cancel(timer: unknown): void {
    this.#timers = this.#timers.filter((it) => it !== timer);
  }

  random(): number {
    return 0.5;
  }

  /** Lets time pass, one due timer after the other, with the promises they wake in between. */
  async pass(ms: number): Promise<void> {
    const until = this.time + ms;
    for (;;) {
      const due = this.#timers.filter((it) => it.at <= until).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.cancel(due);
      this.time = due.at;
      due.run();
      await settle();
    }
    this.time = until;
  }
}

/** Lets every promise that can go on go on. */
export async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

export interface SentFrame {
  id: number;
  type: string;
  [field: string]: unknown;
}

export class FakeSocket implements SocketLike {
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  onrefused: ((refusal: Refusal) => void) | null = null;
  readonly sent: SentFrame[] = [];
  closed = false;

  send(data: string | Uint8Array): void {
    const frame: SentFrame = JSON.parse(String(data));
    this.sent.push(frame);
    // Fleeting signs are nobody's concern: silence about them would be a dead line.
    if (["read", "seen", "presence", "typing"].includes(frame.type))
      queueMicrotask(() => this.onmessage?.({ data: JSON.stringify({ id: frame.id, ok: {} }) }));
  }

  close(): void {
    this.closed = true;
  }

  async open(): Promise<void> {
    this.onopen?.(undefined as never);
    await settle();
  }

  async say(frame: object): Promise<void> {
    this.onmessage?.({ data: JSON.stringify(frame) });
    await settle();
  }

  push(push: Push): Promise<void> {
    return this.say(push);
  }

  /** Answers the newest command of this type. */
  async answer(type: string, ok: object): Promise<SentFrame> {
    const frame = this.last(type);
    await this.say({ id: frame.id, ok });
    return frame;
  }

  async refuse(type: string, code: string, retryable = false, details: object = {}): Promise<void> {
    await this.say({ id: this.last(type).id, error: { code, message: code, retryable, details } });
  }

  /** The server answers the request to upgrade with something else. */
  async turnAway(refusal: Refusal): Promise<void> {
    this.onrefused?.(refusal);
    await settle();
  }

  async end(code: number): Promise<void> {
    this.onclose?.({ code });
    await settle();
  }

  of(type: string): SentFrame[] {
    return this.sent.filter((it) => it.type === type);
  }

  last(type: string): SentFrame {
    const frame = this.of(type).at(-1);
    if (!frame) throw new Error(`no ${type} was sent`);
    return frame;
  }
}

export class FakeNetwork implements Surroundings {
  up = true;
  shown = true;
  #listeners = new Set<(sign: Sign) => void>();

  online(): boolean {
    return this.up;
  }

  visible(): boolean {
    return this.shown;
  }

  onChange(listener: (sign: Sign) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async sign(sign: Sign): Promise<void> {
    if (sign === "online" || sign === "offline") this.up = sign === "online";
    else this.shown = sign === "visible";
    for (const listener of this.#listeners) listener(sign);
    await settle();
  }
}

/** A storage that answers at once, as localStorage, or in its own time, as a phone's. */
export function memory(slow = false): QueueStorage & { text(): string } {
  let held: string | null = null;
  const answer = <T>(value: T) => (slow ? Promise.resolve(value) : value);
  return {
    get: () => answer(held),
    set: (_key, value) => {
      held = value;
      return answer(undefined);
    },
    remove: () => {
      held = null;
      return answer(undefined);
    },
    text: () => held ?? "",
  };
}

export const ROOM = "0190a000-0000-7000-8000-000000000001";
const MARIA = { kind: "guest" as const, id: "g1", name: "Maria" };
const AMIRA = { kind: "staff" as const, id: "s1", name: "Amira" };

/** Maria's words; under a client_id of this scene they are its own, Amira's. */
export function message(seq: number, clientId = `c${seq}`): { seq: number; entry: Entry } {
  const at = "2026-11-21T12:00:00.000Z";
  return {
    seq,
    entry: {
      id: `e${seq}`,
      client_id: clientId,
      kind: "message",
      audience: "everyone",
      author: clientId.startsWith("c") ? MARIA : AMIRA,
      at,
      body: { text: `${seq}` },
    },
  };
}

const change = (seq: number, kind: "edit" | "redaction", body: object) =>
  ({ seq, entry: { ...message(seq).entry, kind, body } }) as { seq: number; entry: Entry };

export const edit = (seq: number, target: number, text: string) =>
  change(seq, "edit", { entry_id: `e${target}`, text });
export const redaction = (seq: number, target: number) => change(seq, "redaction", { entry_id: `e${target}` });
export const pushOf = (at: { seq: number; entry: Entry }): Push => ({
  type: "entry",
  conversation: ROOM,
  epoch: 1,
  ...at,
});

export const messages = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => message(from + index));

export const entryPush = (seq: number, clientId?: string): Push => ({
  type: "entry",
  conversation: ROOM,
  epoch: 1,
  ...message(seq, clientId),
});

export class Scene {
  readonly clock = new HandClock();
  readonly network = new FakeNetwork();
  readonly sockets: FakeSocket[] = [];
  readonly states: string[] = [];
  readonly tokens: boolean[] = [];
  readonly kept: string[] = [];
  readonly client: ParlourClient;
  /** Begins the ids this scene makes up: two scenes of one story need two. */
  name = "mine";
  #ids = 0;

  constructor(renewal: Credentials["renewal"] = "hand-in", storage?: QueueStorage, given?: () => Promise<Credential>) {
    this.client = new ParlourClient({
      url: "wss://parlour.example/api/v1/ws",
      credentials: {
        renewal,
        token: async (stale) => {
          this.tokens.push(stale);
          return given ? given() : `token-${this.tokens.length}`;
        },
        keep: (token) => this.kept.push(token),
      },
      clock: this.clock,
      surroundings: this.network,
      socket: () => {
        const socket = new FakeSocket();
        this.sockets.push(socket);
        return socket;
      },
      newId: () => {
        this.#ids += 1;
        return `${this.name}-${this.#ids}`;
      },
      ...(storage && { queue: { storage, key: "queue" } }),
    });
    this.client.on("state", ({ previous, current }) => {
      if (!NEXT[previous].includes(current)) throw new Error(`${previous} → ${current} is no way`);
      this.states.push(current);
    });
  }

  get socket(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (!socket) throw new Error("no socket yet");
    return socket;
  }

  heard<K extends keyof ClientEvents>(event: K): ClientEvents[K][] {
    const heard: ClientEvents[K][] = [];
    this.client.on(event, (value) => heard.push(value));
    return heard;
  }

  /** Up to the answered hello, on the newest socket. */
  async hello(expiresInMs = 600_000): Promise<FakeSocket> {
    this.client.connect();
    await settle();
    const { socket } = this;
    await socket.open();
    const principal = { ...AMIRA, organization: { id: "o1", name: "Lagon" } };
    await socket.answer("hello", {
      session: "x",
      principal,
      heartbeat_ms: 25_000,
      expires_in_ms: expiresInMs,
      limits: {},
    });
    return socket;
  }

  /** In ROOM, live, with entries 1 … `head`. */
  async inRoom(head: number, expiresInMs?: number): Promise<FakeSocket> {
    this.client.join(ROOM);
    const socket = await this.hello(expiresInMs);
    await socket.answer("attach", this.attached(messages(1, head), head));
    return socket;
  }

  attached(entries: object[], head: number, more: object = {}): object {
    return {
      resumed: false,
      position: { epoch: 1, seq: head },
      entries,
      has_more: false,
      conversation: { id: ROOM, title: "Maria", status: "open", stage: "lead" },
      permissions: ["read", "send"],
      members: [],
      receipts: [],
      ...more,
    };
  }

  /** The lines as a person reads them: `~` edited, `†` redacted, `…` on its way, `!` refused. */
  words(): string[] {
    return (this.client.room(ROOM)?.lines ?? []).map((line) => {
      if (line.kind === "echo") return `${line.echo.command.text}${line.echo.state === "failed" ? "!" : "…"}`;
      const { entry, edited, redacted, change } = line;
      const text = entry.kind === "message" ? entry.body.text : entry.kind;
      const fate = change ? (change.state === "failed" ? "!" : "…") : "";
      return `${text}${edited ? "~" : ""}${redacted ? "†" : ""}${fate}`;
    });
  }

  seqs(): number[] {
    return (this.client.room(ROOM)?.entries ?? []).map((it) => it.seq);
  }
}
