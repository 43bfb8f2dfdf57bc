// What a person cannot see of a page: every frame on its sockets, requests to other hosts, and what its browser complains about.
// A refusal by the content policy is a complaint like any other.

export function watch(page, own) {
  const hosts = new Set(own.map((url) => new URL(url).host));
  const seen = { sockets: 0, sent: [], heard: [], foreign: [], complaints: [] };
  page.on("websocket", (socket) => {
    seen.sockets += 1;
    if (!hosts.has(new URL(socket.url()).host)) seen.foreign.push(socket.url());
    socket.on("framesent", ({ payload }) => seen.sent.push(parse(payload)));
    socket.on("framereceived", ({ payload }) => seen.heard.push(parse(payload)));
  });
  page.on("request", (request) => {
    const { protocol, host } = new URL(request.url());
    if (protocol.startsWith("http") && !hosts.has(host)) seen.foreign.push(request.url());
  });
  page.on("console", (message) => {
    if (message.type() === "error") seen.complaints.push(message.text());
  });
  page.on("pageerror", (error) => seen.complaints.push(String(error)));
  return seen;
}

function parse(payload) {
  try {
    return JSON.parse(String(payload));
  } catch {
    return {};
  }
}
