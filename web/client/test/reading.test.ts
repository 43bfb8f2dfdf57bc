// How the log reads: edits, redactions and own words, in whatever order they are heard.
// Claims of protocol/SPEC.md §2.3; the world is fakes.ts. The last test lets chance pick the order.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Positioned } from "../src/types.ts";
import { edit, message, messages, pushOf, ROOM, redaction, Scene, settle } from "./fakes.ts";

const stored = (seq: number, duplicate = false) => ({ entry_id: `e${seq}`, seq, duplicate });

/** Everything the library can be asked about a room, as text. */
const everything = (scene: Scene) => {
  const room = scene.client.room(ROOM);
  return JSON.stringify([room, room?.lines, room?.entries, room?.pending]);
};

test("an edit changes its line and is none itself; the newest one counts", async () => {
  const scene = new Scene();
  const socket = await scene.inRoom(2);
  await socket.push(pushOf(edit(3, 1, "first")));
  assert.deepEqual(scene.words(), ["first~", "2"]);
  await socket.push(pushOf(edit(4, 1, "second")));
  assert.deepEqual(scene.words(), ["second~", "2"]);
  assert.deepEqual(scene.seqs(), [1, 2, 3, 4], "the log itself keeps every number");
});

test("an edit in a page before its target is loaded waits for it", async () => {
  const scene = new Scene();
  scene.client.join(ROOM);
  const socket = await scene.hello();
  await socket.answer("attach", scene.attached([message(3), edit(4, 1, "later"), redaction(5, 2)], 5));
  assert.deepEqual(scene.words(), ["3"]);
  const older = scene.client.room(ROOM)?.loadOlder();
  await socket.answer("history", { entries: messages(1, 2), epoch: 1, head: 5, has_more: false });
  await older;
  assert.deepEqual(scene.words(), ["later~", "†", "3"]);
});

test("after a redaction nothing in the library holds a text its target ever had", async () => {
  const scene = new Scene();
  const socket = await scene.inRoom(0);
  const secret = { seq: 1, entry: { ...message(1).entry, body: { text: "secret one" } } } as Positioned;
  await socket.push(pushOf(secret));
  await socket.push(pushOf(edit(2, 1, "secret two")));
  assert.match(everything(scene), /secret two/);
  await socket.push(pushOf(redaction(3, 1)));
  assert.deepEqual(scene.words(), ["†"]);
  assert.doesNotMatch(everything(scene), /secret/);
  const page = scene.client.history(ROOM, { after: 0 });
  await socket.answer("history", { entries: [secret, edit(2, 1, "secret two")], epoch: 1, head: 3, has_more: false });
  assert.doesNotMatch(JSON.stringify(await page), /secret/);
});

test("an own redaction is gone at once, comes back when it is refused, and is final with its reply", async () => {
  const scene = new Scene();
  const socket = await scene.inRoom(2);
  const [first, second] = scene.client.room(ROOM)?.entries ?? [];
  assert.ok(first && second);
  const refused = scene.client.redact(ROOM, first);
  assert.deepEqual(scene.words(), ["†…", "2"]);
  await settle();
  await socket.refuse("redact", "FORBIDDEN");
  await assert.rejects(refused.done, { code: "FORBIDDEN" });
  assert.deepEqual(scene.words(), ["1!", "2"]);
  scene.client.discard(ROOM, refused.clientId);
  assert.deepEqual(scene.words(), ["1", "2"]);
  scene.client.redact(ROOM, second);
  await settle();
  await socket.answer("redact", stored(3));
  assert.deepEqual(scene.words(), ["1", "†…"]);
  assert.equal(scene.client.room(ROOM)?.entries[1]?.entry.kind, "message");
  assert.deepEqual(scene.client.room(ROOM)?.entries[1]?.entry.body, { text: "", redacted: true });
});

test("an own edit shows at once and gives way to its entry", async () => {
  const scene = new Scene();
  const socket = await scene.inRoom(1);
  const [line] = scene.client.room(ROOM)?.entries ?? [];
  assert.ok(line);
  scene.client.edit(ROOM, line, "better");
  assert.deepEqual(scene.words(), ["better~…"]);
  await settle();
  const sent = socket.last("edit");
  assert.deepEqual([sent.entry_id, sent.seq, sent.text], ["e1", 1, "better"]);
  await socket.answer("edit", stored(2));
  const entry = edit(2, 1, "better");
  const { author } = message(2, "mine").entry;
  await socket.push(pushOf({ seq: 2, entry: { ...entry.entry, author, client_id: String(sent.client_id) } }));
  assert.deepEqual(scene.words(), ["better~"]);
  assert.equal(scene.client.room(ROOM)?.pending.length, 0);
});

