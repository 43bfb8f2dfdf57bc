// A stand-in for the server, in memory, for work on the pages and for pictures: the part of protocol/SPEC.md the pages use, and no more.
// It must never be taken for the server: no storage, no limits, one organization, passwords in clear. The two-contexts run accepts it.
// Start: node e2e/fake-server.mjs (prints one JSON line, like `parlour dev --json`). Rooms and cards are in fake-rooms.mjs.
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { WebSocketServer } from "ws";
import { fail, Rooms } from "./fake-rooms.mjs";
import { seed } from "./fake-seed.mjs";
import { Sockets } from "./fake-sockets.mjs";

const dist = new URL("../dist", import.meta.url).pathname;
const life = Number(process.env.PARLOUR_FAKE_TOKEN_SECONDS ?? 20);
const port = Number(process.env.PARLOUR_FAKE_PORT ?? 0);
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' wss:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const TYPES = {
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".html": "text/html; charset=utf-8",
};
const rooms = new Rooms(life);
const password = "parlour-demo";
const sessions = new Map(); // refresh cookie → staff

const server = createServer(async (request, response) => {
  const url = new URL(request.url, "http://localhost");
  try {
    if (url.pathname.startsWith("/api/v1/")) await api(request, response, url);
    else await page(request, response, url.pathname);
  } catch (error) {
    const { code = "INTERNAL", status = 500, details = {} } = error;
    if (status === 500) console.error(error);
    json(response, status, {
      success: false,
      error: { code, message: code, details, request_id: "fake", retryable: status >= 500 },
    });
  }
});

async function page(request, response, path) {
  const headers = { "content-security-policy": CSP, "referrer-policy": "no-referrer", "cache-control": "no-store" };
  if (path.startsWith("/assets/")) {
    response.writeHead(200, { ...headers, "content-type": TYPES[extname(path)] ?? "application/octet-stream" });
    response.end(await readFile(join(dist, path)));
    return;
  }
  if (path === "/" || path.startsWith("/console")) {
    response.writeHead(200, { ...headers, "content-type": TYPES[".html"] });
    response.end(await readFile(join(dist, "console.html")));
    return;
  }
  if (!path.startsWith("/s/")) {
    response.writeHead(404, headers);
    response.end();
    return;
  }
  const share = rooms.shareByToken(path.slice(3));
  const state =
    !share || share.revoked_at ? "unknown" : Date.parse(share.expires_at) <= Date.now() ? "expired" : "live";
  const known = state !== "unknown";
  const facts = {
    state,
    organization: known ? rooms.organization : null,
    expires_at: known ? share.expires_at : null,
    permissions: known ? share.permissions : [],
  };
  if (request.headers.accept === "application/json") {
    if (state !== "live") fail(known ? "GONE" : "NOT_FOUND", known ? 410 : 404);
    ok(response, { ...facts, claim_url: "/api/v1/shares/claim" });
    return;
  }
  const html = (await readFile(join(dist, "page.html"), "utf8"))
    .replace(
      "<!--parlour-state-->",
      `<script type="application/json" id="parlour-state">${JSON.stringify(facts).replaceAll("<", "\\u003c")}</script>`,
    )
    .replaceAll("<!--parlour-title-->", known ? "Lagon &amp; Savane" : "Parlour");
  response.writeHead(known ? (state === "expired" ? 410 : 200) : 404, { ...headers, "content-type": TYPES[".html"] });
  response.end(html);
}

function json(response, status, body, headers = {}) {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}

const ok = (response, data, status = 200, meta = undefined, headers = {}) =>
  json(response, status, { success: true, data, ...(meta && { meta }) }, headers);

async function bodyOf(request) {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text === "" ? {} : JSON.parse(text);
}

function loggedIn(response, staff) {
  const cookie = randomUUID();
  sessions.set(cookie, staff);
  const data = { access_token: rooms.token(staff), refresh_token: null, expires_in: life };
  ok(response, data, 200, undefined, {
    "set-cookie": `parlour_refresh=${cookie}; HttpOnly; SameSite=Strict; Path=/api/v1/auth`,
  });
}

