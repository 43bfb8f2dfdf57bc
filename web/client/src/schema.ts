// The words of the Parlour protocol, version 1, as TypeScript types. Made from protocol/schema/socket.json by web/scripts/types.mjs.
// It must never be edited by hand: change the contract, then `npm run types`. What the SDK calls these words: types.ts.

/** A command with the number its reply will carry. */
export type Command =
  | HelloCommand
  | RefreshCommand
  | AttachCommand
  | DetachCommand
  | SubscribeCommand
  | SendCommand
  | EditCommand
  | RedactCommand
  | NoteCommand
  | SelectCommand
  | TypingCommand
  | SeenCommand
  | PresenceCommand
  | ReadCommand
  | HistoryCommand
  | PingCommand;
/** A durable thread between an organization and a client party. */
export type ConversationId = string;
/** What can be subscribed to. */
export type Topic = "inbox";
/** The idempotency key a caller chooses for a durable command. */
export type ClientId = string;
/** One immutable item of a conversation's log. */
export type EntryId = string;
/** An offer with options. */
export type CardId = string;
/** A reply frame: `{"id":7,"ok":{…}}` or `{"id":7,"error":{…}}`. */
export type Reply = {
  /** The command's number; none when the command had none that could be read. */
  id: number | null;
} & (
  | {
      ok: unknown;
    }
  | {
      error: ErrorBody;
    }
);
/** The stable codes; new ones may be added in version 1, none changes its meaning. */
export type ErrorCode =
  | "MALFORMED"
  | "TOKEN_IN_URL"
  | "UNAUTHENTICATED"
  | "FORBIDDEN"
  | "ORGANIZATION_SUSPENDED"
  | "NOT_FOUND"
  | "GONE"
  | "CONFLICT"
  | "SEATS_FULL"
  | "TOO_LARGE"
  | "INVALID"
  | "IDEMPOTENCY_MISMATCH"
  | "RATE_LIMITED"
  | "LIMIT"
  | "UNAVAILABLE"
  | "OUTCOME_UNKNOWN"
  | "INTERNAL";
/** A push of any kind. */
export type Push =
  | EntryPush
  | TypingPush
  | PresencePush
  | SeenPush
  | ReceiptPush
  | PermissionPush
  | HeadPush
  | PausedPush
  | SharePush
  | InboxPush
  | AdvicePush;
/** One immutable item of a conversation's log. */
export type Entry = {
  /** When it was committed, by the database's clock. */
  at: Timestamp;
  /** Who may see it. */
  audience: Audience;
  /** Who wrote it. */
  author: Who;
  /** The author's idempotency key. */
  client_id: ClientId;
  /** Identity, the same in every view. */
  id: EntryId;
} & (
  | {
      body: Text;
      kind: "message";
    }
  | {
      body: Text;
      kind: "note";
    }
  | {
      body: Edit;
      kind: "edit";
    }
  | {
      body: Redaction;
      kind: "redaction";
    }
  | {
      body: CardBody;
      kind: "card";
    }
  | {
      body: Selection;
      kind: "selection";
    }
  | {
      body: ShareChange;
      kind: "share";
    }
);
/** RFC 3339; the server writes UTC with milliseconds. */
export type Timestamp = string;
/** Who may see an entry. */
export type Audience = "everyone" | "staff";
/** The three kinds of principals. */
export type WhoKind = "staff" | "guest" | "service";
/** The kinds of cards of this version. */
export type CardKind = "choice";
/** Where a card stands. */
export type CardState = "open" | "decided";
/** What can happen to a share. */
export type ShareAction = "created" | "claimed" | "changed" | "revoked";
/** What a link lets its people do. */
export type Permission = "view" | "respond" | "select_options";
/** An expiring link to one conversation. */
export type ShareId = string;
/** Whether somebody is present. */
export type PresenceState = "online" | "offline" | "unknown";
/** What a session may do in one conversation, as clients are told it. */
export type Right = "read" | "send" | "note" | "redact" | "card" | "select" | "share" | "typing";
/** A member of staff, as a person across organizations. */
export type PersonId = string;
/** Where a share stands. */
export type ShareStatus = "unopened" | "live" | "expired" | "revoked";
/** Reply to `attach`. */
export type Attached =
  | {
      /** Where the log stands. */
      reset: Reset;
      /** Always false. */
      resumed: boolean;
    }
  | AttachedPage;
/** A tenant. */
export type OrganizationId = string;
/** One authenticated socket. */
export type SessionId = string;

