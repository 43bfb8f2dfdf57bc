// Plays a file of protocol/scenarios as src/cli/conformance does in Rust: the steps and matchers are described in protocol/README.md.
// It holds the server to its words and knows nothing else; it never sleeps, and a step that waits in vain fails after its time.
// Next: scenario-socket.ts (the wire), scenarios.test.ts (which server).
import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { type Codec, ScenarioSocket } from "./scenario-socket.ts";

// A file is data: what a step holds is read where it is used.
// biome-ignore lint/suspicious/noExplicitAny: scenarios and messages are any JSON
export type Json = any;
export type Step = Record<string, Json>;
export interface Scenario {
  name: string;
  needs?: ("staff" | "two_nodes")[];
  steps: Step[];
}
export interface Node {
  http_url: string;
  ws_url: string;
}
type Words = Record<string, Json>;

/** Thrown where a scenario does not apply to this server. */
export class Skipped extends Error {}

/** These are filled in when they are compared or played, because what they name is bound only then. */
const LATER = ["expect", "reply", "steps", "until"];
const WAIT_MS = 10_000;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const text = (value: Json): string => (typeof value === "string" ? value : JSON.stringify(value));
const shown = (value: Json): string => (JSON.stringify(value) ?? "nothing").slice(0, 600);
const isObject = (value: Json): boolean => typeof value === "object" && value !== null && !Array.isArray(value);

function lookUp(name: string, words: Words): Json {
  if (Object.hasOwn(words, name)) return words[name];
  if (name === "uuid") return randomUUID();
  const [kind, count = "", unit = "x"] = name.split(":");
  if (kind === "fill") return unit.repeat(Number(count));
  if (kind === "in") return new Date(Date.now() + Number(count) * 1000).toISOString();
  const [base = "", step] = name.split("+");
  if (typeof words[base] === "number" && step !== undefined) return words[base] + Number(step);
  throw new Error(`nothing is called \`${name}\``);
}

/** Fills in `{{…}}`, innermost first. A text that is nothing else becomes the value with its type. */
export function fill(value: Json, words: Words): Json {
  if (Array.isArray(value)) return value.map((item) => fill(item, words));
  if (isObject(value))
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [text(fill(key, words)), fill(inner, words)]),
    );
  if (typeof value !== "string") return value;
  for (let filled = value; ; ) {
    const found = /\{\{([^{}]*)\}\}/.exec(filled);
    if (!found) return filled;
    const word = lookUp(found[1] ?? "", words);
    if (found[0] === filled) return word;
    filled = filled.slice(0, found.index) + text(word) + filled.slice(found.index + found[0].length);
  }
}

function holds(question: string, wanted: Json, got: Json, words: Words): boolean {
  const filled = question === "$some" || question === "$none" ? wanted : fill(wanted, words);
  const items: Json[] | undefined = Array.isArray(got) ? got : undefined;
  switch (question) {
    case "$absent":
      return got === undefined || got === null;
    case "$any":
      return got !== undefined && got !== null;
    case "$uuid":
      return typeof got === "string" && UUID.test(got);
    case "$time":
      return typeof got === "string" && TIME.test(got);
    case "$above":
      return typeof got === "number" && got > filled;
    case "$has":
      return got !== undefined && JSON.stringify(got).includes(filled);
    case "$lacks":
      return got !== undefined && !JSON.stringify(got).includes(filled);
    case "$length":
      return items?.length === filled;
    case "$one_of":
      return filled.includes(got);
    case "$some":
      return items?.some((item) => compare(wanted, item, words) === undefined) ?? false;
    case "$none":
      return items !== undefined && !items.some((item) => matches(wanted, item, words));
    case "$run":
      return items !== undefined && items.length > 0 && items.every((item, at) => item.seq === filled + at);
    case "$bind":
      words[filled] = got;
      return got !== undefined;
    default:
      return false;
  }
}

/** Where expectation and reality part, if they do; a subset match. Binds only if all of it matches. */
export function compare(expected: Json, got: Json, words: Words): string | undefined {
  const trial = { ...words };
  const mismatch = differ("", expected, got, trial);
  if (mismatch === undefined) Object.assign(words, trial);
  return mismatch;
}

const matches = (expected: Json, got: Json, words: Words): boolean =>
  compare(expected, got, { ...words }) === undefined;

