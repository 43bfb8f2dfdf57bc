// Durable words: in order, once each, over losses and refusals.
// Claims of protocol/SPEC.md §4; the world is fakes.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { entryPush, ROOM, Scene, settle } from "./fakes.ts";

const stored = (seq: number, duplicate = false) => ({ entry_id: `e${seq}`, seq, duplicate });

test("what was written offline goes out in order, one after the other, when the line is back", async () => {
  const scene = new Scene();
  const first = await scene.inRoom(0);
  await first.end(1006);
  const one = scene.client.send(ROOM, "one");
  const two = scene.client.send(ROOM, "two");
  assert.deepEqual(
    scene.client.room(ROOM)?.pending.map((it) => it.state),
    ["sending", "sending"],
  );
  await scene.clock.pass(1000);
  const second = await scene.hello();
  assert.deepEqual(
    second.sent.map((it) => it.type),
    ["hello", "attach", "send"],
    "the room is attached before the queue goes on",
  );
  await second.answer("attach", scene.attached([], 0));
  await second.answer("send", stored(1));
  assert.deepEqual(
    second.of("send").map((it) => it.text),
    ["one", "two"],
  );
  await second.answer("send", stored(2));
  assert.equal((await one.done).seq, 1);
  assert.equal((await two.done).seq, 2);
});

test("a command whose answer was lost is repeated with the same client_id and shown once", async () => {
  const scene = new Scene();
  const first = await scene.inRoom(0);
  const sent = scene.client.send(ROOM, "hello");
  await settle();
  const id = first.last("send").client_id;
  await first.end(1006);
  await scene.clock.pass(1000);
  const second = await scene.hello();
  assert.equal(second.last("send").client_id, id);
  await second.answer("attach", scene.attached([{ ...entryPush(1, String(id)) }], 1, { resumed: true }));
  await second.answer("send", stored(1, true));
  assert.equal((await sent.done).duplicate, true);
  assert.deepEqual(scene.seqs(), [1]);
  assert.equal(scene.client.room(ROOM)?.pending.length, 0);
});

test("an echo gives way to its entry, whichever of push and reply comes first", async () => {
  const scene = new Scene();
  const socket = await scene.inRoom(0);
  scene.client.send(ROOM, "reply first");
  await settle();
  await socket.answer("send", stored(1));
  assert.equal(scene.client.room(ROOM)?.pending[0]?.state, "sent");
  await socket.push(entryPush(1, "mine-1"));
  assert.equal(scene.client.room(ROOM)?.pending.length, 0);
  scene.client.send(ROOM, "push first");
  await settle();
  await socket.push(entryPush(2, "mine-2"));
  await socket.answer("send", stored(2));
  assert.equal(scene.client.room(ROOM)?.pending.length, 0);
  assert.deepEqual(scene.seqs(), [1, 2]);
});

test("a refusal that may pass is repeated after the wait it names, and holds the others back", async () => {
  const scene = new Scene();
  const socket = await scene.inRoom(0);
  scene.client.send(ROOM, "one");
  scene.client.send(ROOM, "two");
  await settle();
  await socket.refuse("send", "RATE_LIMITED", true, { retry_after_ms: 700 });
  await scene.clock.pass(699);
  assert.equal(socket.of("send").length, 1);
  await scene.clock.pass(1);
  assert.deepEqual(
    socket.of("send").map((it) => it.client_id),
    ["mine-1", "mine-1"],
  );
});

test("a definite refusal fails its own command only; trying again keeps the client_id", async () => {
  const scene = new Scene();
  const socket = await scene.inRoom(0);
  const bad = scene.client.send(ROOM, "too long");
  scene.client.send(ROOM, "fine");
  await settle();
  await socket.refuse("send", "TOO_LARGE");
  await assert.rejects(bad.done, { code: "TOO_LARGE" });
  assert.equal(socket.last("send").text, "fine");
  await socket.answer("send", stored(1));
  assert.equal(scene.client.room(ROOM)?.pending[0]?.state, "failed");
  scene.client.retry(ROOM, bad.clientId);
  await settle();
  assert.equal(socket.last("send").client_id, bad.clientId);
  await socket.refuse("send", "TOO_LARGE");
  scene.client.discard(ROOM, bad.clientId);
  assert.deepEqual(
    scene.client.room(ROOM)?.pending.map((it) => it.command.client_id),
    ["mine-2"],
  );
});
