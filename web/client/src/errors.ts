// The one error type of the SDK: a refusal by the server, or the reason why a command got no answer.
// It must never carry a token or a text a person wrote. Codes are those of protocol/SPEC.md §8 plus the local ones below.

/** What the server sends as `error`. */
export interface WireError {
  code: string;
  message: string;
  retryable: boolean;
  details?: Record<string, unknown>;
  request_id?: string;
}

/** Codes this SDK adds: they never come from a server. */
export const LOCAL = {
  /** The connection went away before the answer came. */
  lost: "CONNECTION_LOST",
  /** There is no connection and this command is not kept for later. */
  offline: "OFFLINE",
  /** The client was closed, or may not connect again. */
  closed: "CLOSED",
  /** The answer could not be understood. */
  unreadable: "UNREADABLE",
  /** Too much waits to be sent already: this was not taken. */
  full: "QUEUE_FULL",
  /** Taken back before it was sent, because it cannot matter any more (an edit of words that were redacted). */
  withdrawn: "WITHDRAWN",
} as const;

export class ParlourError extends Error {
  readonly code: string;
  readonly retryable: boolean;
  readonly details: Record<string, unknown>;
  readonly requestId: string | undefined;
  /** HTTP status, when the refusal came over HTTP. */
  readonly status: number | undefined;

  constructor(error: WireError, status?: number) {
    super(error.message);
    this.name = "ParlourError";
    this.code = error.code;
    this.retryable = error.retryable;
    this.details = error.details ?? {};
    this.requestId = error.request_id;
    this.status = status;
  }

  static local(code: (typeof LOCAL)[keyof typeof LOCAL], message: string): ParlourError {
    return new ParlourError({ code, message, retryable: code !== LOCAL.full && code !== LOCAL.withdrawn });
  }

  /** As it came: for keeping over a reload. */
  toWire(): WireError {
    const { code, message, retryable, details, requestId } = this;
    return { code, message, retryable, details, ...(requestId !== undefined && { request_id: requestId }) };
  }

  /** How long the server asked to wait, if it did. */
  get retryAfterMs(): number | undefined {
    const wait = this.details.retry_after_ms;
    return typeof wait === "number" ? wait : undefined;
  }
}

/** Any thrown value as a `ParlourError`: what is not one becomes a lost connection. */
export function asParlourError(reason: unknown): ParlourError {
  if (reason instanceof ParlourError) return reason;
  return ParlourError.local(LOCAL.lost, reason instanceof Error ? reason.message : "no connection");
}
