// What `@parlour/client` offers. Start with ParlourClient (the socket) and Api (HTTP); examples/ has programs that run.
export { type ClientEvents, type ClientOptions, ParlourClient, type Sent, type Target } from "./client.ts";
export { type BinaryCodec, type Frame, readFrame, SUBPROTOCOL, SUBPROTOCOL_MSGPACK } from "./codec.ts";
export type { Credential, Credentials, StateChange } from "./connection.ts";
export { asParlourError, LOCAL, ParlourError, type WireError } from "./errors.ts";
export {
  Api,
  type ApiOptions,
  type Claim,
  type LinkFacts,
  type ListFilter,
  type Me,
  type NewEntry,
  type NewShare,
  type Page,
  type Ticket,
  type Tokens,
} from "./http.ts";
export { localStorageQueue, type QueueStorage } from "./keep.ts";
export { nodeSocket } from "./node-socket.ts";
export { QUEUE_CHARS, QUEUE_COMMANDS } from "./outbox.ts";
export type { Echo, LineEntry, RoomLine } from "./reading.ts";
export type { Phase, Room } from "./room.ts";
export type { RoomEvents } from "./rooms.ts";
export { SEEN_EVERY_MS, type SeenCard, type SeenTarget, VisibilityTracker } from "./seen.ts";
export type { Viewing } from "./signs.ts";
export { afterClose, type ConnectionState, LINK_ENDED } from "./states.ts";
export type * from "./types.ts";
export {
  type Clock,
  newUuid,
  type OpenSocket,
  type Refusal,
  type Sign,
  type SocketLike,
  type Surroundings,
} from "./world.ts";
