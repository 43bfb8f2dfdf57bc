// One WebSocket that comes back: it carries out the states of states.ts, says `hello`, refreshes, listens for silence, keeps a promise per command.
// It must never put a token into a URL, never retry after a close code that says stop, and knows nothing of rooms.
// What is sent again after a loss is decided in outbox.ts; how a room resumes, in client.ts.
import { type BinaryCodec, type Frame, type Wire, wire } from "./codec.ts";
import { Emitter } from "./emitter.ts";
import { asParlourError, LOCAL, ParlourError } from "./errors.ts";
import { afterClose, type ConnectionState, LOST, NEXT, NO_HELLO, TOKEN_EXPIRED } from "./states.ts";
import type { Command, Commands, CommandType, HelloReply, Push } from "./types.ts";
import {
  backoff,
  type Clock,
  type OpenSocket,
  type Refusal,
  type Sign,
  type SocketLike,
  type Surroundings,
  type Timer,
} from "./world.ts";

export interface StateChange {
  previous: ConnectionState;
  current: ConnectionState;
  /** The close code that led here, when there was one. */
  code?: number;
  reason?: ParlourError;
}

/** A token, or a ticket that stands for one and works once, within 30 s (protocol/SPEC.md §2.5). */
export type Credential = string | { ticket: string };

export interface Credentials {
  /**
   * What to say hello with. `stale` asks for a new one, because the last was refused or is about to end. Who gives tickets gives a new one
   * at every call; under `hand-in` the line is then replaced before its end, since a ticket cannot be handed in.
   */
  token(stale: boolean): Promise<Credential>;
  /** Staff hand in a fresh token; a guest's link is read again and the reply brings the token. */
  renewal: "hand-in" | "re-read";
  /** Told of every token the socket brought. */
  keep?(token: string, expiresInMs: number): void;
}

export interface ConnectionOptions {
  url: string;
  credentials: Credentials;
  clock: Clock;
  socket: OpenSocket;
  surroundings: Surroundings;
  /** MessagePack instead of JSON. */
  codec?: BinaryCodec | undefined;
}

const HELLO_WITHIN = 10_000;
const REPLY_WITHIN = 15_000;
const PROBE_WITHIN = 5_000;
const SUSPEND_AFTER = 120_000;
/** Between tries while suspended: this, and up to as much again. */
const RARELY = 10_000;
const STEADY_AFTER = 10_000;
const REFRESH_AT = 0.8;

interface Waiting {
  resolve(ok: unknown): void;
  reject(error: ParlourError): void;
  timer: Timer;
}

interface Events {
  state: StateChange;
  ready: HelloReply;
  push: Push;
}

export class Connection extends Emitter<Events> {
  readonly #options: ConnectionOptions;
  readonly #wire: Wire;
  #state: ConnectionState = "initialized";
  #socket: SocketLike | null = null;
  /** Counts attempts to connect; what belongs to an older one is ignored. */
  #era = 0;
  #nextId = 1;
  readonly #waiting = new Map<number, Waiting>();
  #attempt = 0;
  #stale = false;
  #triedFresh = false;
  #advice: number | null = null;
  #lostSince: number | null = null;
  #connectedAt = 0;
  #heardAt = 0;
  #retry: Timer = null;
  #refresh: Timer = null;
  #heartbeat: Timer = null;
  #deadline: Timer = null;
  #unwatch: (() => void) | null = null;

  constructor(options: ConnectionOptions) {
    super();
    this.#options = options;
    this.#wire = wire(options.codec);
  }

  get state(): ConnectionState {
    return this.#state;
  }

