// What `@parlour/client` offers. Start with ParlourClient (the socket) and Api (HTTP); README.md has an example that runs.
export { type ClientEvents, type ClientOptions, ParlourClient, type Sent } from "./client.ts";
export { type Frame, readFrame, SUBPROTOCOL } from "./codec.ts";
export { afterClose, type ConnectionState, type Credentials, LINK_ENDED, type StateChange } from "./connection.ts";
export { asParlourError, LOCAL, ParlourError, type WireError } from "./errors.ts";
export {
  Api,
  type Claim,
  type LinkFacts,
  type ListFilter,
  type Me,
  type NewShare,
  type Page,
  type Tokens,
} from "./http.ts";
export type { OutboxStore } from "./outbox.ts";
export { type Echo, type Phase, Room } from "./room.ts";
export type * from "./types.ts";
export { type Clock, newUuid, type OpenSocket, type SocketLike, type Surroundings } from "./world.ts";
