// How the log reads: edits applied, redactions blanked, own words on their way in their places.
// It must never hand out a text whose redaction it knows, whichever of the two came first and by whatever way (push, resume, history).
// Pure; room.ts holds one for each conversation. The rule is protocol/SPEC.md §2.3.
import type { ParlourError } from "./errors.ts";
import type { DurableCommand, Entry, Positioned, Who } from "./types.ts";

/** A durable command of this side before the log confirms it. `sent`: stored, its entry is still on its way. */
export interface Echo {
  command: DurableCommand;
  at: string;
  state: "sending" | "sent" | "failed";
  /** The number it was stored under, once it is. */
  seq?: number;
  error?: ParlourError;
}

/** Kinds that are a line of their own. What a newer server calls otherwise is none: it only has its number. */
export type LineEntry = Exclude<Entry, { kind: "edit" | "redaction" }>;
const LINES: readonly string[] = ["message", "note", "card", "selection", "share"];
const isLine = (entry: Entry): entry is LineEntry => LINES.includes(entry.kind);

type EchoOf<T extends DurableCommand["type"]> = Echo & { command: Extract<DurableCommand, { type: T }> };

/** What a person reads as one thing: an entry as it stands now, or own words that are not in the log yet. */
export type RoomLine =
  | {
      kind: "entry";
      /** The client_id of own words, the same from the first echo on; of others' the entry's id. */
      key: string;
      seq: number;
      /** With the text of its newest edit; without text once redacted. */
      entry: LineEntry;
      edited: { by: Who; at: string } | null;
      redacted: boolean;
      /** An edit or redaction by this side that is not confirmed yet, or was refused. It shows in `entry` unless it failed. */
      change: EchoOf<"edit" | "redact"> | null;
    }
  | { kind: "echo"; key: string; echo: EchoOf<"send" | "note"> };

interface Edit {
  seq: number;
  text: string;
  by: Who;
  at: string;
}

export class Reading {
  me: Pick<Who, "kind" | "id"> | null = null;
  /** The newest edit by its target's id. */
  readonly #edits = new Map<string, Edit>();
  readonly #redacted = new Set<string>();

  /** Takes in what entries say about others; true when a redaction was heard that was not known. */
  learn(entries: readonly Positioned[]): boolean {
    const before = this.#redacted.size;
    for (const { seq, entry } of entries) {
      if (entry.kind === "redaction") this.redact(entry.body.entry_id);
      else if (entry.kind === "edit") this.#learnEdit(seq, entry);
      else if ((entry.kind === "message" || entry.kind === "note") && entry.body.redacted) this.redact(entry.id);
    }
    return this.#redacted.size > before;
  }

  redact(target: string): void {
    this.#redacted.add(target);
    this.#edits.delete(target);
  }

  isRedacted(target: string): boolean {
    return this.#redacted.has(target);
  }

  /** A client_id belongs to its author: somebody else's may be the same. */
  isMine({ author }: Entry): boolean {
    return author.kind === this.me?.kind && author.id === this.me.id;
  }

  forget(): void {
    this.#edits.clear();
    this.#redacted.clear();
  }

  /** The same entries without any text that is redacted. What needs no change stays the same object. */
  blanked(entries: readonly Positioned[]): Positioned[] {
    return entries.map((at) => {
      const entry = this.#blank(at.entry);
      return entry === at.entry ? at : { seq: at.seq, entry };
    });
  }

  lines(entries: readonly Positioned[], pending: readonly Echo[]): RoomLine[] {
    const changes = new Map<string, EchoOf<"edit" | "redact">>();
    for (const echo of pending) if (isChange(echo)) changes.set(echo.command.entry_id, echo);
    const lines: RoomLine[] = [];
    for (const { seq, entry } of entries) {
      if (isLine(entry)) lines.push(this.#line(seq, entry, changes.get(entry.id)));
    }
    return lines.concat(inPlace(pending));
  }

  #learnEdit(seq: number, { author, at, body }: Extract<Entry, { kind: "edit" }>): void {
    if (body.redacted) this.redact(body.entry_id);
    if (this.#redacted.has(body.entry_id)) return;
    const known = this.#edits.get(body.entry_id);
    if (!known || known.seq < seq) this.#edits.set(body.entry_id, { seq, text: body.text, by: author, at });
  }

  #blank(entry: Entry): Entry {
    if (entry.kind === "edit" && this.#redacted.has(entry.body.entry_id) && entry.body.text !== "")
      return { ...entry, body: { entry_id: entry.body.entry_id, text: "", redacted: true } };
    if ((entry.kind === "message" || entry.kind === "note") && this.#redacted.has(entry.id) && entry.body.text !== "")
      return { ...entry, body: { text: "", redacted: true } };
    return entry;
  }

  #line(seq: number, entry: LineEntry, change: EchoOf<"edit" | "redact"> | undefined): RoomLine {
    const key = this.isMine(entry) ? entry.client_id : entry.id;
    const line = { kind: "entry" as const, key, seq, entry, edited: null, redacted: false };
    if (entry.kind !== "message" && entry.kind !== "note") return { ...line, change: null };
    const alive = change && change.state !== "failed" ? change.command : null;
    if (this.#redacted.has(entry.id) || alive?.type === "redact") {
      const blank: LineEntry = { ...entry, body: { text: "", redacted: true } };
      return { ...line, entry: blank, redacted: true, change: change ?? null };
    }
    const edit = this.#edits.get(entry.id);
    const text = alive?.text ?? edit?.text;
    const edited = alive
      ? { by: entry.author, at: change?.at ?? entry.at }
      : edit
        ? { by: edit.by, at: edit.at }
        : null;
    const now: LineEntry = text === undefined ? entry : { ...entry, body: { text } };
    return { ...line, entry: now, edited, change: change ?? null };
  }
}

const isChange = (echo: Echo): echo is EchoOf<"edit" | "redact"> =>
  echo.command.type === "edit" || echo.command.type === "redact";

const isWords = (echo: Echo): echo is EchoOf<"send" | "note"> =>
  echo.command.type === "send" || echo.command.type === "note";

/** Own words below what is held: those that have their number by it, then the others as they were written. */
function inPlace(pending: readonly Echo[]): RoomLine[] {
  const words = pending.filter(isWords);
  const numbered = words.filter((it) => it.seq !== undefined).sort((a, b) => (a.seq ?? 0) - (b.seq ?? 0));
  const waiting = words.filter((it) => it.seq === undefined);
  return [...numbered, ...waiting].map((echo) => ({ kind: "echo", key: echo.command.client_id, echo }));
}
