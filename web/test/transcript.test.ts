// What a person reads, from what the log holds: days, groups, decisions, own words on their way.
// The claims are those of both pages; the lines are made in common/transcript.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Card, CardState, Echo, Entry, Positioned, Who } from "@parlour/client";
import { Reading } from "../client/src/reading.ts";
import { initials, money, span } from "../common/format.ts";
import { type Line, transcript } from "../common/transcript.ts";

const AMIRA: Who = { kind: "staff", id: "s1", name: "Amira Joomun" };
const MARIA: Who = { kind: "guest", id: "g1", name: "Maria" };
const TOMAS: Who = { kind: "guest", id: "g2", name: "Tomás" };
const at = (minute: number) => new Date(Date.UTC(2026, 10, 21, 10, minute)).toISOString();

function entry(seq: number, author: Who, minute: number, rest: Pick<Entry, "kind" | "body">): Positioned {
  const head = { id: `e${seq}`, client_id: `c${seq}`, audience: "everyone" as const, author, at: at(minute) };
  return { seq, entry: { ...head, ...rest } as Entry };
}

const say = (seq: number, author: Who, minute: number) =>
  entry(seq, author, minute, { kind: "message", body: { text: `${seq}` } });

const card = (version: number): Card => ({
  id: "k",
  version,
  kind: "choice",
  title: "Flights",
  options: [],
  state: "open",
});
const offer = (seq: number, version: number) => entry(seq, AMIRA, seq, { kind: "card", body: { card: card(version) } });
const choose = (seq: number, author: Who, version: number, state: CardState = "decided") =>
  entry(seq, author, seq, {
    kind: "selection",
    body: { card: "k", version, options: ["a"], title: "Flights", labels: ["Air Mauritius"], state },
  });

const ours = (author: Who) => author.kind !== "guest";

function reading(entries: Positioned[]): Reading {
  const known = new Reading();
  known.me = AMIRA;
  known.learn(entries);
  return known;
}

const read = (entries: Positioned[], pending: Echo[] = []) =>
  transcript({ entries, lines: reading(entries).lines(entries, pending) }, { me: AMIRA, isMine: ours });
const kinds = (lines: Line[]) =>
  lines.map((line) => (line.kind === "group" ? `group of ${line.bubbles.length}` : line.kind));

test("words of one person that follow closely are one group, and nothing else is", () => {
  const lines = read([say(1, MARIA, 0), say(2, MARIA, 1), say(3, TOMAS, 1), say(4, MARIA, 2), say(5, MARIA, 20)]);
  assert.deepEqual(kinds(lines), ["day", "group of 2", "group of 1", "group of 1", "group of 1"]);
});

test("own words keep their key when their entry takes their place, so nothing jumps", () => {
  const command = { type: "send" as const, conversation: "r", client_id: "c1", text: "1" };
  const before = read([], [{ command, at: at(0), state: "sending" }]);
  const after = read([say(1, AMIRA, 0)]);
  assert.deepEqual(
    before.map((line) => line.key),
    after.map((line) => line.key),
  );
});

test("a decision belongs to the version it was made on", () => {
  const lines = read([offer(1, 1), choose(2, MARIA, 1), offer(3, 2)]);
  const cards = lines.filter((line) => line.kind === "card");
  assert.equal(cards[0]?.reading.latest, 2);
  assert.equal(cards[0]?.reading.decisions.get(1)?.by.name, "Maria");
  assert.equal(cards[1]?.reading.decisions.get(2), undefined);
});

test("a choice that decided nothing leaves the card open", () => {
  const [, line] = read([offer(1, 1), choose(2, MARIA, 1, "open")]);
  assert.equal(line?.kind === "card" && line.reading.decisions.size, 0);
});

test("money places the point where its currency has it", () => {
  const plain = (amount: number, currency: string) => money({ amount, currency }).replace(/\s/u, " ");
  assert.equal(plain(128400, "EUR"), "EUR 1,284.00");
  assert.equal(plain(128400, "JPY"), "JPY 128,400");
  assert.equal(plain(128400, "TND"), "TND 128.400");
});

test("names become one or two letters, spans become words", () => {
  assert.deepEqual(["Maria Fernandes", "Sophie & Mark Wilkes", "Inès", "李 Kevin", ""].map(initials), [
    "MF",
    "SM",
    "IN",
    "李K",
    "?",
  ]);
  assert.deepEqual([41 * 3_600_000 + 18 * 60_000, 9 * 60_000, 100 * 3_600_000, -1].map(span), [
    "41 h 18 min",
    "9 min",
    "4 d 4 h",
    "0 min",
  ]);
});
