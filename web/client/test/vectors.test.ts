// The golden messages of protocol/vectors, read by this SDK as the Rust side reads them.
// An empty folder is a failure; a folder that does not exist yet is said so. MessagePack is decoded by a library of the tests only:
// the SDK speaks JSON.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { test } from "node:test";
import { decode as decodeMessagePack } from "@msgpack/msgpack";
import { readFrame } from "../src/codec.ts";
import { afterClose } from "../src/states.ts";

interface Vector {
  name: string;
  kind: "command" | "reply" | "push" | "close";
  valid: boolean;
  json: unknown;
  msgpack: string;
  error?: string;
}

// Tests run from web/ (see package.json), compiled or not.
const folder = resolve(process.cwd(), "../protocol/vectors");

if (!existsSync(folder)) {
  test("golden messages", { skip: "protocol/vectors does not exist yet" }, () => undefined);
} else {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".json"));
  test("there are golden messages", () => assert.notEqual(files.length, 0, `${folder} is empty`));
  for (const file of files) {
    const content: Vector | Vector[] = JSON.parse(readFileSync(resolve(folder, file), "utf8"));
    for (const vector of Array.isArray(content) ? content : [content])
      test(`${file}: ${vector.name}`, () => check(vector));
  }
}

function check(vector: Vector): void {
  if (typeof vector.msgpack === "string" && vector.msgpack !== "" && vector.json !== undefined) {
    assert.deepEqual(decodeMessagePack(Buffer.from(vector.msgpack, "base64")), vector.json);
  }
  if (vector.kind === "close") {
    const { code, reconnect } = vector.json as { code: number; reconnect: boolean };
    assert.equal(afterClose(code) !== "stop", reconnect);
    return;
  }
  if (vector.kind !== "push" && vector.kind !== "reply") return;
  if (!vector.valid) return;
  const frame = readFrame(vector.json);
  if (vector.kind === "push") {
    assert.equal(frame.kind, "push", "a push this SDK does not know");
    assert.deepEqual(frame.kind === "push" && frame.push, vector.json);
  } else {
    assert.ok(frame.kind === "reply" || frame.kind === "refusal");
  }
}
