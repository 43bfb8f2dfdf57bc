// The HTTP calls around the socket: signing in, the inbox, links, and entering by one.
// It must send a token only in a header, and a link's secret only in a body. Every refusal becomes a ParlourError.
// Routes and shapes: protocol/SPEC.md §5 and §6.
import { LOCAL, ParlourError, type WireError } from "./errors.ts";
import type { Card, ConversationRow, HistoryReply, Positioned, Share, SharePermission, StoredReply } from "./types.ts";

export interface Tokens {
  access_token: string;
  refresh_token: string | null;
  /** Seconds. */
  expires_in: number;
}

export interface Me {
  user: { id: string; email: string; name: string };
  role: string;
  permissions: string[];
  organization: { id: string; name: string; slug: string; role?: string };
}

export interface Page<T> {
  items: T[];
  total: number;
  pages: number;
}

export interface ListFilter {
  page?: number;
  limit?: number;
  sort?: "-last_entry_at" | "last_entry_at" | "-created_at" | "created_at";
  status?: string;
  stage?: string;
  q?: string;
}

export interface NewShare {
  expiry_hours?: number;
  permissions?: SharePermission[];
  label?: string;
  seats?: number;
}

/** Stands for the credential that asked for it, once, within `expires_in` seconds. */
export interface Ticket {
  ticket: string;
  expires_in: number;
}

/** An entry to write over HTTP. `seq` is the target's number in the own view. */
export type NewEntry =
  | { kind: "message" | "note"; text: string }
  | { kind: "edit"; entry_id: string; seq: number; text: string }
  | { kind: "redaction"; entry_id: string; seq: number };

/** What a link says about itself, without being claimed. */
export interface LinkFacts {
  expires_at: string;
  permissions: SharePermission[];
}

export interface Claim {
  guest_token: string;
  /** Seconds. */
  expires_in: number;
  device_key: string;
  conversation_id: string;
  permissions: SharePermission[];
  name: string | null;
  organization: unknown;
}

type Query = Record<string, string | number | undefined>;

interface Call {
  body?: object;
  query?: Query;
  key?: string;
  anonymous?: boolean;
  prefix?: "";
}

export interface ApiOptions {
  /** `https://host`, or empty for the page's own. */
  base?: string;
  /** The access token for calls that need one. */
  token?: () => Promise<string>;
  fetch?: typeof fetch;
}

export class Api {
  readonly #base: string;
  readonly #token: (() => Promise<string>) | undefined;
  readonly #fetch: typeof fetch;

  constructor(options: ApiOptions = {}) {
    this.#base = options.base ?? "";
    this.#token = options.token;
    this.#fetch = options.fetch ?? ((input, init) => fetch(input, init));
  }

  login(email: string, password: string, refresh: "body" | "cookie"): Promise<Tokens> {
    return this.#post("/auth/login", { anonymous: true, body: { email, password, refresh } });
  }

  /** Without a token the cookie is used. A refresh token works once: never call this twice at the same time. */
  refresh(refreshToken?: string): Promise<Tokens> {
    return this.#post("/auth/refresh", { anonymous: true, body: refreshToken ? { refresh_token: refreshToken } : {} });
  }

  logout(): Promise<null> {
    return this.#post("/auth/logout", { body: {} });
  }

  /** For a page that must not put a token into its socket: `hello` with this instead. */
  ticket(): Promise<Ticket> {
    return this.#post("/auth/ticket", {});
  }

