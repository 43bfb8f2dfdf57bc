// The line: when it comes back, when it must not, and how a token is renewed without dropping it.
// Claims of protocol/SPEC.md §2; the world is fakes.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { afterClose } from "../src/states.ts";
import { newUuid } from "../src/world.ts";
import { ROOM, Scene, settle } from "./fakes.ts";

test("the range of a close code decides", () => {
  for (const code of [1001, 1006, 1011, 1012, 1013, 4000, 4408, 4429, 4430, 4499])
    assert.equal(afterClose(code), "reconnect");
  assert.equal(afterClose(4401), "fresh-token");
  for (const code of [1000, 1002, 1003, 1007, 1009, 4500, 4503, 4510, 4999, 3000])
    assert.equal(afterClose(code), "stop");
});

test("staff hand in a fresh token at 80 % of its life, on the same socket", async () => {
  const scene = new Scene("hand-in");
  const socket = await scene.hello(20_000);
  await scene.clock.pass(15_999);
  assert.equal(socket.of("refresh").length, 0);
  await scene.clock.pass(1);
  assert.equal(socket.last("refresh").token, "token-2");
  assert.deepEqual(scene.tokens, [false, true]);
  await socket.answer("refresh", { expires_in_ms: 20_000 });
  await scene.clock.pass(16_000);
  assert.equal(socket.of("refresh").length, 2);
  assert.equal(scene.sockets.length, 1);
  assert.deepEqual(scene.states, ["connecting", "connected"]);
});

test("a guest's refresh carries no token and keeps the one it brings", async () => {
  const scene = new Scene("re-read");
  const socket = await scene.hello(20_000);
  await scene.clock.pass(16_000);
  assert.equal("token" in socket.last("refresh"), false);
  await socket.answer("refresh", { expires_in_ms: 20_000, guest_token: "next" });
  assert.deepEqual(scene.kept, ["next"]);
});

test("the end of a link stops for good", async () => {
  const scene = new Scene("re-read");
  const changes = scene.heard("state");
  const socket = await scene.inRoom(1);
  await socket.end(4510);
  await scene.clock.pass(600_000);
  assert.equal(scene.client.state, "failed");
  assert.equal(changes.at(-1)?.code, 4510);
  assert.equal(scene.sockets.length, 1);
});

test("an expired token is replaced before the next hello", async () => {
  const scene = new Scene();
  const socket = await scene.hello();
  await socket.end(4401);
  await scene.clock.pass(1000);
  await settle();
  assert.deepEqual(scene.tokens, [false, true]);
  assert.equal(scene.sockets.length, 2);
});

test("a remembered token that is refused is tried once more as a fresh one, then no more", async () => {
  const scene = new Scene();
  scene.client.connect();
  await settle();
  await scene.socket.open();
  await scene.socket.refuse("hello", "UNAUTHENTICATED");
  await scene.clock.pass(1000);
  assert.deepEqual(scene.tokens, [false, true]);
  await scene.socket.open();
  await scene.socket.refuse("hello", "UNAUTHENTICATED");
  await scene.clock.pass(60_000);
  assert.equal(scene.client.state, "failed");
  assert.equal(scene.sockets.length, 2);
});

test("an advice before a close is waited for", async () => {
  const scene = new Scene();
  const socket = await scene.hello();
  await socket.push({ type: "advice", retry_after_ms: 4000 });
  await socket.end(1012);
  await scene.clock.pass(3999);
  assert.equal(scene.sockets.length, 1);
  await scene.clock.pass(1);
  assert.equal(scene.sockets.length, 2);
});

test("going offline suspends at once, coming back connects at once", async () => {
  const scene = new Scene();
  await scene.hello();
  await scene.network.sign("offline");
  await scene.network.sign("online");
  assert.deepEqual(scene.states.slice(-2), ["suspended", "connecting"]);
  assert.equal(scene.sockets.length, 2);
});

