// The queue of durable commands: kept in order, sent one after another, repeated with the same client_id until answered definitely.
// It must never reorder, never drop silently, and never make up a second client_id for the same wish.
// Who calls it: client.ts. What "definitely" means: protocol/SPEC.md §4.
import { asParlourError, LOCAL, type ParlourError } from "./errors.ts";
import type { DurableCommand, StoredReply } from "./types.ts";
import { backoff, type Clock, type Timer } from "./world.ts";

const TRIES = 8;

/** Where waiting commands outlive a reload. Optional. */
export interface OutboxStore {
  load(): DurableCommand[];
  save(commands: DurableCommand[]): void;
}

interface Item {
  command: DurableCommand;
  tries: number;
  /** Refused, or tried too often: waits for `retry` or `discard`, out of the way of the others. */
  parked: boolean;
  resolve(reply: StoredReply): void;
  reject(error: ParlourError): void;
}

export interface OutboxEvents {
  stored(command: DurableCommand, reply: StoredReply): void;
  failed(command: DurableCommand, error: ParlourError): void;
}

export class Outbox {
  readonly #clock: Clock;
  readonly #perform: (command: DurableCommand) => Promise<StoredReply>;
  readonly #events: OutboxEvents;
  readonly #store: OutboxStore | undefined;
  #items: Item[] = [];
  #open = false;
  #busy = false;
  #wait: Timer = null;

  constructor(
    clock: Clock,
    perform: (command: DurableCommand) => Promise<StoredReply>,
    events: OutboxEvents,
    store?: OutboxStore,
  ) {
    this.#clock = clock;
    this.#perform = perform;
    this.#events = events;
    this.#store = store;
  }

  /** Takes up what an earlier page left behind, and names it. */
  restore(): DurableCommand[] {
    const left = this.#store?.load() ?? [];
    for (const command of left) this.add(command).catch(() => undefined); // told through the events
    return left;
  }

  add(command: DurableCommand): Promise<StoredReply> {
    const promise = new Promise<StoredReply>((resolve, reject) => {
      this.#items.push({ command, tries: 0, parked: false, resolve, reject });
    });
    this.#save();
    void this.#pump();
    return promise;
  }

  /** The connection is up: go on. */
  resume(): void {
    this.#open = true;
    void this.#pump();
  }

  /** The connection is gone: keep everything. */
  pause(): void {
    this.#open = false;
    this.#clock.cancel(this.#wait);
    this.#wait = null;
  }

  /** Tries a failed command again, with its own client_id. It keeps its place among those that wait. */
  retry(clientId: string): void {
    const item = this.#items.find((it) => it.command.client_id === clientId);
    if (!item?.parked) return;
    item.parked = false;
    item.tries = 0;
    void this.#pump();
  }

  discard(clientId: string): void {
    this.#items = this.#items.filter((it) => it.command.client_id !== clientId || !it.parked);
    this.#save();
  }

  async #pump(): Promise<void> {
    if (this.#busy || !this.#open || this.#wait !== null) return;
    const item = this.#items.find((it) => !it.parked);
    if (!item) return;
    this.#busy = true;
    try {
      const reply = await this.#perform(item.command);
      this.#remove(item);
      this.#events.stored(item.command, reply);
      item.resolve(reply);
    } catch (reason) {
      this.#refused(item, asParlourError(reason));
    } finally {
      this.#busy = false;
    }
    void this.#pump();
  }

  #refused(item: Item, error: ParlourError): void {
    // No answer: the same client_id asks again on the next connection, which calls resume().
    if (error.code === LOCAL.lost || error.code === LOCAL.offline) {
      this.pause();
      return;
    }
    item.tries += 1;
    if (error.retryable && item.tries < TRIES) {
      const wait = error.retryAfterMs ?? backoff(this.#clock, item.tries);
      this.#wait = this.#clock.after(wait, () => {
        this.#wait = null;
        void this.#pump();
      });
      return;
    }
    item.parked = true;
    this.#save();
    this.#events.failed(item.command, error);
    item.reject(error);
  }

  #remove(item: Item): void {
    this.#items = this.#items.filter((it) => it !== item);
    this.#save();
  }

  #save(): void {
    this.#store?.save(this.#items.map((it) => it.command));
  }
}
