// Lends Node's `ws` to the client, and reads what a browser cannot: why a server refused to upgrade, and when to come back.
// It imports no package: the application hands in the class, so that nothing of this reaches a browser's bundle.
// What a refusal leads to is decided in connection.ts.
import type { WireError } from "./errors.ts";
import type { OpenSocket, Refusal, SocketLike } from "./world.ts";

const BODY_BYTES = 16_384;

/** The part of an HTTP answer that is read. */
interface Answer {
  statusCode?: number;
  headers: Record<string, string | string[] | undefined>;
  on(event: "data", listener: (chunk: { toString(): string }) => void): unknown;
  on(event: "end" | "error", listener: () => void): unknown;
}

interface NodeWebSocket {
  on(event: "unexpected-response", listener: (request: unknown, answer: Answer) => void): unknown;
  terminate(): void;
}

/** `socket: nodeSocket(WebSocket)` with `import { WebSocket } from "ws"`. */
export function nodeSocket(WebSocketClass: new (url: string, protocol: string) => NodeWebSocket): OpenSocket {
  return (url, protocol) => {
    const socket = new WebSocketClass(url, protocol);
    const line = socket as unknown as SocketLike;
    socket.on("unexpected-response", (_request, answer) => {
      let body = "";
      const tell = () => {
        line.onrefused?.(refusalOf(answer, body));
        socket.terminate(); // `ws` leaves an answer with a listener to it; a close follows
      };
      answer.on("data", (chunk) => {
        if (body.length < BODY_BYTES) body += chunk.toString();
      });
      answer.on("end", tell);
      answer.on("error", tell);
    });
    return line;
  };
}

function refusalOf(answer: Answer, body: string): Refusal {
  const status = answer.statusCode ?? 0;
  const error = errorIn(body);
  if (error) return { status, error };
  const wait = Number(answer.headers["retry-after"]);
  if (!Number.isFinite(wait)) return { status };
  const details = { retry_after_ms: wait * 1000 };
  return { status, error: { code: "UNAVAILABLE", message: `refused (${status})`, retryable: true, details } };
}

function errorIn(body: string): WireError | undefined {
  try {
    const { error } = JSON.parse(body) as { error?: WireError };
    return typeof error?.code === "string" ? error : undefined;
  } catch {
    return undefined;
  }
}
