// The lent WebSocket of Node, against a real HTTP server that refuses to upgrade: what a browser cannot read is read here.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { WebSocket } from "ws";
import { nodeSocket } from "../src/node-socket.ts";
import type { Refusal } from "../src/world.ts";

async function refusedWith(status: number, headers: Record<string, string>, body: string): Promise<Refusal> {
  const server = createServer();
  server.on("upgrade", (_request, socket) => {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.end(`HTTP/1.1 ${status} No\r\n${lines.join("")}content-length: ${body.length}\r\n\r\n${body}`);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const line = nodeSocket(WebSocket)(`ws://127.0.0.1:${port}`, "parlour.v1+json");
  const told = new Promise<Refusal>((resolve) => {
    line.onrefused = resolve;
  });
  line.onerror = () => undefined;
  const closed = new Promise<number>((resolve) => {
    line.onclose = ({ code }) => resolve(code);
  });
  const refusal = await told;
  assert.equal(await closed, 1006, "a close follows");
  server.close();
  return refusal;
}

test("the reason and the time to come back are read from the body", async () => {
  const error = { code: "UNAVAILABLE", message: "full", retryable: true, details: { retry_after_ms: 1234 } };
  const body = JSON.stringify({ success: false, error });
  assert.deepEqual(await refusedWith(503, { "retry-after": "2" }, body), { status: 503, error });
});

test("without a body of ours, Retry-After is believed", async () => {
  const { status, error } = await refusedWith(503, { "retry-after": "3" }, "<html>");
  assert.equal(status, 503);
  assert.deepEqual(error?.details, { retry_after_ms: 3000 });
  assert.deepEqual(await refusedWith(403, {}, ""), { status: 403 });
});