/** Routes: method, pattern, handler(response, match, body, actor, url, key). `open` needs no token. */
const routes = [
  [
    "POST",
    /^\/auth\/login$/,
    "open",
    (response, _, body) => {
      const staff = rooms.staff.find((it) => it.email === body.email);
      if (!staff || body.password !== password) fail("UNAUTHENTICATED", 401);
      loggedIn(response, staff);
    },
  ],
  [
    "POST",
    /^\/auth\/refresh$/,
    "open",
    (response, _match, _body, _actor, _url, _key, request) => {
      const cookie = /parlour_refresh=([^;]+)/.exec(request.headers.cookie ?? "")?.[1];
      const staff = sessions.get(cookie);
      if (!staff) fail("UNAUTHENTICATED", 401);
      sessions.delete(cookie);
      loggedIn(response, staff);
    },
  ],
  [
    "POST",
    /^\/auth\/ticket$/,
    "staff",
    (response, _match, _body, actor) => ok(response, { ticket: rooms.ticket(actor), expires_in: 30 }),
  ],
  ["POST", /^\/auth\/logout$/, "staff", (response) => ok(response, null)],
  [
    "GET",
    /^\/me$/,
    "staff",
    (response, _, __, actor) =>
      ok(response, {
        user: { id: actor.id, email: actor.email, name: actor.name },
        role: "admin",
        permissions: [],
        organization: { id: "o1", name: rooms.organization.name, slug: "lagon", role: "admin" },
      }),
  ],
  [
    "GET",
    /^\/conversations$/,
    "staff",
    (response, _, __, actor, url) => {
      const { rows, total } = rooms.list(actor, url.searchParams);
      ok(response, rows, 200, { page: 1, limit: 50, total, pages: 1 });
    },
  ],
  [
    "POST",
    /^\/conversations$/,
    "staff",
    (response, _, body, actor) => ok(response, rooms.row(rooms.create(body.title, "lead"), actor), 201),
  ],
  [
    "GET",
    /^\/conversations\/([^/]+)$/,
    "staff",
    (response, [, id], _, actor) => ok(response, rooms.row(rooms.get(id), actor)),
  ],
  [
    "POST",
    /^\/conversations\/([^/]+)\/entries$/,
    "staff",
    (response, [, id], body, actor, _url, key) =>
      ok(response, rooms.write(rooms.get(id), actor, body.kind, { text: body.text }, key), 201),
  ],
  [
    "POST",
    /^\/conversations\/([^/]+)\/cards$/,
    "staff",
    (response, [, id], body, actor, _url, key) => ok(response, rooms.card(rooms.get(id), actor, body, key), 201),
  ],
  [
    "POST",
    /^\/conversations\/([^/]+)\/share$/,
    "staff",
    (response, [, id], body, actor) => {
      const { secret, share } = rooms.share(rooms.get(id), actor, body);
      ok(response, { url: `http://127.0.0.1:${server.address().port}/s/${secret}`, session_token: secret, share }, 201);
    },
  ],
  ["GET", /^\/conversations\/([^/]+)\/shares$/, "staff", (response, [, id]) => ok(response, rooms.sharesOf(id))],
  [
    "PATCH",
    /^\/shares\/([^/]+)$/,
    "staff",
    (response, [, id], body, actor) => ok(response, rooms.changeShare(id, body, actor)),
  ],
  ["DELETE", /^\/shares\/([^/]+)$/, "staff", (response, [, id], _, actor) => ok(response, rooms.revoke(id, actor))],
  ["POST", /^\/shares\/claim$/, "open", (response, _, body) => ok(response, rooms.claim(body))],
  [
    "POST",
    /^\/shares\/open$/,
    "open",
    (response, _, body) => {
      rooms.opened(body.token);
      ok(response, {});
    },
  ],
];

async function api(request, response, url) {
  const path = url.pathname.slice("/api/v1".length);
  for (const [method, pattern, who, handle] of routes) {
    const match = pattern.exec(path);
    if (!match || request.method !== method) continue;
    const bearer = request.headers.authorization?.replace("Bearer ", "");
    const actor = who === "open" ? null : rooms.actor(bearer);
    if (who !== "open" && !actor) fail("UNAUTHENTICATED", 401);
    const key = request.headers["idempotency-key"] ?? randomUUID();
    handle(response, match, await bodyOf(request), actor, url, key, request);
    return;
  }
  fail("NOT_FOUND", 404);
}

const sockets = new WebSocketServer({ server, path: "/api/v1/ws", handleProtocols: () => "parlour.v1+json" });
const room = new Sockets(rooms);
sockets.on("connection", (socket) => room.connect(socket));

server.listen(port, "127.0.0.1", () => {
  const base = `http://127.0.0.1:${server.address().port}`;
  const { conversation, secret } = seed(rooms, process.env.PARLOUR_FAKE_EMPTY === "1");
  console.log(
    JSON.stringify({
      http_url: base,
      ws_url: `${base.replace("http", "ws")}/api/v1/ws`,
      organization_id: "o1",
      console_url: `${base}/console`,
      share_url: `${base}/s/${secret}`,
      api_key: rooms.service.key,
      conversation_id: conversation.id,
      staff: rooms.staff.map(({ email }) => ({ email, password })),
    }),
  );
});