test("an edit that still waits is taken back, with its text, when its target is redacted", async () => {
  const scene = new Scene();
  const first = await scene.inRoom(1);
  const [line] = scene.client.room(ROOM)?.entries ?? [];
  assert.ok(line);
  await first.end(1006);
  const waiting = scene.client.edit(ROOM, line, "secret words");
  await scene.clock.pass(1000);
  const second = await scene.hello();
  // Sent behind the attach, so it is on the line when the redaction is heard.
  await second.answer("attach", scene.attached([redaction(2, 1)], 2, { resumed: true }));
  assert.doesNotMatch(everything(scene), /secret/);
  await second.refuse("edit", "CONFLICT", false, { reason: "redacted" });
  await assert.rejects(waiting.done, { code: "CONFLICT" });
  assert.doesNotMatch(everything(scene), /secret/);
  assert.equal(scene.client.room(ROOM)?.pending.length, 0);
});

test("own words stand at the end, take the place of their number, and are never there twice", async () => {
  const scene = new Scene();
  const socket = await scene.inRoom(1);
  scene.client.send(ROOM, "one");
  scene.client.send(ROOM, "two");
  assert.deepEqual(scene.words(), ["1", "one…", "two…"]);
  await settle();
  await socket.answer("send", stored(3));
  await socket.push(pushOf(message(2)));
  assert.deepEqual(scene.words(), ["1", "2", "one…", "two…"]);
  await socket.push(pushOf(message(3, "mine-1")));
  assert.deepEqual(scene.words(), ["1", "2", "3", "two…"]);
  await socket.push(pushOf(message(4, "mine-2")));
  await socket.answer("send", stored(4));
  assert.deepEqual(scene.words(), ["1", "2", "3", "4"]);
});

test("somebody else's entry under the same client_id takes no place of own words", async () => {
  const scene = new Scene();
  const socket = await scene.inRoom(1);
  scene.client.send(ROOM, "mine");
  const forged = message(2);
  await socket.push(pushOf({ seq: 2, entry: { ...forged.entry, client_id: "mine-1" } }));
  assert.deepEqual(scene.words(), ["1", "2", "mine…"]);
  const keys = scene.client.room(ROOM)?.lines.map((it) => it.key) ?? [];
  assert.equal(new Set(keys).size, 3);
});

test("an entry of a kind this version does not know has a number and no line", async () => {
  const scene = new Scene();
  const socket = await scene.inRoom(1);
  const later = { ...message(2).entry, kind: "poll", body: { question: "?" } } as never;
  await socket.push(pushOf({ seq: 2, entry: later }));
  await socket.push(pushOf(message(3)));
  assert.deepEqual(scene.words(), ["1", "3"]);
  assert.deepEqual(scene.seqs(), [1, 2, 3]);
});

test("a repeat that was stored long ago, before what is held, leaves no line behind", async () => {
  const scene = new Scene();
  scene.client.join(ROOM);
  const socket = await scene.hello();
  await socket.answer("attach", scene.attached(messages(51, 100), 100));
  scene.client.send(ROOM, "of an earlier page");
  await settle();
  await socket.answer("send", stored(7, true));
  assert.equal(scene.client.room(ROOM)?.lines.length, 50);
});

test("by push, resume and history in any order, the same log reads the same", async () => {
  const log = [
    message(1),
    message(2),
    edit(3, 1, "one, better"),
    message(4),
    redaction(5, 2),
    edit(6, 4, "four, better"),
    edit(7, 1, "one, best"),
    redaction(8, 4),
    message(9),
  ];
  const expected = ["one, best~", "†", "†", "9"];
  for (let start = 0; start < log.length; start += 1) {
    for (let cut = start; cut <= log.length; cut += 1) {
      const scene = new Scene();
      scene.client.join(ROOM);
      const socket = await scene.hello();
      await socket.answer("attach", scene.attached(log.slice(start, cut), cut));
      for (const at of log.slice(cut)) await socket.push(pushOf(at));
      if (start > 0 && cut > start) {
        const older = scene.client.room(ROOM)?.loadOlder();
        await socket.answer("history", { entries: log.slice(0, start), epoch: 1, head: 9, has_more: false });
        await older;
      }
      if (cut > start || start === 0) assert.deepEqual(scene.words(), expected, `held from ${start}, live from ${cut}`);
    }
  }
});
