// Resuming a room: without hole, without repeat, and honest about a past that cannot be continued.
// Claims of protocol/SPEC.md §3; the world is fakes.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { entryPush, message, messages, ROOM, Scene } from "./fakes.ts";

const range = (to: number) => Array.from({ length: to }, (_, index) => index + 1);

test("a resume continues after the last contiguous entry, page by page, without hole or repeat", async () => {
  const scene = new Scene();
  const first = await scene.inRoom(3);
  const told = scene.heard("entry");
  await first.end(1006);
  await scene.clock.pass(1000);
  const second = await scene.hello();
  assert.deepEqual(second.last("attach").since, { epoch: 1, seq: 3 });
  await second.answer("attach", {
    resumed: true,
    position: { epoch: 1, seq: 5 },
    entries: messages(4, 5),
    has_more: true,
  });
  assert.equal(scene.client.room(ROOM)?.phase, "live", "a room that was live stays readable while it catches up");
  assert.deepEqual(second.last("attach").since, { epoch: 1, seq: 5 });
  await second.answer("attach", scene.attached(messages(5, 7), 7, { resumed: true }));
  await second.push(entryPush(8));
  assert.deepEqual(scene.seqs(), range(8));
  assert.deepEqual(
    told.map((it) => it.at.seq),
    [4, 5, 6, 7, 8],
  );
});

test("a push that was heard before is dropped", async () => {
  const scene = new Scene();
  const socket = await scene.inRoom(3);
  const told = scene.heard("entry");
  await socket.push(entryPush(3));
  await socket.push(entryPush(4));
  await socket.push(entryPush(4));
  assert.deepEqual(scene.seqs(), range(4));
  assert.equal(told.length, 1);
});

test("a hole and a head above what is held both lead to an attach from the last contiguous entry", async () => {
  const scene = new Scene();
  const socket = await scene.inRoom(3);
  await socket.push(entryPush(6));
  assert.deepEqual(scene.seqs(), range(3), "nothing is shown out of turn");
  assert.deepEqual(socket.last("attach").since, { epoch: 1, seq: 3 });
  await socket.answer("attach", scene.attached(messages(4, 6), 6, { resumed: true }));
  await socket.push({ type: "head", conversation: ROOM, epoch: 1, seq: 9 });
  assert.deepEqual(socket.last("attach").since, { epoch: 1, seq: 6 });
  await socket.answer("attach", scene.attached(messages(7, 9), 9, { resumed: true }));
  assert.deepEqual(scene.seqs(), range(9));
});

test("a hole heard during an attach is closed by one more attach", async () => {
  const scene = new Scene();
  const socket = await scene.inRoom(1);
  await socket.push(entryPush(3));
  await socket.push(entryPush(5));
  assert.equal(socket.of("attach").length, 2);
  await socket.answer("attach", scene.attached(messages(2, 4), 4, { resumed: true }));
  assert.equal(socket.of("attach").length, 3);
  await socket.answer("attach", scene.attached([message(5)], 5, { resumed: true }));
  assert.deepEqual(scene.seqs(), range(5));
});

test("a reset is told as a discontinuity, and the room is read anew", async () => {
  const scene = new Scene();
  const first = await scene.inRoom(3);
  const gaps = scene.heard("discontinuity");
  await first.end(1012);
  await scene.clock.pass(1000);
  const second = await scene.hello();
  await second.answer("attach", { resumed: false, reset: { epoch: 2, floor: 0, head: 2 } });
  assert.deepEqual(gaps, [{ conversation: ROOM }]);
  assert.equal(second.last("attach").since, undefined);
  await second.answer("attach", scene.attached(messages(1, 2), 2, { position: { epoch: 2, seq: 2 } }));
  assert.deepEqual(scene.seqs(), [1, 2]);
  assert.deepEqual(scene.client.room(ROOM)?.position, { epoch: 2, seq: 2 });
});

test("a pause ends with the next head, however old, and an attach from where the room stands", async () => {
  const scene = new Scene();
  const socket = await scene.inRoom(3);
  const paused = () => scene.client.room(ROOM)?.paused;
  await socket.push({ type: "head", conversation: ROOM, epoch: 1, seq: 3 });
  assert.equal(socket.of("attach").length, 1, "a head that is held already means nothing by itself");
  await socket.push({ type: "paused", conversation: ROOM });
  assert.equal(paused(), true);
  assert.deepEqual(scene.seqs(), range(3), "what is held stays readable");
  await socket.push({ type: "head", conversation: ROOM, epoch: 1, seq: 3 });
  assert.deepEqual(socket.last("attach").since, { epoch: 1, seq: 3 });
  assert.equal(paused(), true, "until the attach is answered the session gets no entries");
  await socket.answer("attach", scene.attached([], 3, { resumed: true }));
  assert.equal(paused(), false);
  await socket.push(entryPush(4));
  assert.deepEqual(scene.seqs(), range(4));
});

test("a pause ends with the attach after a reconnect, too", async () => {
  const scene = new Scene();
  const first = await scene.inRoom(3);
  await first.push({ type: "paused", conversation: ROOM });
  await first.end(1013);
  await scene.clock.pass(1000);
  const second = await scene.hello();
  await second.answer("attach", scene.attached(messages(4, 5), 5, { resumed: true }));
  assert.equal(scene.client.room(ROOM)?.paused, false);
  assert.deepEqual(scene.seqs(), range(5));
});

test("whoever cannot be heard is neither gone nor, when heard again, newly come", async () => {
  const scene = new Scene();
  const socket = await scene.inRoom(0);
  const told = scene.heard("presence");
  const who = { kind: "guest" as const, id: "g1", name: "Maria" };
  for (const state of ["online", "unknown", "online", "unknown", "offline"] as const) {
    await socket.push({ type: "presence", conversation: ROOM, who, state });
    assert.deepEqual(scene.client.room(ROOM)?.members, [{ who, state }]);
  }
  assert.deepEqual(
    told.map(({ before, state }) => `${before} → ${state}`),
    ["offline → online", "online → unknown", "unknown → online", "online → unknown", "unknown → offline"],
  );
});

test("older entries are put before the first one held", async () => {
  const scene = new Scene();
  scene.client.join(ROOM);
  const socket = await scene.hello();
  await socket.answer("attach", scene.attached(messages(51, 100), 100));
  assert.equal(scene.client.room(ROOM)?.complete, false);
  const older = scene.client.room(ROOM)?.loadOlder();
  assert.equal(socket.last("history").before, 51);
  await socket.answer("history", { entries: messages(1, 50), epoch: 1, head: 100, has_more: false });
  await older;
  assert.deepEqual(scene.seqs(), range(100));
  assert.equal(scene.client.room(ROOM)?.complete, true);
});

test("a typist who falls silent stops typing, and a permission push replaces what was allowed", async () => {
  const scene = new Scene();
  const socket = await scene.inRoom(0);
  const who = { kind: "guest" as const, id: "g1", name: "Maria" };
  await socket.push({ type: "typing", conversation: ROOM, who, active: true, expires_ms: 6000 });
  assert.equal(scene.client.room(ROOM)?.typing.length, 1);
  await scene.clock.pass(6000);
  assert.equal(scene.client.room(ROOM)?.typing.length, 0);
  await socket.push({ type: "permission", conversation: ROOM, permissions: ["read"] });
  assert.deepEqual(scene.client.room(ROOM)?.permissions, ["read"]);
});
