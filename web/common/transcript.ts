// From a room's entries to the lines a person reads: days, grouped bubbles, notes, cards with their decision, events.
// Pure: the same entries give the same lines, and every line has a key that stays, so that nothing jumps on a new entry.
// Drawn by console/src/thread.tsx and page/src/log.tsx.
import type { Card, Echo, Entry, Positioned, Room, RoomLine, Who } from "@parlour/client";
import { dayKey } from "./format.ts";

export interface Bubble {
  key: string;
  /** As it reads now; empty once redacted. */
  text: string;
  at: string;
  /** Absent while the words are on their way. */
  seq?: number;
  /** The words on their way. */
  echo?: Echo;
  /** The words in the log, and what was done to them. */
  line?: StoredLine;
}

export type StoredLine = Extract<RoomLine, { kind: "entry" }>;

export interface Decision {
  by: Who;
  at: string;
  version: number;
  options: string[];
  labels: string[];
}

/** What is known of a card at the end of the log. */
export interface CardReading {
  latest: number;
  decisions: Map<number, Decision>;
}

type EntryOf<K extends Entry["kind"]> = Extract<Entry, { kind: K }>;

export type Line =
  | { kind: "day"; key: string; at: string }
  | { kind: "group"; key: string; author: Who; mine: boolean; bubbles: Bubble[] }
  | { kind: "note"; key: string; author: Who; bubble: Bubble }
  | { kind: "card"; key: string; seq: number; entry: EntryOf<"card">; card: Card; reading: CardReading }
  | { kind: "selection"; key: string; entry: EntryOf<"selection"> }
  | { kind: "share"; key: string; entry: EntryOf<"share"> }
  | { kind: "came"; key: string; who: Who; at: string };

/** A guest came online while we were looking: told in the thread, kept nowhere. */
export interface Arrival {
  after: number;
  who: Who;
  at: string;
}

const TOGETHER = 5 * 60_000;

export function readCards(entries: readonly Positioned[]): Map<string, CardReading> {
  const cards = new Map<string, CardReading>();
  const of = (id: string): CardReading => {
    const reading = cards.get(id) ?? { latest: 0, decisions: new Map() };
    cards.set(id, reading);
    return reading;
  };
  for (const { entry } of entries) {
    if (entry.kind === "card") {
      const reading = of(entry.body.card.id);
      reading.latest = Math.max(reading.latest, entry.body.card.version);
    } else if (entry.kind === "selection") {
      const { card, version, options, labels, state } = entry.body;
      if (state === "open") continue; // a choice that decided nothing
      of(card).decisions.set(version, { by: entry.author, at: entry.at, version, options, labels });
    }
  }
  return cards;
}

export interface Reader {
  /** The reader, whose pending words these are. */
  me: Who;
  isMine(author: Who): boolean;
  arrivals?: readonly Arrival[];
}

export function transcript(room: Pick<Room, "entries" | "lines">, reader: Reader): Line[] {
  const lines = new Lines(reader);
  const cards = readCards(room.entries);
  const arrivals = [...(reader.arrivals ?? [])];
  for (const line of room.lines) {
    while (arrivals[0] && (line.kind === "echo" || arrivals[0].after < line.seq))
      lines.arrival(arrivals.shift() as Arrival);
    if (line.kind === "entry") lines.entry(line, cards);
    else lines.echo(line.echo);
  }
  for (const arrival of arrivals) lines.arrival(arrival);
  return lines.all;
}

class Lines {
  readonly all: Line[] = [];
  readonly #reader: Reader;
  #day = "";

  constructor(reader: Reader) {
    this.#reader = reader;
  }

  entry(line: StoredLine, cards: Map<string, CardReading>): void {
    const { key, seq, entry } = line;
    this.#newDay(entry.at);
    switch (entry.kind) {
      case "message":
        this.#message(entry.author, { key, text: entry.body.text, at: entry.at, seq, line });
        return;
      case "note": {
        const bubble = { key, text: entry.body.text, at: entry.at, seq, line };
        this.all.push({ kind: "note", key, author: entry.author, bubble });
        return;
      }
      case "card": {
        const { card } = entry.body;
        const reading = cards.get(card.id) ?? { latest: card.version, decisions: new Map() };
        this.all.push({ kind: "card", key, seq, entry, card, reading });
        return;
      }
      case "selection":
        this.all.push({ kind: "selection", key, entry });
        return;
      case "share":
        this.all.push({ kind: "share", key, entry });
        return;
    }
  }

  echo(echo: Extract<RoomLine, { kind: "echo" }>["echo"]): void {
    const { command } = echo;
    this.#newDay(echo.at);
    const bubble = { key: command.client_id, text: command.text, at: echo.at, echo };
    if (command.type === "note")
      this.all.push({ kind: "note", key: command.client_id, author: this.#reader.me, bubble });
    else this.#message(this.#reader.me, bubble);
  }

  arrival({ who, at, after }: Arrival): void {
    this.#newDay(at);
    this.all.push({ kind: "came", key: `came-${who.id}-${at}-${after}`, who, at });
  }

  #newDay(at: string): void {
    const day = dayKey(at);
    if (day === this.#day) return;
    this.#day = day;
    this.all.push({ kind: "day", key: `day-${day}`, at });
  }

  #message(author: Who, bubble: Bubble): void {
    const last = this.all.at(-1);
    const before = last?.kind === "group" ? last.bubbles.at(-1) : undefined;
    if (last?.kind === "group" && before && last.author.id === author.id && last.author.kind === author.kind) {
      const near = Date.parse(bubble.at) - Date.parse(before.at) < TOGETHER;
      if (near && before.echo?.state !== "failed") {
        last.bubbles.push(bubble);
        return;
      }
    }
    this.all.push({ kind: "group", key: bubble.key, author, mine: this.#reader.isMine(author), bubbles: [bubble] });
  }
}

/** Own messages and notes that are not confirmed yet. A choice is none: it is made on its card, and there one stays. */
export const wordsOnTheirWay = (room: Room): number => room.lines.filter((it) => it.kind === "echo").length;

/** How many lines among the last `count` entries others made. */
export const newOf = (room: Room, count: number, me: string): number =>
  room.lines.filter((it) => it.kind === "entry" && it.seq > room.last - count && it.entry.author.id !== me).length;
