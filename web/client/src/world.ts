// What the SDK needs from the world around it: time, chance, a socket, and whether there is a network.
// Everything is injected, so that tests run without waiting and Node can lend a WebSocket. Nothing else in the SDK may call these globals.
import type { WireError } from "./errors.ts";

export type Timer = unknown;

export interface Clock {
  now(): number;
  after(ms: number, run: () => void): Timer;
  cancel(timer: Timer): void;
  /** 0 ≤ x < 1 */
  random(): number;
}

/** The part of a browser's WebSocket that is used. */
export interface SocketLike {
  binaryType?: string;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason?: string }) => void) | null;
  onerror: ((event: never) => void) | null;
  /** Told before `onclose` when the server refused to upgrade. A browser cannot see this; `nodeSocket` can. */
  onrefused?: ((refusal: Refusal) => void) | null;
  send(data: string | Uint8Array): void;
  close(code?: number, reason?: string): void;
}

/** An HTTP answer where a socket was asked for. */
export interface Refusal {
  status: number;
  error?: WireError;
}

export type OpenSocket = (url: string, protocol: string) => SocketLike;

export type Sign = "online" | "offline" | "visible" | "hidden";

/** Signs from the surroundings: whether there is a network, and whether a person can see the page. */
export interface Surroundings {
  online(): boolean;
  visible(): boolean;
  onChange(listener: (sign: Sign) => void): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  after: (ms, run) => setTimeout(run, ms),
  cancel: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
  random: () => Math.random(),
};

export const browserSocket: OpenSocket = (url, protocol) => new WebSocket(url, protocol) as unknown as SocketLike;

/** The browser's own signs; outside a browser the network is taken to be there. */
export function browserSurroundings(): Surroundings {
  if (typeof window === "undefined")
    return { online: () => true, visible: () => true, onChange: () => () => undefined };
  const visible = () => document.visibilityState === "visible";
  return {
    online: () => navigator.onLine,
    visible,
    onChange(listener) {
      const stop = new AbortController();
      const { signal } = stop;
      window.addEventListener("online", () => listener("online"), { signal });
      window.addEventListener("offline", () => listener("offline"), { signal });
      window.addEventListener("pageshow", () => listener("visible"), { signal });
      window.addEventListener("pagehide", () => listener("hidden"), { signal });
      document.addEventListener("visibilitychange", () => listener(visible() ? "visible" : "hidden"), { signal });
      return () => stop.abort();
    },
  };
}

/** Full jitter: anything between nothing and the doubled base, never above the cap. */
export function backoff(clock: Clock, attempt: number, base = 500, cap = 30_000): number {
  return Math.floor(clock.random() * Math.min(cap, base * 2 ** Math.min(attempt, 10)));
}

/** A random UUID (version 4). `crypto.randomUUID` exists in secure contexts only; a phone on a developer's network is none. */
export function newUuid(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
