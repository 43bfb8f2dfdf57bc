// Fleeting signs of this side: "is typing", "has read up to", "has it on the screen". Sent sparingly, and never worth an error.
// They must never move backwards and never wait in a queue: what is not sent now is summed up and sent with the next one.
// Used by client.ts and rooms.ts.
import type { Connection } from "./connection.ts";
import type { Clock, Surroundings, Timer } from "./world.ts";

const TYPING_EVERY = 3000;
const READ_AFTER = 150;

/** `auto`: as long as the page can be seen. */
export type Viewing = boolean | "auto";

interface Marks {
  received: number;
  read: number;
}

interface Acknowledged {
  wanted: Marks;
  told: Marks;
  timer: Timer;
}

interface Shown {
  wanted: Viewing;
  told: boolean;
}

export class Signs {
  readonly #clock: Clock;
  readonly #connection: Connection;
  readonly #surroundings: Surroundings;
  readonly #typedAt = new Map<string, number>();
  readonly #marks = new Map<string, Acknowledged>();
  readonly #views = new Map<string, Shown>();
  /** Rooms this session is attached to: elsewhere nothing can be viewed. */
  readonly #attached = new Set<string>();

  constructor(clock: Clock, connection: Connection, surroundings: Surroundings) {
    this.#clock = clock;
    this.#connection = connection;
    this.#surroundings = surroundings;
  }

  typing(conversation: string): void {
    const now = this.#clock.now();
    const last = this.#typedAt.get(conversation);
    if (this.#connection.state !== "connected" || (last !== undefined && now - last < TYPING_EVERY)) return;
    this.#typedAt.set(conversation, now);
    this.#connection.request("typing", { conversation, active: true }).catch(() => undefined);
  }

  stopTyping(conversation: string): void {
    if (!this.#typedAt.delete(conversation)) return;
    this.#connection.request("typing", { conversation, active: false }).catch(() => undefined);
  }

  acknowledge(conversation: string, marks: Partial<Marks>): void {
    const known = this.#marks.get(conversation) ?? {
      wanted: { received: 0, read: 0 },
      told: { received: 0, read: 0 },
      timer: null,
    };
    this.#marks.set(conversation, known);
    known.wanted = {
      received: Math.max(known.wanted.received, marks.received ?? 0),
      read: Math.max(known.wanted.read, marks.read ?? 0),
    };
    known.timer ??= this.#clock.after(READ_AFTER, () => {
      known.timer = null;
      void this.#tell(conversation, known);
    });
  }

  // --- viewing -----------------------------------------------------------------------------------------------------

  view(conversation: string, wanted: Viewing): void {
    const shown = this.#views.get(conversation) ?? { wanted, told: false };
    shown.wanted = wanted;
    this.#views.set(conversation, shown);
    this.#tellView(conversation, shown);
  }

  /** Attached, perhaps anew: the session is taken to view nothing before it says so. */
  attached(conversation: string): void {
    this.#attached.add(conversation);
    const shown = this.#views.get(conversation);
    if (!shown) return;
    shown.told = false;
    this.#tellView(conversation, shown);
  }

  /** The connection is gone, and with it every attachment. */
  lost(): void {
    this.#attached.clear();
  }

  /** The page was shown or hidden. */
  look(): void {
    for (const [conversation, shown] of this.#views) this.#tellView(conversation, shown);
  }

  #tellView(conversation: string, shown: Shown): void {
    const viewing = shown.wanted === "auto" ? this.#surroundings.visible() : shown.wanted;
    if (viewing === shown.told || !this.#attached.has(conversation)) return;
    shown.told = viewing;
    // Lost with the line: `attached` says it again.
    this.#connection.request("presence", { conversation, viewing }).catch(() => undefined);
  }

  // --- the end -----------------------------------------------------------------------------------------------------

  /** The numbers of this conversation begin anew. */
  restart(conversation: string): void {
    this.#clock.cancel(this.#marks.get(conversation)?.timer);
    this.#marks.delete(conversation);
  }

  /** Leaving: what is still to be said about reading is said now. */
  forget(conversation: string): void {
    const marks = this.#marks.get(conversation);
    this.#clock.cancel(marks?.timer);
    if (marks) void this.#tell(conversation, marks);
    this.#marks.delete(conversation);
    this.#typedAt.delete(conversation);
    this.#views.delete(conversation);
    this.#attached.delete(conversation);
  }

  async #tell(conversation: string, marks: Acknowledged): Promise<void> {
    const { wanted, told } = marks;
    if (wanted.received <= told.received && wanted.read <= told.read) return;
    const fields = {
      conversation,
      ...(wanted.received > told.received && { received: wanted.received }),
      ...(wanted.read > told.read && { read: wanted.read }),
    };
    try {
      await this.#connection.request("read", fields);
      marks.told = wanted;
    } catch {
      // Not told: the next acknowledgement carries it. rooms.ts acknowledges again after every attach.
    }
  }
}
