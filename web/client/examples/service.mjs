// A service that follows one conversation with an API key, in Node: one line of JSON for everything that is said, until Ctrl-C.
//   npm install @parlour/client ws
//   PARLOUR_API_KEY=parlour_sk_… node service.mjs http://127.0.0.1:8080 <conversation id>
// The socket comes back by itself and resumes where it stood: every number is printed once, whatever happened to the line.
import { nodeSocket, ParlourClient } from "@parlour/client";
import { WebSocket } from "ws";

const [server, conversation] = process.argv.slice(2);
const client = new ParlourClient({
  url: `${server.replace("http", "ws")}/api/v1/ws`,
  socket: nodeSocket(WebSocket),
  credentials: { renewal: "hand-in", token: async () => process.env.PARLOUR_API_KEY },
});

const say = (value) => console.log(JSON.stringify(value));

client.on("state", ({ current, reason }) => {
  say({ state: current, ...(reason && { because: reason.code }) });
  if (current === "failed") process.exitCode = 1;
});
client.on("entry", ({ at: { seq, entry } }) => say({ seq, kind: entry.kind, by: entry.author.name, body: entry.body }));
client.on("discontinuity", () => say({ discontinuity: "what was read before is void; it is read anew" }));

let live = false;
client.on("room", (room) => {
  if (room.phase === "gone") {
    say({ gone: room.error?.code });
    client.close();
  } else if (room.phase === "live" && !live) {
    live = true;
    say({ live: room.conversation.title, from: room.last });
  }
});

client.join(conversation);
client.connect();
process.on("SIGINT", () => client.close());
