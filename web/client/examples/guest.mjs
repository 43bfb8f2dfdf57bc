// A guest on a share link, in Node: enters, prints how the conversation reads, says hello, and stays until Ctrl-C.
//   npm install @parlour/client ws
//   node guest.mjs http://127.0.0.1:8080/s/parlour_sh_…
// Node 20 has no WebSocket of its own, so one is lent; a browser, and Node 22, need no `socket` option.
import { Api, nodeSocket, ParlourClient } from "@parlour/client";
import { WebSocket } from "ws";

const link = new URL(process.argv[2] ?? "http://give.me/a/link");
const secret = link.pathname.split("/").at(-1);
const api = new Api({ base: link.origin });

let claim = await api.claim(secret, "Example");
const client = new ParlourClient({
  url: `${link.origin.replace("http", "ws")}/api/v1/ws`,
  socket: nodeSocket(WebSocket),
  credentials: {
    renewal: "re-read",
    token: async (stale) => {
      if (stale) claim = await api.claim(secret, undefined, claim.device_key);
      return claim.guest_token;
    },
    keep: (token) => {
      claim.guest_token = token;
    },
  },
});

client.on("state", ({ current, code }) => console.log(`· ${current}${code ? ` (${code})` : ""}`));
client.on("entry", ({ room, at }) => {
  // An edit or a redaction changes an earlier line: `room.lines` is how everything reads now.
  const id = at.entry.body.entry_id ?? at.entry.id;
  print(room.lines.find((line) => line.entry?.id === id));
});

const room = client.join(claim.conversation_id);
client.connect();
const { done } = client.send(room.id, "Hello from the example.");
const { seq } = await done;
console.log(`· stored as ${seq}; ${room.lines.length} lines are held`);
process.on("SIGINT", () => client.close());

function print(line) {
  if (!line) return;
  const { entry, edited, redacted } = line;
  const words = redacted ? "(removed)" : (entry.body.text ?? entry.kind);
  console.log(`${line.seq} ${entry.author.name}: ${words}${edited ? " (edited)" : ""}`);
}