  connect(): void {
    if (["connecting", "connected", "closing"].includes(this.#state)) return;
    this.#unwatch ??= this.#options.surroundings.onChange((sign) => this.#heed(sign));
    void this.#open();
  }

  close(): void {
    if (this.#state === "closed" || this.#state === "failed") return;
    this.#era += 1;
    this.#to("closing");
    this.#letGo(1000);
    this.#giveUp(ParlourError.local(LOCAL.closed, "closed"));
    this.#unwatch?.();
    this.#unwatch = null;
    this.#to("closed");
  }

  /** Sends a command and gives its answer. It is not repeated: what must survive a loss goes through the outbox. */
  request<T extends CommandType>(type: T, fields: Commands[T]["fields"]): Promise<Commands[T]["ok"]> {
    if (this.#state !== "connected") return Promise.reject(ParlourError.local(LOCAL.offline, "not connected"));
    return this.#ask({ type, ...fields } as unknown as Command, REPLY_WITHIN) as Promise<Commands[T]["ok"]>;
  }

  // --- up ----------------------------------------------------------------------------------------------------------

  async #open(given?: Credential): Promise<void> {
    this.#era += 1;
    const era = this.#era;
    this.#cancel();
    this.#to("connecting");
    const fresh = this.#stale;
    let credential: Credential;
    try {
      credential = given ?? (await this.#options.credentials.token(fresh));
    } catch (reason) {
      if (era !== this.#era) return;
      const error = asParlourError(reason);
      if (error.retryable) this.#down(LOST, error);
      else this.#fail(error);
      return;
    }
    if (era !== this.#era) return;
    this.#triedFresh = fresh;
    this.#deadline = this.#options.clock.after(HELLO_WITHIN, () => this.#drop());
    const socket = this.#options.socket(this.#options.url, this.#wire.protocol);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => void this.#greet(era, credential);
    socket.onrefused = (refusal) => {
      if (era === this.#era) this.#turnedAway(refusal);
    };
    socket.onmessage = (event) => {
      if (era === this.#era) this.#hear(event.data);
    };
    socket.onerror = () => undefined; // a close always follows
    socket.onclose = (event) => {
      if (era === this.#era) this.#down(event.code);
    };
  }

  /** The server answered, but not with a socket: full or stopping, or this can never work. */
  #turnedAway({ status, error }: Refusal): void {
    const busy = status === 429 || status >= 500;
    const known = error ?? { code: "UNAVAILABLE", message: `refused (${status})`, retryable: busy };
    const reason = new ParlourError({ ...known, retryable: busy }, status);
    if (busy) this.#down(LOST, reason);
    else this.#fail(reason);
  }

  async #greet(era: number, credential: Credential): Promise<void> {
    const words = typeof credential === "string" ? { token: credential } : credential;
    let hello: HelloReply;
    try {
      hello = (await this.#ask({ type: "hello", ...words }, HELLO_WITHIN)) as HelloReply;
    } catch (reason) {
      if (era !== this.#era) return;
      const error = asParlourError(reason);
      if (error.code === LOCAL.lost) return; // the close told already
      if (error.code === "UNAUTHENTICATED" && !this.#triedFresh) this.#down(TOKEN_EXPIRED, error);
      else if (error.retryable) this.#down(LOST, error);
      else this.#fail(error);
      return;
    }
    if (era !== this.#era) return;
    const { clock } = this.#options;
    clock.cancel(this.#deadline);
    this.#stale = false;
    this.#advice = null;
    this.#lostSince = null;
    this.#connectedAt = clock.now();
    this.#to("connected");
    this.#armRefresh(hello.expires_in_ms);
    this.#armHeartbeat(hello.heartbeat_ms);
    this.emit("ready", hello);
  }

  // --- while up ----------------------------------------------------------------------------------------------------

  #ask(command: Command, within: number): Promise<unknown> {
    const id = this.#nextId;
    this.#nextId += 1;
    return new Promise((resolve, reject) => {
      // Every command is answered exactly once, so silence means that the line is dead.
      const timer = this.#options.clock.after(within, () => this.#drop());
      this.#waiting.set(id, { resolve, reject, timer });
      this.#socket?.send(this.#wire.encode(id, command));
    });
  }

  #hear(data: unknown): void {
    this.#heardAt = this.#options.clock.now();
    let frame: Frame;
    try {
      frame = this.#wire.decode(data);
    } catch {
      this.#drop(); // a peer that cannot be understood is no peer: resume from what is known
      return;
    }
    if (frame.kind === "push") {
      if (frame.push.type === "advice") this.#advice = frame.push.retry_after_ms;
      this.emit("push", frame.push);
      return;
    }
    if (frame.kind === "unknown" || frame.id === null) return;
    const waiting = this.#waiting.get(frame.id);
    if (!waiting) return;
    this.#waiting.delete(frame.id);
    this.#options.clock.cancel(waiting.timer);
    if (frame.kind === "reply") waiting.resolve(frame.ok);
    else waiting.reject(new ParlourError(frame.error));
  }

  #armRefresh(expiresInMs: number | null): void {
    if (expiresInMs === null) return; // an API key does not end
    this.#refresh = this.#options.clock.after(expiresInMs * REFRESH_AT, () => void this.#renew(expiresInMs));
  }

  async #renew(lifeMs: number): Promise<void> {
    const era = this.#era;
    const { credentials, clock } = this.#options;
    try {
      const credential = credentials.renewal === "hand-in" ? await credentials.token(true) : "";
      if (era !== this.#era) return;
      if (typeof credential === "object") {
        this.#replace(credential);
        return;
      }
      const fields = credential === "" ? {} : { token: credential };
      const reply = await this.request("refresh", fields);
      if (era !== this.#era) return;
      if (reply.guest_token !== undefined)
        credentials.keep?.(reply.guest_token, reply.expires_in_ms ?? Number.POSITIVE_INFINITY);
      this.#armRefresh(reply.expires_in_ms);
    } catch {
      // Ask again while the token lasts; when it ends the server closes with 4401 and says so.
      if (era === this.#era && this.#state === "connected") {
        this.#refresh = clock.after(Math.max(1000, lifeMs * 0.05), () => void this.#renew(lifeMs));
      }
    }
  }

  /** A new line for an old one that still works: nothing is waited for, and rooms resume as after a loss. */
  #replace(credential: Credential): void {
    this.#letGo(1000);
    this.#giveUp(ParlourError.local(LOCAL.lost, "the connection is being replaced"));
    void this.#open(credential);
  }

  /** The browser answers the server's pings unseen, so silence as long as a heartbeat is answered with a `ping` of our own. */
  #armHeartbeat(everyMs: number): void {
    this.#heartbeat = this.#options.clock.after(everyMs, () => {
      if (this.#options.clock.now() - this.#heardAt >= everyMs) this.#probe();
      this.#armHeartbeat(everyMs);
    });
  }

  #probe(): void {
    this.#ask({ type: "ping" }, PROBE_WITHIN).catch(() => undefined); // a silent line is dropped by the deadline in #ask
  }

  #heed(sign: Sign): void {
    if (sign === "hidden") return;
    if (sign === "offline") {
      if (this.#state === "connected" || this.#state === "connecting") this.#drop();
    } else if (this.#state === "disconnected" || this.#state === "suspended") {
      this.#attempt = 0;
      void this.#open();
    } else if (this.#state === "connected") {
      this.#probe();
    }
  }

  // --- down --------------------------------------------------------------------------------------------------------

  /** Gives the socket up without waiting for its goodbye. */
  #drop(): void {
    if (this.#state === "connected" || this.#state === "connecting") this.#down(LOST);
  }

  #down(code: number, reason?: ParlourError): void {
    const { clock, surroundings } = this.#options;
    const wasUp = this.#state === "connected";
    this.#era += 1;
    this.#letGo(1000);
    this.#giveUp(reason ?? ParlourError.local(LOCAL.lost, `connection lost (${code})`));
    let then = afterClose(code);
    // Not let in with a token that was only remembered: once more with a new one.
    if (code === NO_HELLO && !wasUp && !this.#triedFresh) then = "fresh-token";
    if (then === "stop") {
      if (code === 1000) {
        this.#unwatch?.();
        this.#unwatch = null;
        this.#to("closed", { code });
      } else this.#fail(reason, code);
      return;
    }
    const now = clock.now();
    if (wasUp && now - this.#connectedAt >= STEADY_AFTER) this.#attempt = 0;
    this.#lostSince ??= now;
    if (then === "fresh-token") this.#stale = true;
    const wait = Math.max(this.#advice ?? 0, reason?.retryAfterMs ?? 0, backoff(clock, this.#attempt));
    this.#advice = null;
    this.#attempt += 1;
    const hopeless = !surroundings.online() || now - this.#lostSince >= SUSPEND_AFTER;
    this.#to(hopeless ? "suspended" : "disconnected", { code, ...(reason && { reason }) });
    const rare = hopeless ? RARELY + Math.floor(clock.random() * RARELY) : 0;
    this.#retry = clock.after(Math.max(wait, rare), () => void this.#open());
  }

  #fail(reason?: ParlourError, code?: number): void {
    this.#era += 1;
    this.#letGo(1000);
    this.#giveUp(reason ?? ParlourError.local(LOCAL.closed, `refused (${code})`));
    this.#unwatch?.();
    this.#unwatch = null;
    this.#to("failed", { ...(code !== undefined && { code }), ...(reason && { reason }) });
  }

  #letGo(code: number): void {
    this.#cancel();
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = socket.onrefused = null;
    socket.onerror = () => undefined;
    try {
      socket.close(code);
    } catch {
      // already closed
    }
  }

  #cancel(): void {
    for (const timer of [this.#retry, this.#refresh, this.#heartbeat, this.#deadline])
      this.#options.clock.cancel(timer);
    this.#retry = this.#refresh = this.#heartbeat = this.#deadline = null;
  }

  #giveUp(error: ParlourError): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject, timer } of waiting) {
      this.#options.clock.cancel(timer);
      reject(error.code === LOCAL.closed ? error : ParlourError.local(LOCAL.lost, error.message));
    }
  }

  #to(current: ConnectionState, detail: { code?: number; reason?: ParlourError } = {}): void {
    const previous = this.#state;
    if (!NEXT[previous].includes(current)) return;
    this.#state = current;
    this.emit("state", { previous, current, ...detail });
  }
}