test("two minutes without success are called suspended, and are still tried", async () => {
  const scene = new Scene();
  const socket = await scene.hello();
  await socket.end(1006);
  const state = (): string => scene.client.state;
  assert.equal(state(), "disconnected");
  for (let round = 0; round < 40 && state() !== "suspended"; round += 1) {
    await scene.clock.pass(16_000);
    if (state() === "connecting") await scene.socket.end(1006);
  }
  assert.equal(state(), "suspended");
  const before = scene.sockets.length;
  await scene.clock.pass(16_000);
  assert.equal(scene.sockets.length, before + 1);
});

test("silence for a heartbeat is probed, and a line that does not answer is given up", async () => {
  const scene = new Scene();
  const socket = await scene.hello();
  await scene.clock.pass(25_000);
  assert.equal(socket.of("ping").length, 1);
  await scene.clock.pass(5000);
  assert.equal(socket.closed, true);
  assert.equal(scene.client.state, "disconnected");
});

test("closing is final and rejects what waits", async () => {
  const scene = new Scene();
  const socket = await scene.inRoom(1);
  await socket.push({ type: "head", conversation: ROOM, epoch: 1, seq: 1 });
  scene.client.close();
  assert.deepEqual(scene.states.slice(-2), ["closing", "closed"]);
  await scene.clock.pass(600_000);
  assert.equal(scene.sockets.length, 1);
});

test("leaving a conversation says first how far it was read", async () => {
  const scene = new Scene();
  const socket = await scene.inRoom(3);
  scene.client.read(ROOM, 3);
  scene.client.leave(ROOM);
  await settle();
  assert.deepEqual(
    socket.sent.slice(-2).map(({ type, read }) => [type, read]),
    [
      ["read", 3],
      ["detach", undefined],
    ],
  );
});

test("a made-up id is a UUID of version 4", () => {
  assert.match(newUuid(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test("a server that is full says when to come back, and is believed", async () => {
  const scene = new Scene();
  scene.client.connect();
  await settle();
  const error = { code: "UNAVAILABLE", message: "full", retryable: true, details: { retry_after_ms: 7000 } };
  await scene.socket.turnAway({ status: 503, error });
  assert.equal(scene.client.state, "disconnected");
  await scene.clock.pass(6999);
  assert.equal(scene.sockets.length, 1);
  await scene.clock.pass(1);
  assert.equal(scene.sockets.length, 2);
  await scene.socket.turnAway({ status: 502 });
  await scene.clock.pass(10_000);
  assert.equal(scene.sockets.length, 3, "an answer of a proxy in between is waited out, too");
});

test("an upgrade refused for good is not asked for again", async () => {
  const scene = new Scene();
  scene.client.connect();
  await settle();
  const error = { code: "FORBIDDEN", message: "origin", retryable: false };
  await scene.socket.turnAway({ status: 403, error });
  await scene.clock.pass(600_000);
  assert.equal(scene.client.state, "failed");
  assert.equal(scene.sockets.length, 1);
});

test("a ticket says hello in place of a token, and the line is replaced by a new one before its end", async () => {
  const tickets: string[] = [];
  const scene = new Scene("hand-in", undefined, async () => {
    tickets.push(`parlour_tk_${tickets.length + 1}`);
    return { ticket: tickets.at(-1) ?? "" };
  });
  const first = await scene.inRoom(2, 20_000);
  assert.equal(first.last("hello").ticket, "parlour_tk_1");
  assert.equal("token" in first.last("hello"), false);
  await scene.clock.pass(16_000);
  assert.equal(first.closed, true);
  assert.equal(first.of("refresh").length, 0);
  const second = await scene.hello(20_000);
  assert.equal(second.last("hello").ticket, "parlour_tk_2");
  assert.deepEqual(second.last("attach").since, { epoch: 1, seq: 2 });
  assert.equal(tickets.length, 2, "no ticket is asked for in vain");
  assert.deepEqual(scene.states, ["connecting", "connected", "connecting", "connected"]);
});
