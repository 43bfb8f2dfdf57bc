// The queue of durable commands: kept in order, sent one after another, repeated with the same client_id until answered definitely.
// It must never reorder, never drop silently, never grow without end, and never make up a second client_id for the same wish.
// Who calls it: client.ts. What outlives a reload: keep.ts. What "definitely" means: protocol/SPEC.md §4.
import { asParlourError, LOCAL, ParlourError } from "./errors.ts";
import type { Keep, Kept } from "./keep.ts";
import type { DurableCommand, StoredReply } from "./types.ts";
import { backoff, type Clock, type Timer } from "./world.ts";

const TRIES = 8;
/** What the queue holds at most; beyond, a command is refused with `QUEUE_FULL` at once. */
export const QUEUE_COMMANDS = 100;
export const QUEUE_CHARS = 400_000;

interface Item extends Kept {
  tries: number;
  /** Refused, or tried too often: waits for `retry` or `discard`, out of the way of the others. */
  parked: boolean;
  resolve(reply: StoredReply): void;
  reject(error: ParlourError): void;
}

export interface OutboxEvents {
  /** An earlier page left this behind. */
  restored(kept: Kept): void;
  stored(command: DurableCommand, reply: StoredReply): void;
  failed(command: DurableCommand, error: ParlourError): void;
}

const nobody = { resolve: () => undefined, reject: () => undefined };

export class Outbox {
  readonly #clock: Clock;
  readonly #perform: (command: DurableCommand) => Promise<StoredReply>;
  readonly #events: OutboxEvents;
  readonly #keep: Keep | undefined;
  #items: Item[] = [];
  /** What an earlier page left goes first: nothing is sent before it is known. */
  #loaded = false;
  #open = false;
  #busy: Item | null = null;
  #wait: Timer = null;

  constructor(
    clock: Clock,
    perform: (command: DurableCommand) => Promise<StoredReply>,
    events: OutboxEvents,
    keep?: Keep,
  ) {
    this.#clock = clock;
    this.#perform = perform;
    this.#events = events;
    this.#keep = keep;
  }

  /** Takes up what an earlier page left behind. */
  load(): void {
    const take = (kept: Kept[]) => {
      const left = kept.map((it) => ({ ...it, ...nobody, tries: 0, parked: it.failed !== undefined }));
      this.#items = [...left, ...this.#items];
      this.#loaded = true;
      for (const it of kept) this.#events.restored(it);
      if (this.#items.length > kept.length) this.#save();
      void this.#pump();
    };
    if (this.#keep) this.#keep.load(take);
    else take([]);
  }

  /** Everything that waits, in order. */
  get waiting(): readonly Kept[] {
    return this.#items;
  }

  /** Whether another command fits. */
  fits(command: DurableCommand): boolean {
    const chars = this.#items.reduce((all, it) => all + size(it.command), size(command));
    return this.#items.length < QUEUE_COMMANDS && chars <= QUEUE_CHARS;
  }

  /** It must fit. */
  add(command: DurableCommand, at: string): Promise<StoredReply> {
    const promise = new Promise<StoredReply>((resolve, reject) => {
      this.#items.push({ command, at, tries: 0, parked: false, resolve, reject });
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
    delete item.failed;
    this.#save();
    void this.#pump();
  }

  discard(clientId: string): void {
    this.#drop((it) => it.parked && it.command.client_id === clientId);
  }

  /** Takes back what waits and cannot matter any more. What is on the line already is answered as ever. */
  withdraw(vain: (command: DurableCommand) => boolean): void {
    const gone = this.#items.filter((it) => it !== this.#busy && vain(it.command));
    if (gone.length === 0) return;
    this.#drop((it) => gone.includes(it));
    const error = ParlourError.local(LOCAL.withdrawn, "what it was about is gone");
    for (const it of gone) it.reject(error);
  }

  /** There will be no connection any more: everything that waits is refused, and may be tried again by hand. */
  end(error: ParlourError): void {
    this.pause();
    for (const it of this.#items) if (!it.parked) this.#park(it, error);
  }

  async #pump(): Promise<void> {
    if (this.#busy || !this.#loaded || !this.#open || this.#wait !== null) return;
    const item = this.#items.find((it) => !it.parked);
    if (!item) return;
    this.#busy = item;
    try {
      const reply = await this.#perform(item.command);
      this.#drop((it) => it === item);
      this.#events.stored(item.command, reply);
      item.resolve(reply);
    } catch (reason) {
      this.#refused(item, asParlourError(reason));
    } finally {
      this.#busy = null;
    }
    void this.#pump();
  }

  #refused(item: Item, error: ParlourError): void {
    // No answer: the same client_id asks again on the next connection, which calls resume().
    if (error.code === LOCAL.lost || error.code === LOCAL.offline || error.code === LOCAL.closed) {
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
    this.#park(item, error);
  }

  #park(item: Item, error: ParlourError): void {
    item.parked = true;
    item.failed = error.toWire();
    this.#save();
    this.#events.failed(item.command, error);
    item.reject(error);
  }

  /** The client is closed: what is kept goes out when the next one starts. Whoever waits for an answer is told. */
  close(error: ParlourError): void {
    this.pause();
    for (const it of this.#items) it.reject(error);
  }

  #drop(which: (item: Item) => boolean): void {
    this.#items = this.#items.filter((it) => !which(it));
    this.#save();
  }

  #save(): void {
    if (!this.#loaded) return; // what was left is not known yet: load() saves
    this.#keep?.save(this.#items.map(({ command, at, failed }) => ({ command, at, ...(failed && { failed }) })));
  }
}

const size = (command: DurableCommand): number => ("text" in command ? command.text.length : 0);
