// Keeps the queue of durable commands over a reload, in a storage the application lends (a browser's localStorage, a file, a phone's store).
// It must never lose what another tab keeps under the same key, and works without being able to keep anything. Used by outbox.ts only.
import type { WireError } from "./errors.ts";
import type { DurableCommand } from "./types.ts";

type MaybePromise<T> = T | Promise<T>;

/** Strings by name. May be synchronous, as localStorage, or not, as a phone's. */
export interface QueueStorage {
  get(key: string): MaybePromise<string | null>;
  set(key: string, value: string): MaybePromise<unknown>;
  remove(key: string): MaybePromise<unknown>;
}

/** A command as it waits: what failed definitely is kept too, so that its words can be tried again or let go. */
export interface Kept {
  command: DurableCommand;
  at: string;
  failed?: WireError;
}

/** A browser's `localStorage`. Forbidden or full is told as `unsaved` and otherwise changes nothing. */
export const localStorageQueue: QueueStorage = {
  get: (key) => localStorage.getItem(key),
  set: (key, value) => localStorage.setItem(key, value),
  remove: (key) => localStorage.removeItem(key),
};

const TYPES = ["send", "note", "edit", "redact", "select"];

export class Keep {
  readonly #storage: QueueStorage;
  readonly #key: string;
  readonly #failed: (error: unknown) => void;
  /** Ids this queue has had: what it no longer holds of them is done. Others belong to another tab. */
  readonly #had = new Set<string>();
  #line: Promise<unknown> | null = null;

  constructor(storage: QueueStorage, key: string, failed: (error: unknown) => void) {
    this.#storage = storage;
    this.#key = key;
    this.#failed = failed;
  }

  /** What an earlier page left behind; at once when the storage answers at once. */
  load(take: (kept: Kept[]) => void): void {
    this.#in(
      () => this.#storage.get(this.#key),
      (text) => {
        const kept = parse(text);
        for (const { command } of kept) this.#had.add(command.client_id);
        take(kept);
      },
      () => take([]),
    );
  }

  save(mine: readonly Kept[]): void {
    for (const { command } of mine) this.#had.add(command.client_id);
    const write = (text: string | null) => {
      const others = parse(text).filter((it) => !this.#had.has(it.command.client_id));
      const all = [...others, ...mine];
      return all.length === 0 ? this.#storage.remove(this.#key) : this.#storage.set(this.#key, JSON.stringify(all));
    };
    const run = () => {
      const text = this.#storage.get(this.#key);
      return text instanceof Promise ? text.then(write) : write(text);
    };
    // One after another when the storage takes its time; within this very call when it does not: a page may be going away.
    this.#in(() => (this.#line ? this.#line.then(run) : run()));
  }

  #in<T>(
    run: () => MaybePromise<T>,
    then: (value: T) => void = () => undefined,
    broken: () => void = () => undefined,
  ): void {
    const fail = (error: unknown) => {
      this.#failed(error);
      broken();
    };
    try {
      const value = run();
      if (!(value instanceof Promise)) {
        then(value);
        return;
      }
      const line = value.then(then, fail).finally(() => {
        if (this.#line === line) this.#line = null;
      });
      this.#line = line;
    } catch (error) {
      fail(error);
    }
  }
}

/** What cannot be read is nothing: another program, or another version, wrote it. */
function parse(text: string | null): Kept[] {
  let value: unknown;
  try {
    value = JSON.parse(text ?? "[]");
  } catch {
    return [];
  }
  return Array.isArray(value) ? value.filter(isKept) : [];
}

function isKept(value: unknown): value is Kept {
  const { command, at } = (value ?? {}) as Partial<Kept>;
  return (
    typeof at === "string" &&
    typeof command === "object" &&
    TYPES.includes(command?.type) &&
    typeof command.client_id === "string" &&
    typeof command.conversation === "string"
  );
}
