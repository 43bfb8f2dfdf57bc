// What is known of one conversation: confirmed entries in order, own words on their way, who is here, who read, who types, what was seen.
// Pure state: it must never touch a socket, never hold an entry twice, never show a hole, and never keep a redacted text. rooms.ts feeds it;
// how entries become lines is reading.ts.
import type { ParlourError } from "./errors.ts";
import { type Echo, Reading, type RoomLine } from "./reading.ts";
import type {
  AttachReply,
  ConversationHead,
  Entry,
  Member,
  Position,
  Positioned,
  PresenceState,
  Receipt,
  Right,
  Seen,
  Share,
  Who,
} from "./types.ts";

export type Phase = "attaching" | "live" | "gone";
const SEEN_HELD = 200;

export class Room {
  readonly id: string;
  phase: Phase = "attaching";
  /** The server withholds entries for now: what is held may not be the newest. Ends with the next live attach. */
  paused = false;
  /** Why the room is `gone`. */
  error: ParlourError | null = null;
  conversation: ConversationHead | null = null;
  permissions: readonly Right[] = [];
  members: readonly Member[] = [];
  receipts: readonly Receipt[] = [];
  typing: readonly Who[] = [];
  shares: readonly Share[] = [];
  /** Staff only: what guests have seen of cards. */
  seen: readonly Seen[] = [];
  /** Confirmed entries, ascending and without holes, redacted ones blank. Replaced, never changed, so that a view may compare. */
  entries: readonly Positioned[] = [];
  pending: readonly Echo[] = [];
  /** The very first entry is among `entries`. */
  complete = false;
  #epoch: number | null = null;
  #last = 0;
  readonly #reading = new Reading();
  #lines: { entries: readonly Positioned[]; pending: readonly Echo[]; lines: readonly RoomLine[] } | null = null;
  readonly #older: (limit?: number) => Promise<void>;

  /** @internal */
  constructor(id: string, older: (limit?: number) => Promise<void> = async () => undefined) {
    this.id = id;
    this.#older = older;
  }

