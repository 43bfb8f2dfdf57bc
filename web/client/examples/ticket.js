// The script of ticket.html. A token never goes into the socket: every connection asks for a ticket, which works once and for 30 s.
// `./parlour-client.js` is the SDK in one file: npx esbuild @parlour/client --bundle --format=esm --outfile=parlour-client.js
import { Api, localStorageQueue, ParlourClient } from "./parlour-client.js";

const secret = location.hash.slice(1);
const claim = await new Api().claim(secret, "Example");
let token = claim.guest_token;
const api = new Api({ token: async () => token });

const client = new ParlourClient({
  url: `${location.origin.replace("http", "ws")}/api/v1/ws`,
  credentials: {
    renewal: "re-read",
    token: async (stale) => {
      if (stale) token = (await api.claim(secret, undefined, claim.device_key)).guest_token;
      return { ticket: (await api.ticket()).ticket };
    },
    keep: (renewed) => {
      token = renewed;
    },
  },
  queue: { storage: localStorageQueue, key: `example.${claim.conversation_id}` },
});

const find = (id) => document.getElementById(id);
const room = client.join(claim.conversation_id);
client.on("state", ({ current }) => {
  find("state").textContent = current;
});
client.on("room", draw);
find("write").addEventListener("submit", (event) => {
  event.preventDefault();
  client.send(room.id, find("text").value);
  event.target.reset();
});
client.connect();

/** A room changes in place, so it is drawn anew: plain text only, because what people write is never markup. */
function draw() {
  const lines = room.lines.map((line) => {
    const item = document.createElement("li");
    item.textContent = line.kind === "echo" ? `${line.echo.command.text} (${line.echo.state})` : read(line);
    return item;
  });
  find("log").replaceChildren(...lines);
}

function read({ entry, edited, redacted }) {
  const words = redacted ? "(removed)" : (entry.body.text ?? entry.body.title ?? entry.body.card?.title ?? entry.kind);
  return `${entry.author.name}: ${words}${edited ? " (edited)" : ""}`;
}
