// The examples of @parlour/client, run as they stand against a server: two programs in Node and a page that opens its socket with a ticket. And
// the SDK over MessagePack, because a codec is proved only by another's.
// The server is found as in two-contexts.test.mjs. What is asserted is what a reader of the example would see.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import * as messagePack from "@msgpack/msgpack";
import { nodeSocket, ParlourClient } from "@parlour/client";
import { build } from "vite";
import { WebSocket } from "ws";
import { launch } from "./browser.mjs";
import { findServer } from "./server.mjs";

const example = (name) => fileURLToPath(new URL(`../client/examples/${name}`, import.meta.url));
const running = [];
let server;

before(async () => {
  server = await findServer();
});

after(() => {
  for (const child of running) child.kill("SIGINT");
  server?.stop();
});

/** Starts an example; `heard` waits for a line that matches. */
function run(name, args, env = {}) {
  const child = spawn(process.execPath, [example(name), ...args], { env: { ...process.env, ...env } });
  running.push(child);
  let said = "";
  const waiting = new Set();
  const take = (chunk) => {
    said += chunk;
    for (const look of waiting) look();
  };
  child.stdout.on("data", take);
  child.stderr.on("data", take);
  const heard = (pattern) =>
    new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${name} did not say ${pattern}:\n${said}`)), 10_000);
      const look = () => {
        const match = pattern.exec(said);
        if (!match) return;
        clearTimeout(late);
        waiting.delete(look);
        resolve(match);
      };
      waiting.add(look);
      look();
    });
  const stopped = () =>
    new Promise((resolve) => {
      child.once("exit", resolve);
      child.kill("SIGINT");
    });
  return { heard, stopped };
}

async function post(text) {
  const { http_url, api_key, conversation_id } = server.dev;
  const response = await fetch(`${http_url}/api/v1/conversations/${conversation_id}/entries`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${api_key}`,
      "content-type": "application/json",
      "idempotency-key": randomUUID(),
    },
    body: JSON.stringify({ kind: "message", text }),
  });
  assert.equal(response.status, 201);
}

test("a service follows a conversation, and a guest enters it by a link", async () => {
  const { http_url, api_key, conversation_id, share_url } = server.dev;
  const service = run("service.mjs", [http_url, conversation_id], { PARLOUR_API_KEY: api_key });
  await service.heard(/"live":/);
  const guest = run("guest.mjs", [share_url]);
  await guest.heard(/· stored as \d+; \d+ lines are held/);
  await service.heard(/"kind":"message","by":"Example","body":\{"text":"Hello from the example\."\}/);
  const words = `Answered at ${Date.now()}.`;
  await post(words);
  await guest.heard(new RegExp(`\\d+ .+: ${words}`));
  await service.heard(new RegExp(words));
  assert.equal(await guest.stopped(), 0);
  await guest.heard(/· closed/);
  assert.equal(await service.stopped(), 0);
});

test("a plain page opens its socket with a ticket, and no token is on its wire", async () => {
  const { http_url, share_url } = server.dev;
  const browser = await launch();
  try {
    // A page that was handed to the browser has no address of its own: it may speak to this machine only if it is let.
    const context = await browser.newContext({ permissions: ["local-network-access"] });
    context.setDefaultTimeout(10_000);
    const page = await context.newPage();
    const files = {
      "ticket.html": "text/html",
      "ticket.js": "text/javascript",
      "parlour-client.js": "text/javascript",
    };
    for (const [name, contentType] of Object.entries(files)) {
      const body = name === "parlour-client.js" ? await bundle() : await readFile(example(name), "utf8");
      await page.route(`${http_url}/examples/${name}`, (route) => route.fulfill({ contentType, body }));
    }
    const sent = [];
    page.on("websocket", (socket) => socket.on("framesent", ({ payload }) => sent.push(JSON.parse(String(payload)))));
    await page.goto(`${http_url}/examples/ticket.html#${share_url.split("/").at(-1)}`);
    await page.getByText("connected", { exact: true }).waitFor();
    const words = `From a plain page at ${Date.now()}.`;
    await page.getByLabel("Write").fill(words);
    await page.getByRole("button", { name: "Send" }).click();
    await page.getByText(`Example: ${words}`).waitFor();
    const [hello] = sent;
    assert.equal(hello.type, "hello");
    assert.match(hello.ticket, /^parlour_tk_/);
    assert.ok(sent.every((frame) => frame.token === undefined));
  } finally {
    await browser.close();
  }
});

test("the same over MessagePack: said, edited, removed, and heard again by a newcomer", async (context) => {
  const { http_url, api_key, conversation_id } = server.dev;
  if (server.dev.organization_id === "o1") return context.skip("the stand-in server speaks JSON only");
  const enter = (codec) => {
    const client = new ParlourClient({
      url: `${http_url.replace("http", "ws")}/api/v1/ws`,
      socket: nodeSocket(WebSocket),
      credentials: { renewal: "hand-in", token: async () => api_key },
      ...(codec && { codec }),
    });
    const room = client.join(conversation_id);
    client.connect();
    return { client, room };
  };
  const reads = ({ client, room }, look) =>
    new Promise((resolve) => {
      const check = () => look(room) && resolve();
      client.on("room", check);
      check();
    });
  const binary = enter(messagePack);
  const plain = enter();
  const words = `Packed at ${Date.now()}.`;
  const { clientId } = binary.client.send(conversation_id, words);
  const line = ({ lines }) => lines.find((it) => it.entry?.client_id === clientId);
  await Promise.all([binary, plain].map((it) => reads(it, (room) => line(room)?.entry.body.text === words)));
  binary.client.edit(conversation_id, line(binary.room), `${words} Edited.`);
  await reads(plain, (room) => line(room)?.edited);
  assert.equal(line(plain.room).entry.body.text, `${words} Edited.`);
  await binary.client.redact(conversation_id, line(binary.room)).done;
  await reads(plain, (room) => line(room)?.redacted);
  const late = enter(messagePack);
  await reads(late, (room) => line(room)?.redacted);
  for (const { client, room } of [binary, plain, late]) {
    assert.ok(!JSON.stringify([room.lines, room.entries, room.pending]).includes(words));
    client.close();
  }
});

/** The SDK in one file, as the comment in ticket.js makes it. */
async function bundle() {
  const entry = fileURLToPath(new URL("../client/src/index.ts", import.meta.url));
  const [{ output }] = await build({
    configFile: false,
    logLevel: "silent",
    build: { write: false, lib: { entry, formats: ["es"] } },
  });
  return output[0].code;
}
