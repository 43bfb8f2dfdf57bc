// Frames to words and back: the sub-protocol `parlour.v1+json`, or `parlour.v1+msgpack` with a codec the application brings.
// It must let unknown fields and unknown pushes pass (a newer server may send them) and must never hand on a half-read one.
// Words are in types.ts; the golden messages that hold this file to the contract are in protocol/vectors.
import { ParlourError, type WireError } from "./errors.ts";
import type { Command, Push, PushType } from "./types.ts";

export const SUBPROTOCOL = "parlour.v1+json";
export const SUBPROTOCOL_MSGPACK = "parlour.v1+msgpack";

/** MessagePack, as `@msgpack/msgpack` exports it: hand in the whole module, or any two functions like these. */
export interface BinaryCodec {
  encode(value: unknown): Uint8Array;
  decode(bytes: Uint8Array): unknown;
}

export type Frame =
  | { kind: "reply"; id: number; ok: unknown }
  | { kind: "refusal"; id: number | null; error: WireError }
  | { kind: "push"; push: Push }
  | { kind: "unknown"; type: string };

type Shape = Record<string, "string" | "number" | "boolean" | "object" | "array">;

/** The fields a push must have to be a push at all. */
const PUSHES: Record<PushType, Shape> = {
  entry: { conversation: "string", epoch: "number", seq: "number", entry: "object" },
  typing: { conversation: "string", who: "object", active: "boolean", expires_ms: "number" },
  presence: { conversation: "string", who: "object", state: "string" },
  seen: { conversation: "string", seen: "object" },
  receipt: { conversation: "string", who: "object", received: "number", read: "number" },
  permission: { conversation: "string", permissions: "array" },
  head: { conversation: "string", epoch: "number", seq: "number" },
  paused: { conversation: "string" },
  share: { conversation: "string", share: "object" },
  inbox: { conversation: "object" },
  advice: { retry_after_ms: "number" },
};

const unreadable = (why: string) => new ParlourError({ code: "UNREADABLE", message: why, retryable: false });

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "array";
  return value === null ? "null" : typeof value;
}

function isPushType(type: string): type is PushType {
  return Object.hasOwn(PUSHES, type);
}

/** Reads a frame that JSON has already parsed. Throws `UNREADABLE` on what breaks the contract. */
export function readFrame(value: unknown): Frame {
  if (!isObject(value)) throw unreadable("a frame is an object");
  if ("id" in value) return readReply(value);
  if (typeof value.type !== "string") throw unreadable("a push names its type");
  if (!isPushType(value.type)) return { kind: "unknown", type: value.type };
  for (const [field, kind] of Object.entries(PUSHES[value.type])) {
    if (kindOf(value[field]) !== kind) throw unreadable(`${value.type}.${field} is not a ${kind}`);
  }
  return { kind: "push", push: value as unknown as Push };
}

function readReply(value: Record<string, unknown>): Frame {
  const { id, ok, error } = value;
  // A message nobody could read is answered without an id of its own.
  if (id !== null && !(typeof id === "number" && Number.isSafeInteger(id) && id >= 0)) throw unreadable("reply.id");
  if (isObject(error)) {
    if (typeof error.code !== "string") throw unreadable("reply.error.code");
    return { kind: "refusal", id, error: error as unknown as WireError };
  }
  if (id === null || !isObject(ok)) throw unreadable("a reply has ok or error");
  return { kind: "reply", id, ok };
}

export interface Wire {
  protocol: string;
  encode(id: number, command: Command): string | Uint8Array;
  /** Throws `UNREADABLE`. */
  decode(data: unknown): Frame;
}

/** JSON, or MessagePack when a codec is given. */
export function wire(binary?: BinaryCodec): Wire {
  if (!binary) {
    return {
      protocol: SUBPROTOCOL,
      encode: (id, command) => JSON.stringify({ id, ...command }),
      decode: (data) => readFrame(parsed(() => JSON.parse(String(data)))),
    };
  }
  return {
    protocol: SUBPROTOCOL_MSGPACK,
    // Fields that are undefined would travel as nil: they are absent instead, as JSON has it.
    encode: (id, command) => binary.encode({ id, ...defined(command) }),
    decode: (data) => readFrame(parsed(() => binary.decode(bytesOf(data)))),
  };
}

function parsed(read: () => unknown): unknown {
  try {
    return read();
  } catch {
    throw unreadable("not in the codec of this connection");
  }
}

const defined = (fields: object): object =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));

/** A browser gives an `ArrayBuffer`, Node's `ws` a `Buffer` or an `ArrayBuffer`. */
function bytesOf(data: unknown): Uint8Array {
  if (data instanceof Uint8Array) return data;
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  throw unreadable("a text frame on a binary connection");
}
