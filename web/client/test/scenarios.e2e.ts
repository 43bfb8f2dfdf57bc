// The scenarios of protocol/scenarios, played against a real server in both codecs: the same files the Rust player runs.
// The server is found as in e2e/server.mjs (PARLOUR_DEV_JSON or PARLOUR_DEV_COMMAND). All are played side by side, each in rooms of
// its own, and a changed expectation must fail: a player that cannot fail proves nothing.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { type Node, Player, type Scenario, Skipped, type Step } from "./scenario.ts";
import type { Codec } from "./scenario-socket.ts";

interface Dev {
  nodes: Node[];
  staff: { token: string }[];
}

// Tests run from web/ (see package.json), compiled or not.
const folder = resolve(process.cwd(), "../protocol/scenarios");

function read<T>(path: string): Map<string, T> {
  const files = readdirSync(path).filter((name) => name.endsWith(".json"));
  const text = (name: string) => readFileSync(resolve(path, name), "utf8");
  return new Map(files.map((name) => [name.replace(/\.json$/, ""), JSON.parse(text(name))]));
}

const isLong = ({ name }: Scenario) => name === "blocked-reader";
const parts = Object.fromEntries(read<Step[]>(resolve(folder, "parts")));
// The one that takes longest begins first, for the others to pass beside it.
const scenarios = [...read<Scenario>(folder).values()].sort((a, b) => Number(isLong(b)) - Number(isLong(a)));
let dev: Dev;
let stop: () => void = () => undefined;

before(async () => {
  const { findServer } = await import(resolve(process.cwd(), "e2e/server.mjs"));
  ({ dev, stop } = await findServer());
});
after(() => stop());

async function play(scenario: Scenario, codec: Codec): Promise<void> {
  const player = new Player(dev.nodes, codec, parts, { token: dev.staff[0]?.token, scenario: scenario.name });
  try {
    await player.play(scenario.steps);
  } finally {
    player.close();
  }
}

test("there are scenarios", () => assert.ok(scenarios.length > 30, folder));

test("a changed expectation fails", async () => {
  const hello = scenarios.find(({ name }) => name === "hello");
  assert.ok(hello);
  const steps = [
    ...hello.steps,
    { do: "send", socket: "amira", command: { type: "ping" }, reply: { ok: { pong: true } } },
  ];
  await assert.rejects(play({ ...hello, steps }, "json"), /expected true, got nothing/);
});

// All of them play the same member of staff, who may hold ten sockets at a node.
describe("scenarios", { concurrency: 4 }, () => {
  for (const scenario of scenarios) {
    for (const codec of ["json", "msgpack"] as const) {
      test(`${scenario.name} in ${codec}`, async (context) => {
        if (scenario.needs?.includes("two_nodes") && dev.nodes.length < 2) return context.skip("one node");
        try {
          await play(scenario, codec);
        } catch (error) {
          if (!(error instanceof Skipped)) throw error;
          context.skip(error.message);
        }
      });
    }
  }
});
