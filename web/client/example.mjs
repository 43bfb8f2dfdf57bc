// Enters a conversation by a share link, prints what is said, and says hello. Run it from web/:
//   npm ci && npx tsc -p client && node client/example.mjs http://127.0.0.1:8080/s/parlour_sh_…
// Node 20 has no WebSocket of its own, so one is lent; a browser, and Node 22, need no `socket` option.
import { Api, ParlourClient } from "@parlour/client";
import WebSocket from "ws";

const link = new URL(process.argv[2] ?? "");
const secret = link.pathname.split("/").at(-1);
const api = new Api({ base: link.origin });

let claim = await api.claim(secret, "Example");
const client = new ParlourClient({
  url: `${link.origin.replace("http", "ws")}/api/v1/ws`,
  socket: (url, protocol) => new WebSocket(url, protocol),
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
client.on("entry", ({ at }) =>
  console.log(`${at.seq} ${at.entry.author.name}: ${at.entry.body.text ?? at.entry.kind}`),
);

const room = client.join(claim.conversation_id);
client.connect();
const { done } = client.send(room.id, "Hello from the example.");
const { seq, duplicate } = await done;
console.log(`stored as ${seq}, duplicate: ${duplicate}`);