  async me(): Promise<Me> {
    return (await this.#call<Me>("GET", "/me")).data;
  }

  async conversations(filter: ListFilter = {}): Promise<Page<ConversationRow>> {
    const { data, meta } = await this.#call<ConversationRow[]>("GET", "/conversations", { query: { ...filter } });
    return { items: data, total: Number(meta.total ?? data.length), pages: Number(meta.pages ?? 1) };
  }

  async conversation(id: string): Promise<ConversationRow> {
    return (await this.#call<ConversationRow>("GET", `/conversations/${encodeURIComponent(id)}`)).data;
  }

  createConversation(title: string, key: string): Promise<ConversationRow> {
    return this.#post("/conversations", { body: { title }, key });
  }

  async entries(
    conversation: string,
    query: { before?: number; after?: number; around?: number; limit?: number } = {},
  ): Promise<HistoryReply> {
    const path = `/conversations/${encodeURIComponent(conversation)}/entries`;
    const { data, meta } = await this.#call<Positioned[]>("GET", path, { query });
    const { epoch, head, has_more } = meta as unknown as Omit<HistoryReply, "entries">;
    return { entries: data, epoch, head, has_more };
  }

  write(conversation: string, entry: NewEntry, key: string): Promise<StoredReply> {
    return this.#post(`/conversations/${encodeURIComponent(conversation)}/entries`, { body: entry, key });
  }

  createCard(
    conversation: string,
    card: Omit<Card, "id" | "version" | "state">,
    key: string,
  ): Promise<StoredReply & { card: Pick<Card, "id" | "version" | "state"> }> {
    return this.#post(`/conversations/${encodeURIComponent(conversation)}/cards`, { body: card, key });
  }

  createShare(
    conversation: string,
    share: NewShare,
    key: string,
  ): Promise<{ url?: string; session_token?: string; share: Share }> {
    return this.#post(`/conversations/${encodeURIComponent(conversation)}/share`, { body: share, key });
  }

  async shares(conversation: string): Promise<Share[]> {
    return (await this.#call<Share[]>("GET", `/conversations/${encodeURIComponent(conversation)}/shares`)).data;
  }

  async changeShare(
    id: string,
    change: { permissions?: SharePermission[]; expires_at?: string; seats?: number },
  ): Promise<Share> {
    return (await this.#call<Share>("PATCH", `/shares/${encodeURIComponent(id)}`, { body: change })).data;
  }

  async revokeShare(id: string): Promise<Share> {
    return (await this.#call<Share>("DELETE", `/shares/${encodeURIComponent(id)}`)).data;
  }

  claim(token: string, name?: string, deviceKey?: string): Promise<Claim> {
    const body = { token, ...(name && { name }), ...(deviceKey && { device_key: deviceKey }) };
    return this.#post("/shares/claim", { anonymous: true, body });
  }

  /** Looks at a link: changes nothing, counts nothing. */
  async link(token: string): Promise<LinkFacts> {
    const path = `/s/${encodeURIComponent(token)}`;
    return (await this.#call<LinkFacts>("GET", path, { anonymous: true, prefix: "" })).data;
  }

  opened(token: string): Promise<object> {
    return this.#post("/shares/open", { anonymous: true, body: { token } });
  }

  async #post<T>(path: string, call: Call): Promise<T> {
    return (await this.#call<T>("POST", path, call)).data;
  }

  async #call<T>(method: string, path: string, call: Call = {}): Promise<{ data: T; meta: Record<string, unknown> }> {
    const headers: Record<string, string> = { accept: "application/json" };
    if (call.body) headers["content-type"] = "application/json";
    if (call.key) headers["idempotency-key"] = call.key;
    if (!call.anonymous && this.#token) headers.authorization = `Bearer ${await this.#token()}`;
    let response: Response;
    try {
      response = await this.#fetch(`${this.#base}${call.prefix ?? "/api/v1"}${path}${search(call.query)}`, {
        method,
        headers,
        credentials: "same-origin",
        cache: "no-store",
        ...(call.body && { body: JSON.stringify(call.body) }),
      });
    } catch {
      throw ParlourError.local(LOCAL.offline, "no connection");
    }
    return unwrap<T>(response);
  }
}

function search(query: Query = {}): string {
  const set = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  if (set.length === 0) return "";
  return `?${new URLSearchParams(set.map(([name, value]) => [name, String(value)]))}`;
}

async function unwrap<T>(response: Response): Promise<{ data: T; meta: Record<string, unknown> }> {
  let envelope: { success?: boolean; data?: T; meta?: Record<string, unknown>; error?: WireError };
  try {
    envelope = await response.json();
  } catch {
    envelope = {};
  }
  if (response.ok && envelope.success) return { data: envelope.data as T, meta: envelope.meta ?? {} };
  const error = envelope.error ?? {
    code: LOCAL.unreadable,
    message: `the server answered ${response.status}`,
    retryable: response.status >= 500,
  };
  throw new ParlourError(error, response.status);
}
