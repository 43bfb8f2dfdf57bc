// What was seen, and what is on this side's screen: counted honestly, told sparingly.
// Claims of protocol/SPEC.md §7.1 and §2.1; the world is fakes.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { VisibilityTracker } from "../src/seen.ts";
import { HandClock, ROOM, Scene } from "./fakes.ts";

const CARD = { conversation: ROOM, card: "k", version: 1 };

test("a tracker adds up what was visible while the page was, and never counts down", async () => {
  const clock = new HandClock();
  const tracker = new VisibilityTracker(clock, [{ id: "b", visible_ms: 100 }]);
  tracker.show("a");
  tracker.show("a");
  await clock.pass(1000);
  tracker.show("b");
  await clock.pass(500);
  tracker.hide("a");
  await clock.pass(500);
  const of = () => Object.fromEntries(tracker.totals().map((it) => [it.id, it.visible_ms]));
  assert.deepEqual(of(), { b: 1100, a: 1500 });
  tracker.setHidden(true);
  await clock.pass(5000);
  assert.deepEqual(of(), { b: 1100, a: 1500 });
  tracker.setHidden(false);
  clock.time -= 10_000;
  assert.deepEqual(of(), { b: 1100, a: 1500 }, "a clock that was set back counts nothing");
  await clock.pass(200);
  assert.equal(of().b, 1300);
});

test("what is seen is told at most every five seconds, as a total, and once more when the page is hidden", async () => {
  const scene = new Scene("re-read");
  const socket = await scene.inRoom(0);
  const card = scene.client.trackSeen(CARD);
  card.show("a");
  await scene.clock.pass(4999);
  assert.equal(socket.of("seen").length, 0);
  await scene.clock.pass(1);
  assert.deepEqual(socket.last("seen").options, [{ id: "a", visible_ms: 5000 }]);
  await scene.clock.pass(5000);
  assert.equal(socket.of("seen").length, 2);
  await scene.clock.pass(1200);
  await scene.network.sign("hidden");
  assert.deepEqual(socket.last("seen").options, [{ id: "a", visible_ms: 11_200 }]);
  await scene.clock.pass(10_000);
  assert.equal(socket.of("seen").length, 3, "nothing is counted on a hidden page");
  await scene.network.sign("visible");
  await scene.clock.pass(5000);
  assert.equal(socket.of("seen").length, 4);
  card.hide("a");
  await scene.clock.pass(10_000);
  assert.ok(socket.of("seen").length <= 5);
});

test("several cards share the one report in five seconds, and none is forgotten", async () => {
  const scene = new Scene("re-read");
  const socket = await scene.inRoom(0);
  const cards = ["k", "l", "m"].map((card) => scene.client.trackSeen({ ...CARD, card }));
  for (const card of cards) card.show("a");
  await scene.clock.pass(15_000);
  assert.deepEqual(
    socket.of("seen").map((it) => it.card),
    ["k", "l", "m"],
  );
});

test("what could not be told without a line is told with the next report", async () => {
  const scene = new Scene("re-read");
  const socket = await scene.inRoom(0);
  const card = scene.client.trackSeen(CARD);
  card.show("a");
  await scene.network.sign("offline");
  await scene.clock.pass(6000);
  card.hide("a");
  await scene.network.sign("online");
  const second = await scene.hello();
  await second.answer("attach", scene.attached([], 0, { resumed: true }));
  await scene.clock.pass(10_000);
  assert.equal(socket.of("seen").length, 0);
  assert.deepEqual(second.last("seen").options, [{ id: "a", visible_ms: 6000 }]);
});

test("viewing follows the page, and is said again after a reconnect", async () => {
  const scene = new Scene();
  scene.client.join(ROOM);
  scene.client.view(ROOM, "auto");
  const first = await scene.hello();
  assert.equal(first.of("presence").length, 0, "only where attached");
  await first.answer("attach", scene.attached([], 0));
  assert.equal(first.last("presence").viewing, true);
  await scene.network.sign("hidden");
  assert.equal(first.last("presence").viewing, false);
  await scene.network.sign("visible");
  assert.deepEqual(
    first.of("presence").map((it) => it.viewing),
    [true, false, true],
  );
  await first.end(1012);
  await scene.clock.pass(1000);
  const second = await scene.hello();
  await second.answer("attach", scene.attached([], 0, { resumed: true }));
  assert.equal(second.last("presence").viewing, true);
  scene.client.view(ROOM, false);
  assert.equal(second.last("presence").viewing, false);
});

test("staff hear who views and what a guest has seen", async () => {
  const scene = new Scene();
  const socket = await scene.inRoom(0);
  const amira = { kind: "staff" as const, id: "s2", name: "Amira" };
  const maria = { kind: "guest" as const, id: "g1", name: "Maria" };
  const heard = scene.heard("presence");
  await socket.push({ type: "presence", conversation: ROOM, who: amira, state: "online", viewing: true });
  assert.equal(scene.client.room(ROOM)?.members[0]?.viewing, true);
  await socket.push({ type: "presence", conversation: ROOM, who: amira, state: "online" });
  assert.equal(scene.client.room(ROOM)?.members[0]?.viewing, undefined);
  assert.deepEqual(
    heard.map((it) => it.viewing),
    [true, false],
  );
  const at = "2026-11-21T12:00:00.000Z";
  const seen = (visible_ms: number) => ({
    who: maria,
    card: "k",
    version: 1,
    options: [{ id: "a", visible_ms }],
    first_at: at,
    last_at: at,
  });
  await socket.push({ type: "seen", conversation: ROOM, seen: seen(1000) });
  await socket.push({ type: "seen", conversation: ROOM, seen: seen(9000) });
  assert.deepEqual(scene.client.room(ROOM)?.seen, [seen(9000)]);
});