  /** What a person reads: edits applied, redactions empty, own words on their way at the end or in their places. */
  get lines(): readonly RoomLine[] {
    const { entries, pending } = this;
    if (this.#lines?.entries !== entries || this.#lines.pending !== pending)
      this.#lines = { entries, pending, lines: this.#reading.lines(entries, pending) };
    return this.#lines.lines;
  }

  /** The last contiguous seq. */
  get last(): number {
    return this.#last;
  }

  /** Where to resume, or nothing before the first attach. */
  get position(): Position | undefined {
    return this.#epoch === null ? undefined : { epoch: this.#epoch, seq: this.#last };
  }

  /** Reads the entries before the oldest one held. Asked twice at a time, it is done once; `complete` says that there are none. */
  loadOlder(limit?: number): Promise<void> {
    return this.#older(limit);
  }

  /** @internal Who this side is. */
  meAs(me: Who | null): void {
    this.#reading.me = me;
    this.#lines = null;
  }

  // --- entries -----------------------------------------------------------------------------------------------------

  /** @internal Takes one entry in order. `hole`: something before it is missing; `known`: it was here already. */
  take(epoch: number, seq: number, entry: Entry): "new" | "known" | "hole" {
    if (this.#epoch !== null && epoch !== this.#epoch) return "hole";
    if (seq <= this.#last) return "known";
    if (this.#epoch === null || seq !== this.#last + 1) return "hole";
    this.#last = seq;
    this.#hold([], [{ seq, entry }]);
    return "new";
  }

  /** @internal The answer to an attach without `since`. */
  begin(reply: AttachReply): void {
    const entries = reply.entries ?? [];
    this.entries = [];
    this.#epoch = reply.position?.epoch ?? 0;
    this.#last = entries.at(-1)?.seq ?? reply.position?.seq ?? 0;
    this.complete = (entries[0]?.seq ?? 1) <= 1;
    this.#hold([], entries);
  }

  /** @internal What a live attach says beside the entries. */
  goLive(reply: AttachReply): void {
    this.phase = "live";
    this.paused = false;
    this.error = null;
    this.conversation = reply.conversation ?? this.conversation;
    this.permissions = reply.permissions ?? this.permissions;
    this.members = reply.members ?? this.members;
    this.receipts = reply.receipts ?? this.receipts;
    this.seen = reply.seen ?? this.seen;
    this.typing = [];
  }

  /** @internal The past cannot be continued. Own words on their way stay: their client_id still protects them. */
  forget(): void {
    this.entries = [];
    this.#epoch = null;
    this.#last = 0;
    this.complete = false;
    this.#reading.forget();
  }

  /** @internal Older entries, directly before the first one held. */
  prepend(older: readonly Positioned[], hasMore: boolean): void {
    const first = this.entries[0]?.seq ?? this.#last + 1;
    const before = older.filter((it) => it.seq < first);
    this.complete = !hasMore;
    this.#hold(before, []);
  }

  /** @internal Entries that are not held (a page asked for by hand), without what is known to be redacted. */
  blanked(entries: readonly Positioned[]): Positioned[] {
    this.#reading.learn(entries);
    this.entries = this.#reading.blanked(this.entries);
    return this.#reading.blanked(entries);
  }

  /** @internal A redaction has its number: its target's words are gone from here on. */
  redact(target: string): void {
    this.#reading.redact(target);
    this.entries = this.#reading.blanked(this.entries);
    this.#dropVain();
  }

  /** Is the text of this entry gone? */
  isRedacted(entryId: string): boolean {
    return this.#reading.isRedacted(entryId);
  }

  #hold(before: readonly Positioned[], after: readonly Positioned[]): void {
    const fresh = [...before, ...after];
    // What is held needs another look only when a redaction was heard that was not known.
    const held = this.#reading.learn(fresh) ? this.#reading.blanked(this.entries) : this.entries;
    this.entries = [...this.#reading.blanked(before), ...held, ...this.#reading.blanked(after)];
    this.#settle(fresh);
  }

  // --- own words ---------------------------------------------------------------------------------------------------

  /** @internal */
  echo(echo: Echo): void {
    if (this.pending.some((it) => it.command.client_id === echo.command.client_id)) return;
    this.pending = [...this.pending, echo];
  }

  /** @internal */
  mark(clientId: string, now: Pick<Echo, "state" | "seq" | "error">): void {
    this.pending = this.pending.map((it) =>
      it.command.client_id === clientId ? { command: it.command, at: it.at, ...now } : it,
    );
    this.#dropVain();
  }

  /** @internal Stored: its entry is here, or will be under this number. */
  stored(clientId: string, seq: number): void {
    if (seq <= this.#last) this.drop(clientId);
    else this.mark(clientId, { state: "sent", seq });
  }

  /** @internal */
  drop(clientId: string): void {
    this.pending = this.pending.filter((it) => it.command.client_id !== clientId);
  }

  /** Entries from the log take the places of their echoes. */
  #settle(fresh: readonly Positioned[]): void {
    if (this.pending.length === 0) return;
    const here = new Set(fresh.filter((it) => this.#reading.isMine(it.entry)).map((it) => it.entry.client_id));
    const waits = (it: Echo) => !here.has(it.command.client_id) && (it.seq === undefined || it.seq > this.#last);
    if (!this.pending.every(waits)) this.pending = this.pending.filter(waits);
    this.#dropVain();
  }

  /** Changes of words that are gone: an edit may be a text they had, a refused redaction has nothing left to do. */
  #dropVain(): void {
    const vain = ({ command, state }: Echo) =>
      (command.type === "edit" || (command.type === "redact" && state === "failed")) &&
      this.#reading.isRedacted(command.entry_id);
    if (this.pending.some(vain)) this.pending = this.pending.filter((it) => !vain(it));
  }

  // --- people ------------------------------------------------------------------------------------------------------

  /** @internal Takes in how somebody is now; gives how they were. */
  meet(member: Member): PresenceState {
    const before = this.members.find((it) => it.who.id === member.who.id)?.state ?? "offline";
    this.members = [...this.members.filter((it) => it.who.id !== member.who.id), member];
    return before;
  }

  /** @internal */
  note(receipt: Receipt): void {
    this.receipts = [...this.receipts.filter((it) => it.who.id !== receipt.who.id), receipt];
  }

  /** @internal */
  types(who: Who, active: boolean): void {
    const others = this.typing.filter((it) => it.id !== who.id);
    this.typing = active ? [...others, who] : others;
  }

  /** @internal */
  knowShare(share: Share): void {
    const known = this.shares.some((it) => it.id === share.id);
    this.shares = known ? this.shares.map((it) => (it.id === share.id ? share : it)) : [share, ...this.shares];
  }

  /** @internal All that one guest has seen of one version; the newest come first. */
  knowSeen(seen: Seen): void {
    const same = (it: Seen) => it.who.id === seen.who.id && it.card === seen.card && it.version === seen.version;
    this.seen = [seen, ...this.seen.filter((it) => !same(it))].slice(0, SEEN_HELD);
  }
}
