// The queue over a reload and at its bounds: what was written without a line arrives once, or is clearly refused.
// Claims of the README; the world is fakes.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { QUEUE_CHARS, QUEUE_COMMANDS } from "../src/outbox.ts";
import { memory, ROOM, Scene, settle } from "./fakes.ts";

const stored = (seq: number, duplicate = false) => ({ entry_id: `e${seq}`, seq, duplicate });

for (const slow of [false, true]) {
  test(`a reload in airplane mode keeps the queue, its order and its client_ids (${slow ? "slow" : "quick"} storage)`, async () => {
    const storage = memory(slow);
    const before = new Scene("re-read", storage);
    before.client.join(ROOM);
    before.client.send(ROOM, "one");
    before.client.select(ROOM, "card", 1, ["a"]);
    await settle();
    const after = new Scene("re-read", storage);
    const heard = after.heard("stored");
    after.name = "later";
    after.client.join(ROOM);
    await settle();
    after.client.send(ROOM, "three");
    await settle();
    assert.deepEqual(after.words(), ["one…", "three…"]);
    const socket = await after.hello();
    await socket.answer("attach", after.attached([], 0));
    assert.equal(socket.last("send").client_id, "mine-1");
    await socket.answer("send", stored(1, true));
    assert.equal(socket.last("select").client_id, "mine-2");
    await socket.answer("select", { ...stored(2), state: "decided" });
    assert.equal(socket.last("send").text, "three");
    await socket.answer("send", stored(3));
    await settle();
    assert.equal(storage.text(), "");
    assert.deepEqual(
      heard.map((it) => it.command.type),
      ["send", "select", "send"],
    );
  });
}

test("nothing is sent before a slow storage has said what was left", async () => {
  const storage = memory(true);
  const before = new Scene("re-read", storage);
  before.client.send(ROOM, "left");
  await settle();
  const after = new Scene("re-read", storage);
  after.name = "later";
  after.client.send(ROOM, "new");
  const socket = await after.hello();
  assert.deepEqual(
    socket.of("send").map((it) => it.text),
    ["left"],
  );
  assert.match(storage.text(), /left.*new/);
});

test("a refusal outlives a reload too, as a refusal, and is not repeated by itself", async () => {
  const storage = memory();
  const before = new Scene("re-read", storage);
  const refused = before.heard("refused");
  const socket = await before.inRoom(0);
  before.client.send(ROOM, "too long");
  await settle();
  await socket.refuse("send", "TOO_LARGE");
  assert.equal(refused[0]?.error.code, "TOO_LARGE");
  const after = new Scene("re-read", storage);
  const second = await after.inRoom(0);
  assert.deepEqual(after.words(), ["too long!"]);
  assert.equal(second.of("send").length, 0);
  after.client.retry(ROOM, "mine-1");
  await settle();
  assert.equal(second.last("send").client_id, "mine-1");
});

test("two tabs with one key do not forget each other's words", async () => {
  const storage = memory();
  const [one, two] = [new Scene("re-read", storage), new Scene("re-read", storage)];
  two.name = "yours";
  const first = await one.hello();
  one.client.send(ROOM, "of one");
  two.client.send(ROOM, "of two");
  assert.match(storage.text(), /of one.*of two/);
  await settle();
  await first.answer("send", stored(1));
  assert.match(storage.text(), /of two/);
  assert.doesNotMatch(storage.text(), /of one/);
});

test("the queue is bounded, and what does not fit is refused at once and keeps no place", async () => {
  const scene = new Scene();
  scene.client.join(ROOM);
  const refused = scene.heard("refused");
  for (let count = 0; count < QUEUE_COMMANDS; count += 1) scene.client.send(ROOM, "words");
  await assert.rejects(scene.client.send(ROOM, "one too many").done, { code: "QUEUE_FULL", retryable: false });
  assert.equal(refused.length, 1);
  assert.equal(scene.words().length, QUEUE_COMMANDS);
  const other = new Scene();
  other.client.send(ROOM, "x".repeat(QUEUE_CHARS));
  await assert.rejects(other.client.send(ROOM, "x").done, { code: "QUEUE_FULL" });
});

test("a link that ends refuses what waits, and says so", async () => {
  const scene = new Scene();
  const socket = await scene.inRoom(0);
  const refused = scene.heard("refused");
  const sent = scene.client.send(ROOM, "too late");
  const next = scene.client.send(ROOM, "later still");
  await settle();
  await socket.end(4510);
  await assert.rejects(sent.done, { code: "CLOSED" });
  await assert.rejects(next.done, { code: "CLOSED" });
  assert.equal(refused.length, 2);
  assert.deepEqual(scene.words(), ["too late!", "later still!"]);
});

test("closing tells whoever waits and keeps the queue for the next start", async () => {
  const storage = memory();
  const scene = new Scene("re-read", storage);
  await scene.inRoom(0);
  const { done } = scene.client.send(ROOM, "for next time");
  scene.client.close();
  await assert.rejects(done, { code: "CLOSED" });
  const after = new Scene("re-read", storage);
  assert.equal((await after.inRoom(0)).last("send").text, "for next time");
});

test("a storage that is full or holds rubbish is no reason not to send", async () => {
  const full = {
    get: () => '[1, {}, null, {"command":null}] rubbish',
    set: () => {
      throw new Error("quota");
    },
    remove: () => undefined,
  };
  const scene = new Scene("re-read", full);
  const unsaved = scene.heard("unsaved");
  const socket = await scene.inRoom(0);
  scene.client.send(ROOM, "sent anyway");
  await settle();
  assert.equal(socket.last("send").text, "sent anyway");
  assert.equal(unsaved.length, 1);
});
