// The package as somebody else gets it: packed, installed from the tarball into an empty folder, type-checked there, run there, and weighed.
// It must never look into the checkout for the package itself; tools (TypeScript, ws, Vite) are lent from it. Run: npm run test:pack
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { build } from "vite";

/** Everything the package offers, minified and gzipped. */
const BUDGET_BYTES = 12_288;
const web = resolve(import.meta.dirname, "../..");
const home = mkdtempSync(join(tmpdir(), "parlour-pack-"));
const npm = (args, cwd) => execFileSync("npm", [...args, "--loglevel=error"], { cwd, encoding: "utf8" });

before(() => {
  const tarball = npm(["pack", "--pack-destination", home], join(web, "client")).trim().split("\n").at(-1);
  writeFileSync(join(home, "package.json"), JSON.stringify({ private: true, type: "module" }));
  npm(["install", "--offline", "--no-audit", "--no-fund", `./${tarball}`], home);
  for (const lent of ["typescript", "@typescript", "ws", "@types", "undici-types", "@msgpack"])
    symlinkSync(join(web, "node_modules", lent), join(home, "node_modules", lent));
});

after(() => rmSync(home, { recursive: true, force: true }));

const installed = (...path) => join(home, "node_modules/@parlour/client", ...path);

test("the tarball holds the build, its types, the sources and the examples, and nothing else", () => {
  const names = readdirSync(installed()).sort();
  assert.deepEqual(names, ["README.md", "build", "examples", "package.json", "src"]);
  assert.deepEqual(readdirSync(installed("build")), ["src"]);
  const { dependencies, peerDependencies } = JSON.parse(readFileSync(installed("package.json"), "utf8"));
  assert.deepEqual([dependencies, peerDependencies], [undefined, undefined]);
});

const CONSUMER = `
import * as messagePack from "@msgpack/msgpack";
import { Api, nodeSocket, ParlourClient, type Room, type RoomLine, type Sent, VisibilityTracker } from "@parlour/client";
import { WebSocket } from "ws";

const api = new Api({ base: "https://parlour.example", token: async () => "token" });
const client = new ParlourClient({
  url: "wss://parlour.example/api/v1/ws",
  socket: nodeSocket(WebSocket),
  codec: messagePack,
  credentials: { renewal: "hand-in", token: async () => ({ ticket: (await api.ticket()).ticket }) },
});
client.on("entry", ({ room, at }) => console.log(room.id, at.seq));
client.on("refused", ({ command, error }) => console.log(command.client_id, error.code));
const room: Room = client.join("c");
const sent: Sent = client.send(room.id, "Hello");
const text = (line: RoomLine): string =>
  line.kind === "echo" ? line.echo.command.text : line.entry.kind === "message" ? line.entry.body.text : line.entry.kind;
console.log(room.lines.map(text), sent.clientId, new VisibilityTracker({ now: () => 0 }).totals());
// @ts-expect-error an unknown event
client.on("nothing", () => undefined);
// @ts-expect-error a room is fed by the client alone
room.take(1, 1, {});
`;

for (const [module, moduleResolution] of [
  ["esnext", "bundler"],
  ["nodenext", "nodenext"],
]) {
  test(`a strict consumer type-checks against the installed types (${moduleResolution})`, () => {
    const folder = join(home, moduleResolution);
    mkdirSync(folder);
    writeFileSync(join(folder, "consumer.ts"), CONSUMER);
    const compilerOptions = {
      module,
      moduleResolution,
      target: "es2022",
      lib: ["es2023", "dom", "dom.iterable"],
      types: ["node"],
      strict: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
      skipLibCheck: false,
    };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["consumer.ts"] }));
    try {
      execFileSync(process.execPath, [join(web, "node_modules/typescript/bin/tsc"), "-p", folder], {
        encoding: "utf8",
      });
    } catch (error) {
      assert.fail(error.stdout);
    }
  });
}

test("an example runs from the installed package", async () => {
  cpSync(installed("examples"), join(home, "examples"), { recursive: true });
  const server = spawn(process.execPath, [join(web, "e2e/fake-server.mjs")], { stdio: ["ignore", "pipe", "inherit"] });
  let dev;
  for await (const line of createInterface(server.stdout)) {
    dev = JSON.parse(line);
    break;
  }
  const guest = spawn(process.execPath, ["examples/guest.mjs", dev.share_url], { cwd: home });
  try {
    let stored = "";
    for await (const line of createInterface(guest.stdout)) {
      stored = /^· stored as \d+/.exec(line)?.[0] ?? "";
      if (stored) break;
    }
    assert.notEqual(stored, "", "it never said that its words were stored");
  } finally {
    guest.kill("SIGKILL");
    server.kill();
  }
});

test(`everything it offers weighs at most ${BUDGET_BYTES} bytes`, async (context) => {
  const { output } = await build({
    configFile: false,
    logLevel: "silent",
    build: {
      write: false,
      target: "es2022",
      modulePreload: { polyfill: false },
      rollupOptions: { input: installed("build/src/index.js"), preserveEntrySignatures: "strict" },
    },
  });
  const bytes = gzipSync(output[0].code, { level: 9 }).length;
  context.diagnostic(`@parlour/client: ${output[0].code.length} bytes, ${bytes} gzipped, of ${BUDGET_BYTES}`);
  assert.ok(bytes <= BUDGET_BYTES, `${bytes} bytes gzipped`);
});