function differ(path: string, expected: Json, got: Json, words: Words): string | undefined {
  const mismatch = (wanted: Json) => `at ${path || "(all of it)"}: expected ${shown(wanted)}, got ${shown(got)}`;
  if (Array.isArray(expected)) {
    if (!Array.isArray(got) || got.length !== expected.length) return mismatch(expected);
    return first(expected.map((item, at) => () => differ(`${path}[${at}]`, item, got[at], words)));
  }
  if (!isObject(expected)) {
    const filled = fill(expected, words);
    return JSON.stringify(filled) === JSON.stringify(got) ? undefined : mismatch(filled);
  }
  const asked = Object.entries(expected).filter(([name]) => name.startsWith("$"));
  const named = Object.entries(expected).filter(([name]) => !name.startsWith("$"));
  for (const [name, wanted] of asked) if (!holds(name, wanted, got, words)) return mismatch({ [name]: wanted });
  if (!isObject(got)) return named.length === 0 && asked.length > 0 ? undefined : mismatch(expected);
  return first(
    named.map(
      ([name, inner]) =>
        () =>
          differ(`${path}.${name}`, inner, got[name], words),
    ),
  );
}

function first(checks: (() => string | undefined)[]): string | undefined {
  for (const check of checks) {
    const mismatch = check();
    if (mismatch !== undefined) return mismatch;
  }
  return undefined;
}

function must(mismatch: string | undefined): void {
  if (mismatch !== undefined) throw new Error(mismatch);
}

export class Player {
  readonly nodes: Node[];
  readonly codec: Codec;
  readonly parts: Record<string, Step[]>;
  readonly #words: Words;
  readonly #sockets = new Map<string, ScenarioSocket>();
  readonly #tags = new Map<string, { socket: string; id: number }>();

  constructor(nodes: Node[], codec: Codec, parts: Record<string, Step[]>, words: Words) {
    this.nodes = nodes;
    this.codec = codec;
    this.parts = parts;
    this.#words = { ...words };
  }

