// The states of the line and what a close code asks for: the whole reconnect decision, readable without the code that carries it out.
// Nothing here runs a timer or touches a socket. connection.ts moves between these states and never outside of NEXT.

/*
                     connect()                    hello answered
     initialized ───────────────► connecting ───────────────────────► connected
                                   ▲   ▲  │                               │
              wait: full jitter,   │   │  │ lost, or a close code that    │ lost, or a close code
              advice, retry_after  │   │  │ says reconnect                │ that says reconnect
                                   │   │  ▼                               │
                        disconnected   │  ├───────────────────────────────┤
                          ▲            │  │                               │
                          └────────────┼──┤ a retry is near               │
                                       │  │ no network, or 120 s without  │
                                  suspended◄ success: retries are rare    │
                                                                          │
     any of them:  close() ──► closing ──► closed        a code that says stop, or a definite refusal ──► failed
*/
export type ConnectionState =
  | "initialized"
  | "connecting"
  | "connected"
  | "disconnected"
  | "suspended"
  | "closing"
  | "closed"
  | "failed";

/** Which state may follow which. `closed` and `failed` are left only by another `connect()`. */
export const NEXT: Record<ConnectionState, readonly ConnectionState[]> = {
  initialized: ["connecting", "closing"],
  connecting: ["connected", "disconnected", "suspended", "closing", "closed", "failed"],
  connected: ["connecting", "disconnected", "suspended", "closing", "closed", "failed"],
  disconnected: ["connecting", "closing"],
  suspended: ["connecting", "closing"],
  closing: ["closed"],
  closed: ["connecting"],
  failed: ["connecting"],
};

/** The end of a link: expired or revoked. */
export const LINK_ENDED = 4510;
export const TOKEN_EXPIRED = 4401;
/** Not let in: no valid hello in time. */
export const NO_HELLO = 4501;
/** Never travels: the word of the socket's owner for "no close frame came", that is a lost connection. */
export const LOST = 1006;

const RECONNECT = [1001, LOST, 1011, 1012, 1013];

/** What a close code asks for. The range decides, so that codes of a newer server are understood. */
export function afterClose(code: number): "reconnect" | "fresh-token" | "stop" {
  if (code === TOKEN_EXPIRED) return "fresh-token";
  if (code >= 4000 && code <= 4499) return "reconnect";
  return RECONNECT.includes(code) ? "reconnect" : "stop";
}
