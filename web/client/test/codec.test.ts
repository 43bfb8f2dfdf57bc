// MessagePack beside JSON: the application brings the codec, the client takes the other sub-protocol and says the same things.
// The golden messages go through both codecs whole: what is encoded here must be read there, and the other way round.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { test } from "node:test";
import * as messagePack from "@msgpack/msgpack";
import { ParlourClient } from "../src/client.ts";
import { SUBPROTOCOL_MSGPACK, wire } from "../src/codec.ts";
import type { Command } from "../src/types.ts";
import type { SocketLike } from "../src/world.ts";
import { FakeNetwork, HandClock, settle } from "./fakes.ts";

interface Vector {
  name: string;
  valid: boolean;
  json?: { id: number } & Command;
  msgpack?: string;
}

const golden = (name: string): Vector[] =>
  JSON.parse(readFileSync(resolve(process.cwd(), `../protocol/vectors/${name}.json`), "utf8"));

const COMMANDS = ["hello", "attach", "send", "edit", "redact", "note", "select", "seen", "presence", "read", "history"];

for (const name of COMMANDS) {
  test(`${name} is encoded as the golden messages have it, in both codecs`, () => {
    for (const { json, msgpack } of golden(`command-${name}`).filter((it) => it.valid && it.json)) {
      if (!json) continue;
      const { id, ...command } = json;
      assert.deepEqual(JSON.parse(String(wire().encode(id, command))), json);
      const bytes = wire(messagePack).encode(id, command) as Uint8Array;
      assert.deepEqual(messagePack.decode(bytes), json);
      if (msgpack) assert.equal(Buffer.from(bytes).toString("base64"), msgpack, "byte for byte");
    }
  });
}

for (const name of ["push-entry", "push-seen", "push-presence", "reply-attach", "reply-hello", "reply-error"]) {
  test(`${name} is read the same from both codecs`, () => {
    for (const { json, msgpack } of golden(name)) {
      if (!msgpack) continue;
      const bytes = Buffer.from(msgpack, "base64");
      const whole = new Uint8Array(bytes).buffer;
      assert.deepEqual(wire(messagePack).decode(bytes), wire().decode(JSON.stringify(json)));
      assert.deepEqual(wire(messagePack).decode(whole), wire().decode(JSON.stringify(json)));
    }
  });
}

test("frames that are not of the codec are unreadable, not half-read", () => {
  for (const data of ["{", "[]", '"hello"', "{}"]) assert.throws(() => wire().decode(data), { code: "UNREADABLE" });
  for (const data of ["{}", new Uint8Array([0xc1]), new Uint8Array([0x90]), new Uint8Array([])])
    assert.throws(() => wire(messagePack).decode(data), { code: "UNREADABLE" });
});

test("with a codec the client asks for the binary sub-protocol and speaks it", async () => {
  const sent: unknown[] = [];
  const asked: string[] = [];
  const socket: SocketLike = {
    onopen: null,
    onmessage: null,
    onclose: null,
    onerror: null,
    send: (data) => sent.push(messagePack.decode(data as Uint8Array)),
    close: () => undefined,
  };
  const client = new ParlourClient({
    url: "wss://parlour.example/api/v1/ws",
    credentials: { renewal: "re-read", token: async () => "token" },
    codec: messagePack,
    clock: new HandClock(),
    surroundings: new FakeNetwork(),
    socket: (_url, protocol) => {
      asked.push(protocol);
      return socket;
    },
  });
  client.connect();
  await settle();
  socket.onopen?.(undefined as never);
  await settle();
  assert.deepEqual(asked, [SUBPROTOCOL_MSGPACK]);
  assert.equal(socket.binaryType, "arraybuffer");
  assert.deepEqual(sent, [{ id: 1, type: "hello", token: "token" }]);
  const hello = golden("reply-hello")[0]?.json as unknown as { ok: object };
  socket.onmessage?.({ data: messagePack.encode({ id: 1, ok: hello.ok }) });
  await settle();
  assert.equal(client.state, "connected");
  assert.equal(client.me?.name, "Marie Dupont");
  client.close();
});
