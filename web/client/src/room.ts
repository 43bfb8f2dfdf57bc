// What is known of one conversation: confirmed entries in order, own words on their way, who is here, who read, who types.
// Pure state: it must never touch a socket, never hold an entry twice and never show a hole. client.ts feeds it.
import type { ParlourError } from "./errors.ts";
import type {
  AttachReply,
  ConversationHead,
  DurableCommand,
  Entry,
  Member,
  Position,
  Positioned,
  PresenceState,
  Receipt,
  Right,
  Share,
  Who,
} from "./types.ts";

/** Own words before the log confirms them. `sent`: stored, the entry itself is still on its way. */
export interface Echo {
  command: DurableCommand;
  at: string;
  state: "sending" | "sent" | "failed";
  error?: ParlourError;
}

export type Phase = "attaching" | "live" | "gone";

export class Room {
  readonly id: string;
  phase: Phase = "attaching";
  /** The server withholds entries for now: what is held may not be the newest. Ends with the next live attach. */
  paused = false;
  /** Why the room is `gone`. */
  error: ParlourError | null = null;
  conversation: ConversationHead | null = null;
  permissions: Right[] = [];
  members: Member[] = [];
  receipts: Receipt[] = [];
  typing: Who[] = [];
  shares: Share[] = [];
  /** Confirmed entries, ascending and without holes. Replaced, never changed, so that a view may compare. */
  entries: readonly Positioned[] = [];
  pending: readonly Echo[] = [];
  /** The very first entry is among `entries`. */
  complete = false;
  #epoch: number | null = null;
  #last = 0;

  constructor(id: string) {
    this.id = id;
  }

  /** The last contiguous seq. */
  get last(): number {
    return this.#last;
  }

  /** Where to resume, or nothing before the first attach. */
  get position(): Position | undefined {
    return this.#epoch === null ? undefined : { epoch: this.#epoch, seq: this.#last };
  }

  /** Takes one entry in order. `hole`: something before it is missing; `known`: it was here already. */
  take(epoch: number, seq: number, entry: Entry): "new" | "known" | "hole" {
    if (this.#epoch !== null && epoch !== this.#epoch) return "hole";
    if (seq <= this.#last) return "known";
    if (this.#epoch === null || seq !== this.#last + 1) return "hole";
    this.entries = [...this.entries, { seq, entry }];
    this.#last = seq;
    this.#settle(entry);
    return "new";
  }

  /** The answer to an attach without `since`. */
  begin(reply: AttachReply): void {
    const entries = reply.entries ?? [];
    this.entries = entries;
    this.#epoch = reply.position?.epoch ?? 0;
    this.#last = entries.at(-1)?.seq ?? reply.position?.seq ?? 0;
    this.complete = (entries[0]?.seq ?? 1) <= 1;
    for (const { entry } of entries) this.#settle(entry);
  }

  /** What a live attach says beside the entries. */
  goLive(reply: AttachReply): void {
    this.phase = "live";
    this.paused = false;
    this.error = null;
    this.conversation = reply.conversation ?? this.conversation;
    this.permissions = reply.permissions ?? this.permissions;
    this.members = reply.members ?? this.members;
    this.receipts = reply.receipts ?? this.receipts;
    this.typing = [];
  }

  /** The past cannot be continued. Own words on their way stay: their client_id still protects them. */
  forget(): void {
    this.entries = [];
    this.#epoch = null;
    this.#last = 0;
    this.complete = false;
  }

  /** Older entries, directly before the first one held. */
  prepend(older: Positioned[], hasMore: boolean): void {
    const first = this.entries[0]?.seq ?? this.#last + 1;
    const before = older.filter((it) => it.seq < first);
    this.entries = [...before, ...this.entries];
    this.complete = !hasMore;
  }

  echo(command: DurableCommand, at: string): void {
    this.pending = [...this.pending, { command, at, state: "sending" }];
  }

  mark(clientId: string, state: Echo["state"], error?: ParlourError): void {
    this.pending = this.pending.map((it) =>
      it.command.client_id === clientId ? { command: it.command, at: it.at, state, ...(error && { error }) } : it,
    );
  }

  drop(clientId: string): void {
    this.pending = this.pending.filter((it) => it.command.client_id !== clientId);
  }

  holds(clientId: string): boolean {
    return this.entries.some((it) => it.entry.client_id === clientId);
  }

  /** Takes in how somebody is now; gives how they were. */
  meet(who: Who, state: PresenceState): PresenceState {
    const before = this.members.find((it) => it.who.id === who.id)?.state ?? "offline";
    this.members = [...this.members.filter((it) => it.who.id !== who.id), { who, state }];
    return before;
  }

  note(receipt: Receipt): void {
    this.receipts = [...this.receipts.filter((it) => it.who.id !== receipt.who.id), receipt];
  }

  types(who: Who, active: boolean): void {
    const others = this.typing.filter((it) => it.id !== who.id);
    this.typing = active ? [...others, who] : others;
  }

  knowShare(share: Share): void {
    const known = this.shares.some((it) => it.id === share.id);
    this.shares = known ? this.shares.map((it) => (it.id === share.id ? share : it)) : [share, ...this.shares];
  }

  /** An entry from the log takes the place of its echo. */
  #settle(entry: Entry): void {
    if (this.pending.some((it) => it.command.client_id === entry.client_id)) this.drop(entry.client_id);
  }
}
