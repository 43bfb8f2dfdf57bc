// The words of the Parlour protocol, version 1, as TypeScript types: what travels on the socket and over HTTP.
// Nothing here runs, and nothing here may know how it is carried. The contract is protocol/SPEC.md; read frames in codec.ts.

export type ActorKind = "staff" | "guest" | "service";
export type Audience = "everyone" | "staff";
export type Right = "read" | "send" | "note" | "redact" | "card" | "select" | "share" | "typing";
export type SharePermission = "view" | "respond" | "select_options";

export interface Who {
  kind: ActorKind;
  id: string;
  name: string;
}

export interface Position {
  epoch: number;
  seq: number;
}

/** Integer minor units of an ISO 4217 currency. Never a float. */
export interface Money {
  amount: number;
  currency: string;
}

export interface Route {
  departs: string;
  from: string;
  arrives: string;
  to: string;
  duration: string;
  day_offset?: number;
}

export interface CardOption {
  id: string;
  label: string;
  description?: string;
  price?: Money;
  price_note?: string;
  facts?: string[];
  route?: Route;
}

export interface CardDetail {
  label: string;
  title: string;
  text?: string;
}

export interface Card {
  id: string;
  version: number;
  kind: string;
  title: string;
  subtitle?: string;
  options: CardOption[];
  details?: CardDetail[];
  note?: string;
  state: string;
}

export interface SelectionBody {
  card: string;
  version: number;
  options: string[];
  title: string;
  labels: string[];
  state: string;
}

export interface ShareEventBody {
  share: string;
  action: "created" | "claimed" | "changed" | "revoked";
  label?: string | null;
  name?: string | null;
  permissions?: SharePermission[];
  expires_at?: string;
}

/** Words a person or a service said. Redacted ones are empty. */
export interface TextBody {
  text: string;
  redacted?: true;
}

/** The new words of an earlier message or note, whole. */
export interface EditBody extends TextBody {
  entry_id: string;
}

export interface RedactionBody {
  entry_id: string;
}

interface EntryHead {
  id: string;
  client_id: string;
  audience: Audience;
  author: Who;
  at: string;
}

export type Entry = EntryHead &
  (
    | { kind: "message"; body: TextBody }
    | { kind: "note"; body: TextBody }
    | { kind: "edit"; body: EditBody }
    | { kind: "redaction"; body: RedactionBody }
    | { kind: "card"; body: { card: Card } }
    | { kind: "selection"; body: SelectionBody }
    | { kind: "share"; body: ShareEventBody }
  );

export interface Positioned {
  seq: number;
  entry: Entry;
}

export interface Principal extends Who {
  organization: { id: string; name: string };
  role?: string;
  conversation?: string;
  permissions?: string[];
}

export interface Limits {
  message_bytes: number;
  text_chars: number;
  commands_per_second: number;
  commands_burst: number;
  page_entries: number;
  rooms: number;
}

/** `unknown`: last seen through another node that cannot be heard right now. Not gone. */
export type PresenceState = "online" | "offline" | "unknown";

export interface Member {
  who: Who;
  state: PresenceState;
  /** Staff only; absent means no. The conversation is on a screen of theirs. */
  viewing?: true;
}

export interface SeenOption {
  id: string;
  /** In all, so far: it only counts up. */
  visible_ms: number;
}

/** All that one guest has seen of one version of a card. */
export interface Seen {
  who: Who;
  card: string;
  version: number;
  options: SeenOption[];
  first_at: string;
  last_at: string;
}

export interface Receipt {
  who: Who;
  received: number;
  read: number;
}

export interface ConversationHead {
  id: string;
  title: string;
  /** Staff and services only, like `stage`. */
  status?: string;
  stage?: string;
}

export interface ConversationRow extends ConversationHead {
  status: string;
  stage: string;
  channel: string;
  user_id: string | null;
  assigned_to: string | null;
  head: number;
  last_entry_at: string | null;
  last_entry?: { kind: Entry["kind"]; audience: Audience; author: Who; preview: string; at: string } | null;
  read: number;
  unread: number;
  online: boolean;
  created_at: string;
  updated_at: string;
}

