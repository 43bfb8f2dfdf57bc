// Fleeting signs of this side: "is typing" and "has read up to". Sent sparingly, and never worth an error.
// They must never move backwards and never wait in a queue: what is not sent now is summed up and sent with the next one.
// Used by client.ts only.
import type { Connection } from "./connection.ts";
import type { Clock, Timer } from "./world.ts";

const TYPING_EVERY = 3000;
const READ_AFTER = 150;

interface Marks {
  received: number;
  read: number;
}

interface Acknowledged {
  wanted: Marks;
  told: Marks;
  timer: Timer;
}

export class Signs {
  readonly #clock: Clock;
  readonly #connection: Connection;
  readonly #typedAt = new Map<string, number>();
  readonly #marks = new Map<string, Acknowledged>();

  constructor(clock: Clock, connection: Connection) {
    this.#clock = clock;
    this.#connection = connection;
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

  /** Leaving: what is still to be said about reading is said now. */
  forget(conversation: string): void {
    const marks = this.#marks.get(conversation);
    this.#clock.cancel(marks?.timer);
    if (marks) void this.#tell(conversation, marks);
    this.#marks.delete(conversation);
    this.#typedAt.delete(conversation);
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
      // Not told: the next acknowledgement carries it. client.ts acknowledges again after every attach.
    }
  }
}
