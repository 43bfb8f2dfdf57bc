// What the SDK calls the words of the protocol: short names for the types of schema.ts, and the tables derived from them.
// Nothing here runs, and nothing here may say what a message holds: schema.ts does, made from the contract. Read frames in codec.ts.
import type * as Schema from "./schema.ts";

export type {
  Audience,
  Card,
  CardOption,
  CardState,
  ConversationRow,
  Detail as CardDetail,
  Edit as EditBody,
  Entry,
  ErrorCode,
  Limits,
  Member,
  Money,
  OptionSeen as SeenOption,
  Permission as SharePermission,
  Position,
  PresenceState,
  Preview,
  Push,
  Receipt,
  Redaction as RedactionBody,
  Right,
  Route,
  Selection as SelectionBody,
  Share,
  ShareChange as ShareEventBody,
  Text as TextBody,
  Who,
} from "./schema.ts";

export type ActorKind = Schema.WhoKind;
/** `status` and `stage` are told to staff and services only. */
export type ConversationHead = Schema.ConversationRef;
export type Positioned = Schema.NumberedEntry;
export type Principal = Schema.PrincipalInfo;
/** All that one guest has seen of one version of a card. */
export type Seen = Schema.CardSeen;

// --- replies -------------------------------------------------------------------------------------------------------

export type HelloReply = Schema.HelloReply;
export type RefreshReply = Schema.Refreshed;
export type HistoryReply = Schema.Page;
/** Of any durable command; `state` after a `select`. */
export type StoredReply = Schema.Appended & Partial<Pick<Schema.Selected, "state">>;
/** Either `reset` (forget what is held, attach without `since`) or a page; the rest of it only when live. */
export type AttachReply = { resumed: boolean; reset?: Schema.Reset } & Partial<Schema.AttachedPage>;

interface Replies extends Omit<Schema.Replies, "attach"> {
  attach: AttachReply;
}

// --- commands ------------------------------------------------------------------------------------------------------

export type CommandType = keyof Schema.Commands;
/** Every command: its fields beside its answer. */
export type Commands = {
  [T in CommandType]: { fields: Omit<Schema.Commands[T], "id" | "type">; ok: Replies[T] };
};
export type CommandOf<T extends CommandType> = { type: T } & Commands[T]["fields"];
export type Command = { [T in CommandType]: CommandOf<T> }[CommandType];
export type DurableType = "send" | "note" | "edit" | "redact" | "select";
/** A command whose effect is kept: it names a `client_id`, so that repeating it is harmless. */
export type DurableCommand = { [T in DurableType]: CommandOf<T> }[DurableType];

// --- pushes --------------------------------------------------------------------------------------------------------

export type PushType = Schema.Push["type"];
export type PushOf<T extends PushType> = Extract<Schema.Push, { type: T }>;