export interface Share {
  id: string;
  conversation_id: string;
  label: string | null;
  permissions: SharePermission[];
  /** `null` when a service made it. */
  created_by: string | null;
  created_at: string;
  expires_at: string;
  revoked_at: string | null;
  status: "unopened" | "live" | "expired" | "revoked";
  opens: number;
  access_count: number;
  blocked: number;
  seats: number;
  seats_used: number;
  last_accessed: string | null;
}

// --- replies -------------------------------------------------------------------------------------------------------

export interface HelloReply {
  session: string;
  principal: Principal;
  heartbeat_ms: number;
  /** `null`: an API key does not end. */
  expires_in_ms: number | null;
  limits: Limits;
}

export interface RefreshReply {
  expires_in_ms: number;
  guest_token?: string;
}

export interface AttachReply {
  resumed: boolean;
  /** The past cannot be continued: forget what is held and attach without `since`. Nothing below is present then. */
  reset?: { epoch: number; floor: number; head: number };
  position?: Position;
  entries?: Positioned[];
  has_more?: boolean;
  conversation?: ConversationHead;
  permissions?: Right[];
  members?: Member[];
  receipts?: Receipt[];
  /** Staff only: the 50 newest. */
  seen?: Seen[];
}

export interface StoredReply {
  entry_id: string;
  seq: number;
  duplicate: boolean;
  state?: string;
}

export interface HistoryReply {
  entries: Positioned[];
  epoch: number;
  head: number;
  has_more: boolean;
}

/** Every command: its fields beside its answer. `Command` and `Reply` below are derived from this one table. */
export interface Commands {
  hello: { fields: { token: string } | { ticket: string }; ok: HelloReply };
  refresh: { fields: { token?: string }; ok: RefreshReply };
  attach: { fields: { conversation: string; since?: Position }; ok: AttachReply };
  detach: { fields: { conversation: string }; ok: object };
  subscribe: { fields: { topic: "inbox" }; ok: object };
  send: { fields: { conversation: string; client_id: string; text: string }; ok: StoredReply };
  note: { fields: { conversation: string; client_id: string; text: string }; ok: StoredReply };
  edit: {
    fields: { conversation: string; client_id: string; entry_id: string; seq: number; text: string };
    ok: StoredReply;
  };
  redact: { fields: { conversation: string; client_id: string; entry_id: string; seq: number }; ok: StoredReply };
  select: {
    fields: { conversation: string; client_id: string; card: string; version: number; options: string[] };
    ok: StoredReply;
  };
  typing: { fields: { conversation: string; active: boolean }; ok: object };
  seen: { fields: { conversation: string; card: string; version: number; options: SeenOption[] }; ok: object };
  presence: { fields: { conversation: string; viewing?: boolean }; ok: { members: Member[] } };
  read: {
    fields: { conversation: string; received?: number; read?: number };
    ok: { received: number; read: number };
  };
  history: {
    fields: { conversation: string; before?: number; after?: number; around?: number; limit?: number };
    ok: HistoryReply;
  };
  ping: { fields: object; ok: object };
}

export type CommandType = keyof Commands;
export type CommandOf<T extends CommandType> = { type: T } & Commands[T]["fields"];
export type Command = { [T in CommandType]: CommandOf<T> }[CommandType];
export type DurableType = "send" | "note" | "edit" | "redact" | "select";
/** A command whose effect is kept: it names a `client_id`, so that repeating it is harmless. */
export type DurableCommand = { [T in DurableType]: CommandOf<T> }[DurableType];

// --- pushes --------------------------------------------------------------------------------------------------------

export type Push =
  | { type: "entry"; conversation: string; epoch: number; seq: number; entry: Entry }
  | { type: "typing"; conversation: string; who: Who; active: boolean; expires_ms: number }
  | { type: "presence"; conversation: string; who: Who; state: PresenceState; viewing?: true }
  | { type: "seen"; conversation: string; seen: Seen }
  | { type: "receipt"; conversation: string; who: Who; received: number; read: number }
  | { type: "permission"; conversation: string; permissions: Right[] }
  | { type: "head"; conversation: string; epoch: number; seq: number }
  | { type: "paused"; conversation: string }
  | { type: "share"; conversation: string; share: Share }
  | { type: "inbox"; conversation: ConversationRow }
  | { type: "advice"; retry_after_ms: number };

export type PushType = Push["type"];
export type PushOf<T extends PushType> = Extract<Push, { type: T }>;