  async play(steps: Step[]): Promise<void> {
    for (const step of steps) {
      try {
        const later = (name: string) => LATER.includes(name);
        const filled = Object.entries(step).map(([name, value]) => [
          name,
          later(name) ? value : fill(value, this.#words),
        ]);
        await this.#step(Object.fromEntries(filled));
      } catch (error) {
        if (!(error instanceof Error) || error instanceof Skipped || error.message.startsWith("step ")) throw error;
        throw new Error(`step ${shown(step)}: ${error.message}`);
      }
    }
  }

  close(): void {
    for (const socket of this.#sockets.values()) socket.cut();
  }

  async #step(step: Step): Promise<void> {
    const words = this.#words;
    switch (step.do) {
      case "play":
        return await this.#part(step);
      case "let":
        Object.assign(words, step.vars);
        return;
      case "repeat":
        return await this.#repeat(step);
      case "http":
        return await this.#http(step);
      case "open": {
        const node = this.nodes[step.node ?? 0];
        if (!node) throw new Error(`there is no node ${step.node}`);
        this.#sockets.set(step.socket, await ScenarioSocket.open(node.ws_url, this.codec));
        return;
      }
      case "send":
        return await this.#send(step);
      case "raw":
        return this.#socket(step).raw(step.data, step.wrong_frame ?? false);
      case "replies":
        return await this.#replies(step);
      case "require": {
        const replies = await this.#tagged(step.tags);
        if (!replies.some((reply) => compare(step.expect, reply, words) === undefined)) throw new Skipped(step.reason);
        return;
      }
      case "unnumbered":
        return must(
          compare(step.expect, await this.#socket(step).take(WAIT_MS, (heard) => heard.unnumbered.shift()), words),
        );
      case "push":
        return await this.#push(step);
      case "never":
        return this.#never(step);
      case "entries":
        return this.#entries(step);
      case "closed":
        return must(compare(step.code, await this.#socket(step).take(WAIT_MS, (heard) => heard.closed), words));
      case "cut":
        return this.#socket(step).cut();
      case "stall":
        return this.#socket(step).read(false);
      case "resume":
        return this.#socket(step).read(true);
      default:
        throw new Error(`nobody knows how to do \`${step.do}\``);
    }
  }

  #socket(step: Step): ScenarioSocket {
    const socket = this.#sockets.get(step.socket);
    if (!socket) throw new Error(`no socket \`${step.socket}\` is open`);
    return socket;
  }

  async #part(step: Step): Promise<void> {
    const part = this.parts[step.part];
    if (!part) throw new Error(`there is no part \`${step.part}\``);
    const outer = Object.keys(step.with ?? {}).map((name) => [name, this.#words[name]] as const);
    Object.assign(this.#words, step.with);
    await this.play(part);
    for (const [name, before] of outer) {
      if (before === undefined) delete this.#words[name];
      else this.#words[name] = before;
    }
  }

  async #repeat(step: Step): Promise<void> {
    for (let round = 1; round <= step.times; round++) {
      if (step.as) this.#words[step.as] = round;
      await this.play(step.steps);
      if (step.until && matches(step.until, this.#words, this.#words)) return;
    }
    if (step.until) throw new Error(`after ${step.times} rounds not yet ${shown(step.until)}`);
  }

  async #http(step: Step): Promise<void> {
    const [method, path] = step.request.split(" ");
    const headers: Record<string, string> = {};
    if (step.token) headers.authorization = `Bearer ${step.token}`;
    if (step.key) headers["idempotency-key"] = step.key;
    if (step.body) headers["content-type"] = "application/json";
    const url = `${this.nodes[step.node ?? 0]?.http_url}${path}`;
    const signal = AbortSignal.timeout(WAIT_MS);
    const ask = () => fetch(url, { method, headers, body: step.body ? JSON.stringify(step.body) : null, signal });
    let answer = await ask();
    let body = await answer.json().catch(() => null);
    // Whoever asks too fast for the server's limits comes back when it is told to.
    while (answer.status === 429) {
      await pause(body.error.details.retry_after_ms);
      answer = await ask();
      body = await answer.json().catch(() => null);
    }
    if (step.status && step.status !== answer.status)
      throw new Error(`expected status ${step.status}, got ${answer.status} ${shown(body)}`);
    must(compare(step.expect ?? {}, body, this.#words));
  }

  async #send(step: Step): Promise<void> {
    const id = this.#socket(step).command(step.command);
    if (step.tag) this.#tags.set(step.tag, { socket: step.socket, id });
    if (step.reply) must(compare(step.reply, await this.#reply(step.socket, id), this.#words));
  }

  #reply(socket: string, id: number): Promise<Json> {
    return this.#socket({ socket }).take(WAIT_MS, (heard) => heard.replies.get(id));
  }

  #tagged(tags: string[]): Promise<Json[]> {
    const reply = (tag: string) => {
      const sent = this.#tags.get(tag);
      if (!sent) throw new Error(`no command is tagged \`${tag}\``);
      return this.#reply(sent.socket, sent.id);
    };
    return Promise.all(tags.map(reply));
  }

  /** Each expectation is met by another of the answers. */
  async #replies(step: Step): Promise<void> {
    const left = await this.#tagged(step.tags);
    for (const expected of step.expect) {
      const at = left.findIndex((reply) => matches(expected, reply, this.#words));
      if (at < 0) throw new Error(`expected ${shown(expected)}, got ${shown(left)}`);
      must(compare(expected, left.splice(at, 1)[0], this.#words));
    }
  }

  #never(step: Step): void {
    const like = this.#socket(step).heard.pushes.find(({ push }) => matches(step.expect, push, this.#words));
    if (like) throw new Error(`expected no push like ${shown(step.expect)}, got ${shown(like.push)}`);
  }

  #entries({ socket, after, bind }: Step): void {
    const entries = this.#socket({ socket }).heard.pushes.filter(
      ({ push }) => push.type === "entry" && push.seq > after,
    );
    const seqs = entries.map(({ push }) => push.seq);
    if (seqs.some((seq, at) => seq !== after + 1 + at)) throw new Error(`a hole or a repeat: ${seqs}`);
    this.#words[bind] = seqs.at(-1) ?? after;
  }

  /** The next push of the expected type that nobody took yet; `among`: the next that matches. */
  async #push({ socket, expect, among, within }: Step): Promise<void> {
    const wait = within ? within * 1000 : WAIT_MS;
    const taken = await this.#socket({ socket }).take(wait, (heard) => {
      const isIt = (push: Json) => push.type === expect.type && (!among || matches(expect, push, this.#words));
      const next = heard.pushes.find(({ push, taken }) => !taken && isIt(push));
      if (next) next.taken = true;
      return next?.push;
    });
    must(compare(expect, taken, this.#words));
  }
}
