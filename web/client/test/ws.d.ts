// The little of `ws` that the scenarios use; the library brings no types of its own.
// It must say no more than scenario-socket.ts needs.
declare module "ws" {
  import type { EventEmitter } from "node:events";

  export class WebSocket extends EventEmitter {
    constructor(url: string, protocol: string, options: { perMessageDeflate: boolean });
    send(data: string | Uint8Array, options?: { binary: boolean }): void;
    pause(): void;
    resume(): void;
    terminate(): void;
  }
}
