// One socket of a scenario: what is said goes out at once, what is heard is kept until the scenario asks for it.
// It knows frames, codecs and numbers, and no meaning. What breaks the form of the protocol fails whatever is asked next.
// Frames in JSON are also read by the SDK's own codec, which must understand whatever a server really says.
import { decode, encode } from "@msgpack/msgpack";
import { WebSocket } from "ws";
import { readFrame, SUBPROTOCOL } from "../src/codec.ts";
import type { Json } from "./scenario.ts";

export type Codec = "json" | "msgpack";

export interface Heard {
  replies: Map<number, Json>;
  unnumbered: Json[];
  pushes: { push: Json; taken: boolean }[];
  closed: number | undefined;
}

const PROTOCOLS = { json: SUBPROTOCOL, msgpack: "parlour.v1+msgpack" };

export class ScenarioSocket {
  readonly heard: Heard = { replies: new Map(), unnumbered: [], pushes: [], closed: undefined };
  readonly socket: WebSocket;
  readonly codec: Codec;
  #broken: string | undefined;
  readonly #waiting = new Set<() => void>();
  #lastId = 0;

  private constructor(socket: WebSocket, codec: Codec) {
    this.socket = socket;
    this.codec = codec;
    socket.on("message", (data, isBinary) => this.#keep(data as Buffer, isBinary));
    socket.on("close", (code) => {
      this.heard.closed = code;
      this.#changed();
    });
    // An error is followed by a close, which is what scenarios ask for.
    socket.on("error", () => undefined);
  }

  static open(url: string, codec: Codec): Promise<ScenarioSocket> {
    const socket = new WebSocket(url, PROTOCOLS[codec], { perMessageDeflate: false });
    const opened = new ScenarioSocket(socket, codec);
    return new Promise((resolve, reject) => {
      socket.once("open", () => resolve(opened));
      socket.once("error", reject);
    });
  }

  /** Sends a command under the next number, which is returned. */
  command(command: Json): number {
    this.#lastId += 1;
    const message = { ...command, id: this.#lastId };
    this.socket.send(this.codec === "json" ? JSON.stringify(message) : encode(message));
    return this.#lastId;
  }

  raw(data: string, wrongFrame: boolean): void {
    this.socket.send(Buffer.from(data), { binary: (this.codec === "msgpack") !== wrongFrame });
  }

  read(on: boolean): void {
    if (on) this.socket.resume();
    else this.socket.pause();
  }

  cut(): void {
    this.socket.terminate();
  }

  /** Waits until something can be taken from what was heard. */
  async take<T>(wait: number, take: (heard: Heard) => T | undefined): Promise<T> {
    const until = Date.now() + wait;
    for (;;) {
      if (this.#broken) throw new Error(this.#broken);
      const taken = take(this.heard);
      if (taken !== undefined) return taken;
      if (this.heard.closed !== undefined) throw new Error(`the socket has ended with ${this.heard.closed}`);
      if (!(await this.#change(until - Date.now()))) throw new Error(`nothing came within ${wait} ms`);
    }
  }

  /** Whether anything was heard in time. */
  #change(wait: number): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (heard: boolean) => {
        clearTimeout(timer);
        this.#waiting.delete(heardIt);
        resolve(heard);
      };
      const heardIt = () => end(true);
      const timer = setTimeout(() => end(false), wait);
      this.#waiting.add(heardIt);
    });
  }

  #changed(): void {
    for (const waiting of [...this.#waiting]) waiting();
  }

  #keep(data: Buffer, isBinary: boolean): void {
    try {
      if (isBinary !== (this.codec === "msgpack")) throw new Error("a frame of the wrong type");
      this.#sort(isBinary ? decode(data) : JSON.parse(data.toString("utf8")));
    } catch (error) {
      this.#broken = `a message that cannot be read: ${error}`;
    }
    this.#changed();
  }

  #sort(message: Json): void {
    readFrame(message);
    if (!("id" in message)) this.heard.pushes.push({ push: message, taken: false });
    else if (message.id === null) this.heard.unnumbered.push(message);
    else if (this.heard.replies.has(message.id)) throw new Error(`a second reply to ${message.id}`);
    else this.heard.replies.set(message.id, message);
  }
}