export interface Contract {
  Command: Command;
  Reply: Reply;
  Push: Push;
  Commands: Commands;
  Replies: Replies;
  Pushes: Pushes;
}
/** Authenticates the socket; always first, once. */
export interface HelloCommand {
  /** Chosen by the client, 0 … 2^53 − 1. */
  id: number;
  /** A ticket of `POST /api/v1/auth/ticket`; works once, within 30 s. None with a token. */
  ticket?: string | null;
  /** Staff JWT, guest token or API key; none with a ticket. */
  token?: string | null;
  type: "hello";
}
/** Renews the authentication in band. */
export interface RefreshCommand {
  /** Chosen by the client, 0 … 2^53 − 1. */
  id: number;
  /** A fresh staff token; guests send none. */
  token?: string | null;
  type: "refresh";
}
/** Goes live on a conversation, after reading what was missed. */
export interface AttachCommand {
  /** Which conversation. */
  conversation: ConversationId;
  /** Chosen by the client, 0 … 2^53 − 1. */
  id: number;
  /** Where the client stands; none asks for the newest entries. */
  since?: PositionInput | null;
  type: "attach";
}
/** Where a reader stands in one view of a conversation. */
export interface PositionInput {
  /** Changes only after a restore that re-used numbers. */
  epoch: number;
  /** The last entry read; 0 is before the first. */
  seq: number;
}
/** Stops hearing a conversation. */
export interface DetachCommand {
  /** Which conversation. */
  conversation: ConversationId;
  /** Chosen by the client, 0 … 2^53 − 1. */
  id: number;
  type: "detach";
}
/** Subscribes to a topic beyond single conversations. */
export interface SubscribeCommand {
  /** Chosen by the client, 0 … 2^53 − 1. */
  id: number;
  /** Which topic. */
  topic: Topic;
  type: "subscribe";
}
/** Sends a message. */
export interface SendCommand {
  /** Idempotency key. */
  client_id: ClientId;
  /** Which conversation. */
  conversation: ConversationId;
  /** Chosen by the client, 0 … 2^53 − 1. */
  id: number;
  /** Plain text. */
  text: string;
  type: "send";
}
/** Replaces the text of a message or note of one's own. */
export interface EditCommand {
  /** Idempotency key. */
  client_id: ClientId;
  /** Which conversation. */
  conversation: ConversationId;
  /** The message or note. */
  entry_id: EntryId;
  /** Chosen by the client, 0 … 2^53 − 1. */
  id: number;
  /** Its number in the own view. */
  seq: number;
  /** The new text, whole. */
  text: string;
  type: "edit";
}
/** Blanks a message or note, with every text it ever had, for good. */
export interface RedactCommand {
  /** Idempotency key. */
  client_id: ClientId;
  /** Which conversation. */
  conversation: ConversationId;
  /** The message or note. */
  entry_id: EntryId;
  /** Chosen by the client, 0 … 2^53 − 1. */
  id: number;
  /** Its number in the own view. */
  seq: number;
  type: "redact";
}
/** Writes an internal note. */
export interface NoteCommand {
  /** Idempotency key. */
  client_id: ClientId;
  /** Which conversation. */
  conversation: ConversationId;
  /** Chosen by the client, 0 … 2^53 − 1. */
  id: number;
  /** Plain text. */
  text: string;
  type: "note";
}
/** Chooses on a card version. */
export interface SelectCommand {
  /** Which card. */
  card: CardId;
  /** Idempotency key. */
  client_id: ClientId;
  /** Which conversation. */
  conversation: ConversationId;
  /** Chosen by the client, 0 … 2^53 − 1. */
  id: number;
  /**
   * Ids of the chosen options.
   *
   * @minItems 1
   * @maxItems 20
   */
  options: string[];
  type: "select";
  /** The version the chooser saw. */
  version: number;
}
/** Shows or ends a typing sign. */
export interface TypingCommand {
  /** Whether the person is typing. */
  active: boolean;
  /** Which conversation. */
  conversation: ConversationId;
  /** Chosen by the client, 0 … 2^53 − 1. */
  id: number;
  type: "typing";
}
/** Tells what of a card was on the guest's screen, and for how long. */
export interface SeenCommand {
  /** Which card. */
  card: CardId;
  /** Which conversation. */
  conversation: ConversationId;
  /** Chosen by the client, 0 … 2^53 − 1. */
  id: number;
  /** The options that were visible. */
  options: OptionSeenInput[];
  type: "seen";
  /** The version that was shown. */
  version: number;
}
/** How long an option of a card was visible to somebody. */
export interface OptionSeenInput {
  /** The option. */
  id: string;
  /** All the time it was visible on this device, so far. Counts up; an older total changes nothing. */
  visible_ms: number;
}
/** Asks who is present, and says whether the conversation is on this session's screen. */
export interface PresenceCommand {
  /** Which conversation. */
  conversation: ConversationId;
  /** Chosen by the client, 0 … 2^53 − 1. */
  id: number;
  type: "presence";
  /** Whether this session's person looks at it now; unchanged when absent. */
  viewing?: boolean | null;
}
/** Moves the own watermarks forward. */
export interface ReadCommand {
  /** Which conversation. */
  conversation: ConversationId;
  /** Chosen by the client, 0 … 2^53 − 1. */
  id: number;
  /** Everything up to here was read. */
  read?: number | null;
  /** Everything up to here reached the device. */
  received?: number | null;
  type: "read";
}
/** Reads a page of the transcript without going live. */
export interface HistoryCommand {
  /** Entries above this number. */
  after?: number | null;
  /** Entries on both sides of this number. */
  around?: number | null;
  /** Entries below this number, newest last. */
  before?: number | null;
  /** Which conversation. */
  conversation: ConversationId;
  /** Chosen by the client, 0 … 2^53 − 1. */
  id: number;
  /** 1–200, 50 by default. */
  limit?: number | null;
  type: "history";
}
/** Proves the connection for clients that cannot see control frames. */
export interface PingCommand {
  /** Chosen by the client, 0 … 2^53 − 1. */
  id: number;
  type: "ping";
}
/** An error as it travels in a reply. */
export interface ErrorBody {
  /** The stable code. */
  code: ErrorCode;
  /** Facts for programs; an object, possibly empty. */
  details: {
    [k: string]: unknown;
  };
  /** A sentence for people; says what to do next where there is something. */
  message: string;
  /** Whether the same request can succeed later. */
  retryable: boolean;
}
/** An entry was committed. */
export interface EntryPush {
  /** Where. */
  conversation: ConversationId;
  /** The entry. */
  entry: Entry;
  /** The log's epoch. */
  epoch: number;
  /** Number in the hearer's view. */
  seq: number;
  type: "entry";
}
/** A principal as others see it. `id` is opaque. */
export interface Who {
  /** Opaque; equal ids of one kind are the same principal. */
  id: string;
  /** What kind of principal. */
  kind: WhoKind;
  /** The name to show. */
  name: string;
}
/** The body of a message or note. */
export interface Text {
  /** Whether it was blanked. */
  redacted?: boolean;
  /** Plain text, never markup; empty once redacted. */
  text: string;
}
/** The body of an `edit` entry. */
export interface Edit {
  /** The message or note. */
  entry_id: EntryId;
  /** Whether it was blanked, with its target. */
  redacted?: boolean;
  /** Its new text, whole; empty once redacted. */
  text: string;
}
/** The body of a `redaction` entry. */
export interface Redaction {
  /** The message or note that was blanked. */
  entry_id: EntryId;
}
/** The body of a `card` entry. */
export interface CardBody {
  /** The card, whole, as of this entry. */
  card: Card;
}
/** A card as its readers see it. */
export interface Card {
  /**
   * The days of an itinerary, or other titled lines; at most 40.
   *
   * @maxItems 40
   */
  details?: Detail[];
  /** Identity over all versions. */
  id: CardId;
  /** Which kind of offer. */
  kind: CardKind;
  /** Small print, at most 500 characters. */
  note?: string;
  /**
   * 1–20 options with distinct ids.
   *
   * @minItems 1
   * @maxItems 20
   */
  options: CardOption[];
  /** The state this entry left the card in. */
  state: CardState;
  /** At most 200 characters. */
  subtitle?: string;
  /** 1–120 characters. */
  title: string;
  /** 1, 2, 3 …; a version never changes. */
  version: number;
}
/** A titled line of a card, such as one day of an itinerary. */
export interface Detail {
  /** "Day 3", at most 40 characters. */
  label: string;
  /** At most 1,000 characters. */
  text?: string;
  /** At most 120 characters. */
  title: string;
}
/** One thing that can be chosen. */
export interface CardOption {
  /** At most 500 characters. */
  description?: string;
  /**
   * Short facts, at most 8 of 120 characters.
   *
   * @maxItems 8
   */
  facts?: string[];
  /** 1–64 of `A–Z a–z 0–9 _ -`, distinct within the card. */
  id: string;
  /** 1–120 characters. */
  label: string;
  /** What it costs. */
  price?: Money;
  /** What the price means ("642.00 each"), at most 80 characters. */
  price_note?: string;
  /** A journey from one place to another. */
  route?: Route;
}
/** Integer minor units and an ISO 4217 code; never a float. */
export interface Money {
  /** Minor units (cents), at most 2^53 − 1 either way. */
  amount: number;
  /** Three capital letters. */
  currency: string;
}
/** A journey as people read it; every text at most 40 characters. */
export interface Route {
  /** Local time of arrival. */
  arrives: string;
  /** Days between departure and arrival by the calendar. */
  day_offset?: number;
  /** Local time of departure ("16:40"). */
  departs: string;
  /** How long it takes ("11 h 25"). */
  duration: string;
  /** Place and zone of departure ("Paris, CET"). */
  from: string;
  /** Place and zone of arrival. */
  to: string;
}
/** The body of a `selection` entry; readable without the card. */
export interface Selection {
  /** The card chosen on. */
  card: CardId;
  /** The chosen options' labels. */
  labels: string[];
  /** Ids of the chosen options. */
  options: string[];
  /** The card's state after the choice. */
  state: CardState;
  /** The card's title. */
  title: string;
  /** The exact version chosen on. */
  version: number;
}
/** The body of a `share` entry. */
export interface ShareChange {
  /** What happened. */
  action: ShareAction;
  /** Expiry after the change. */
  expires_at?: Timestamp;
  /** The share's label. */
  label?: string;
  /** Who claimed. */
  name?: string;
  /** Permissions after the change. */
  permissions?: Permission[];
  /** Which share. */
  share: ShareId;
}
/** Somebody types. */
export interface TypingPush {
  /** Whether they type. */
  active: boolean;
  /** Where. */
  conversation: ConversationId;
  /** Life of the sign without renewal. */
  expires_ms: number;
  type: "typing";
  /** Who. */
  who: Who;
}
/** Somebody came or left, or their node fell silent. */
export interface PresencePush {
  /** Where. */
  conversation: ConversationId;
  /** Came, left, or cannot be heard right now. */
  state: PresenceState;
  type: "presence";
  /** Whether the conversation is on their screen; staff view only. */
  viewing?: boolean;
  /** Who. */
  who: Who;
}
/** A guest has seen more of a card; staff view only. */
export interface SeenPush {
  /** Where. */
  conversation: ConversationId;
  /** All that this guest has seen of the version by now. */
  seen: CardSeen;
  type: "seen";
}
/** What a guest has seen of a card version. */
export interface CardSeen {
  /** At which card. */
  card: CardId;
  /** When it was first seen. */
  first_at: Timestamp;
  /** When it was last seen. */
  last_at: Timestamp;
  /** The options that were visible, and for how long. */
  options: OptionSeen[];
  /** At which version of it. */
  version: number;
  /** Who looked. */
  who: Who;
}
/** How long an option of a card was visible to somebody. */
export interface OptionSeen {
  /** The option. */
  id: string;
  /** All the time it was visible on this device, so far. Counts up; an older total changes nothing. */
  visible_ms: number;
}
/** Somebody read further. */
export interface ReceiptPush {
  /** Where. */
  conversation: ConversationId;
  /** Was read, in the hearer's numbering. */
  read: number;
  /** Reached a device, in the hearer's numbering. */
  received: number;
  type: "receipt";
  /** Who. */
  who: Who;
}
/** The session's rights changed. */
export interface PermissionPush {
  /** Where. */
  conversation: ConversationId;
  /** Replaces what the session had. */
  permissions: Right[];
  type: "permission";
}
/** Entry pushes were dropped or withheld; attach again from the last seq received. */
export interface HeadPush {
  /** Where. */
  conversation: ConversationId;
  /** The log's epoch. */
  epoch: number;
  /** The newest entry, in the hearer's view. */
  seq: number;
  type: "head";
}
/** Entries are withheld for now; the next `head` of this conversation ends it: attach again from where you stand. */
export interface PausedPush {
  /** Where. */
  conversation: ConversationId;
  type: "paused";
}
/** A share was made or changed. */
export interface SharePush {
  /** Where. */
  conversation: ConversationId;
  /** As it now stands. */
  share: Share;
  type: "share";
}
/** A share, without its secret. */
export interface Share {
  /** Claims. */
  access_count: number;
  /** Attempts after its end or beyond its seats. */
  blocked: number;
  /** The one conversation it opens. */
  conversation_id: ConversationId;
  /** When it was made. */
  created_at: Timestamp;
  /** The member of staff who made it; none when a service did. */
  created_by: PersonId | null;
  /** When it ends by itself. */
  expires_at: Timestamp;
  /** Identity; not the secret. */
  id: ShareId;
  /** For staff only. */
  label: string | null;
  /** The last open or claim. */
  last_accessed: Timestamp | null;
  /** Renderings of the page, previews and bots left out. */
  opens: number;
  /** Always holds `view`. */
  permissions: Permission[];
  /** When it was ended by staff. */
  revoked_at: Timestamp | null;
  /** Devices it admits. */
  seats: number;
  /** Devices that came in. */
  seats_used: number;
  /** Where it stands now. */
  status: ShareStatus;
}
/** A row of the staff member's list changed. */
export interface InboxPush {
  /** As it now stands. */
  conversation: ConversationRow;
  type: "inbox";
}
/** A conversation as a row of the list, for one member of staff. */
export interface ConversationRow {
  /** Who is responsible. */
  assigned_to: PersonId | null;
  /** Where it came from. */
  channel: string;
  /** When it was made. */
  created_at: Timestamp;
  /** The newest entry, in the staff view. */
  head: number;
  /** Identity. */
  id: ConversationId;
  /** The newest message, note, card or selection, shortened. */
  last_entry?: Preview;
  /** When the newest entry was committed. */
  last_entry_at: Timestamp | null;
  /** Whether a guest is present. */
  online: boolean;
  /** The asking person's own watermark. */
  read: number;
  /** The sales stage. */
  stage: string;
  /** `open`, `snoozed` or `closed`. */
  status: string;
  /** The title people see. */
  title: string;
  /** Entries of others after `read`. */
  unread: number;
  /** When anything about it changed. */
  updated_at: Timestamp;
  /** Who made it; none when a service did. */
  user_id: PersonId | null;
}
/** An entry in a line. */
export interface Preview {
  /** When it was committed. */
  at: Timestamp;
  /** Who may see it. */
  audience: Audience;
  /** Who wrote it. */
  author: Who;
  /** The entry's kind. */
  kind: string;
  /** At most 120 characters, as last edited; empty when it was redacted. */
  preview: string;
}
/** The node will close this socket; come back after this time. */
export interface AdvicePush {
  /** Individual, so that not everybody comes back at once. */
  retry_after_ms: number;
  type: "advice";
}
/** Every command by its word. */
export interface Commands {
  attach: AttachCommand;
  detach: DetachCommand;
  edit: EditCommand;
  hello: HelloCommand;
  history: HistoryCommand;
  note: NoteCommand;
  ping: PingCommand;
  presence: PresenceCommand;
  read: ReadCommand;
  redact: RedactCommand;
  refresh: RefreshCommand;
  seen: SeenCommand;
  select: SelectCommand;
  send: SendCommand;
  subscribe: SubscribeCommand;
  typing: TypingCommand;
}
/** What `ok` of a reply holds, by the word of its command. */
export interface Replies {
  attach: Attached;
  detach: Empty;
  edit: Appended;
  hello: HelloReply;
  history: Page;
  note: Appended;
  ping: Empty;
  presence: Members;
  read: Watermarks;
  redact: Appended;
  refresh: Refreshed;
  seen: Empty;
  select: Selected;
  send: Appended;
  subscribe: Empty;
  typing: Empty;
}
/** Where a log stands, for a reader that cannot resume. */
export interface Reset {
  /** The current epoch. */
  epoch: number;
  /** The oldest entry kept, in the reader's view. */
  floor: number;
  /** The newest entry, in the reader's view. */
  head: number;
}
/** The entries of an attach. */
export interface AttachedPage {
  /** What the conversation is; only when live. */
  conversation?: ConversationRef;
  /** In order, without hole. */
  entries: NumberedEntry[];
  /** Newer entries remain and the session is not live: attach again. */
  has_more: boolean;
  /** Who is present; only when live. */
  members?: Member[];
  /** What this session may do here; only when live. */
  permissions?: Right[];
  /** The last entry given (or `since`, when there was none to give). */
  position: Position;
  /** How far others have read; only when live. */
  receipts?: Receipt[];
  /** Whether the entries continue the client's `since`. */
  resumed: boolean;
  /** What guests have seen of the newest cards; only when live, staff view only. */
  seen?: CardSeen[];
}
/** A conversation by name. */
export interface ConversationRef {
  /** Identity. */
  id: ConversationId;
  /** The sales stage; staff view only. */
  stage?: string;
  /** `open`, `snoozed` or `closed`; staff view only. */
  status?: string;
  /** The title people see. */
  title: string;
}
/** An entry with its number in the reader's view. */
export interface NumberedEntry {
  /** The entry. */
  entry: Entry;
  /** Number in the reader's view. */
  seq: number;
}
/** Somebody who is present. */
export interface Member {
  /** Whether present, as far as is known. */
  state: PresenceState;
  /** Whether the conversation is on their screen; staff view only. */
  viewing?: boolean;
  /** Who. */
  who: Who;
}
/** Where a reader stands in one view of a conversation. */
export interface Position {
  /** Changes only after a restore that re-used numbers. */
  epoch: number;
  /** The last entry read; 0 is before the first. */
  seq: number;
}
/** How far somebody has read, in the numbering of whoever hears it. */
export interface Receipt {
  /** Was read. */
  read: number;
  /** Reached a device of theirs. */
  received: number;
  /** Who. */
  who: Who;
}
/** A reply without facts. */
export interface Empty {}
/** Reply to `send`, `edit`, `redact` and `note`. */
export interface Appended {
  /** Whether an earlier command with the same `client_id` had stored it. */
  duplicate: boolean;
  /** The entry. */
  entry_id: EntryId;
  /** Its number in the author's own view. */
  seq: number;
}
/** Reply to `hello`. */
export interface HelloReply {
  /** Life left in the token; refresh at 80 %. None: no end is known (API keys without expiry). */
  expires_in_ms: number | null;
  /** Period of the server's pings. */
  heartbeat_ms: number;
  /** What this socket may ask for. */
  limits: Limits;
  /** Who the server took the caller for. */
  principal: PrincipalInfo;
  /** This socket. */
  session: SessionId;
}
/** The limits announced in the reply to `hello`. */
export interface Limits {
  /** Commands in one burst. */
  commands_burst: number;
  /** Commands per second, sustained. */
  commands_per_second: number;
  /** Largest message, in bytes. */
  message_bytes: number;
  /** Entries in one page of a transcript. */
  page_entries: number;
  /** Conversations this socket may attach to at once. */
  rooms: number;
  /** Longest text of a message or note, in Unicode code points. */
  text_chars: number;
}
/** The caller, as told to itself. */
export interface PrincipalInfo {
  /** Guest: the one conversation of the link. */
  conversation?: ConversationId;
  /** Opaque; equals `author.id` of the caller's entries. */
  id: string;
  /** What kind of principal. */
  kind: WhoKind;
  /** The name others see. */
  name: string;
  /** The tenant. */
  organization: OrganizationRef;
  /** Guest: the link's permissions. */
  permissions?: Permission[];
  /** Staff: the role in the organization. */
  role?: string;
}
/** An organization by name. */
export interface OrganizationRef {
  /** Identity. */
  id: OrganizationId;
  /** The name people see. */
  name: string;
}
/** Reply to `history`. */
export interface Page {
  /** In order, without hole. */
  entries: NumberedEntry[];
  /** The current epoch. */
  epoch: number;
  /** Whether more entries lie in the direction asked. */
  has_more: boolean;
  /** The newest entry, in the reader's view. */
  head: number;
}
/** Reply to `presence`. */
export interface Members {
  /** Who is present. */
  members: Member[];
}
/** Reply to `read`: the watermarks as they now stand. */
export interface Watermarks {
  /** Was read. */
  read: number;
  /** Reached a device. */
  received: number;
}
/** Reply to `refresh`. */
export interface Refreshed {
  /** Life of the renewed authentication. */
  expires_in_ms: number | null;
  /** Guest: the new token, for HTTP and the next socket. */
  guest_token?: string;
}
/** Reply to `select`. */
export interface Selected {
  /** Whether an earlier command with the same `client_id` had stored it. */
  duplicate: boolean;
  /** The selection entry. */
  entry_id: EntryId;
  /** Its number in the chooser's own view. */
  seq: number;
  /** The card's state after the choice. */
  state: CardState;
}
/** Every push by its word. */
export interface Pushes {
  advice: AdvicePush;
  entry: EntryPush;
  head: HeadPush;
  inbox: InboxPush;
  paused: PausedPush;
  permission: PermissionPush;
  presence: PresencePush;
  receipt: ReceiptPush;
  seen: SeenPush;
  share: SharePush;
  typing: TypingPush;
}
