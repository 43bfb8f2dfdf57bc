// The page /docs: reads the contract's documents from its own server and writes them out for people. No build, no framework.
// It must never use innerHTML nor load anything from elsewhere: the server's policy refuses both. The documents are made from
// the Rust types (protocol/schema); nothing about the protocol is said here a second time.

import { body, el, example, fields, list, named, prose, row, sample, type } from "/docs/parts.js";

const main = document.getElementById("main");
const contents = document.getElementById("contents");
const find = document.getElementById("find");

// --- sections --------------------------------------------------------------------------------------------------------

/** One thing with an address of its own; `words` is what it is found by. */
function item(id, title, words, ...children) {
  return { id, words: `${words}`.toLowerCase(), node: el("article.item", { id }, el("h3", {}, title), children) };
}

const typeId = (name) => `type-${name}`;

function operation(openapi, path, method, it) {
  const id = it.operationId;
  const data = Object.entries(it.responses).find(
    ([status, one]) => status < 300 && one.content?.["application/json"]?.schema,
  );
  const answer = data?.[1].content["application/json"].schema.properties;
  const taken = it.requestBody?.content["application/json"].schema;
  const refusals = Object.entries(it.responses).filter(([, one]) => one.$ref);
  const others = Object.entries(it.responses).filter(
    ([, one]) => !one.$ref && !one.content?.["application/json"]?.schema,
  );
  const bearer = it.security.some((one) => one.bearer);
  const access = bearer
    ? it.security.length > 1
      ? "bearer, if there is one"
      : "bearer"
    : it.security.length > 1
      ? "refresh token"
      : "no credential";
  const parameters = (it.parameters ?? []).map((one) =>
    row(
      one.name,
      one.schema,
      one.required,
      typeId,
      [one.description, one.in === "path" ? "" : `In the ${one.in}.`].filter(Boolean).join(" "),
    ),
  );
  const schemas = openapi.components.schemas;
  return item(
    id,
    [el(`span.method.${method}`, {}, method.toUpperCase()), el("a", { href: `#${id}` }, path)],
    `${method} ${path} ${it.summary} ${it.tags.join(" ")}`,
    prose(`${it.summary}.`),
    prose(it.description),
    el(
      "div.chips",
      {},
      el("span.chip", {}, access),
      it.tags.map((tag) => el("span.chip", {}, tag)),
    ),
    parameters.length > 0 ? [el("h4", {}, "Parameters"), list(parameters)] : "",
    taken
      ? [
          el("h4", {}, it.requestBody.required ? "Body" : "Body, optional", ": ", type(taken, typeId)),
          list(fields(schemas[named(taken)] ?? taken, typeId)),
        ]
      : "",
    answer
      ? [
          el(
            "h4",
            {},
            `${Object.keys(it.responses)
              .filter((status) => status < 300)
              .join(", ")}: data `,
          ),
          el("div.type", {}, type(answer.data, typeId)),
        ]
      : "",
    answer?.meta ? [el("h4", {}, "meta"), list(fields(schemas[named(answer.meta)], typeId))] : "",
    others.map(([status, one]) => el("h4", {}, `${status}: ${one.description}`)),
    el("h4", {}, "Refusals"),
    el(
      "div.type",
      {},
      refusals.map(
        ([status, one], at) =>
          `${at > 0 ? " · " : ""}${status} ${openapi.components.responses[named(one)].description.replaceAll("`", "")}`,
      ),
    ),
  );
}

/** The interface itself comes before pages; what this page is made of is left out. */
function routes(openapi) {
  const paths = Object.entries(openapi.paths).filter(([path]) => !path.startsWith("/docs/"));
  const isApi = ([path]) => path.startsWith("/api/");
  return [...paths.filter(isApi), ...paths.filter((one) => !isApi(one))].flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, it]) => ({ path, method, ...operation(openapi, path, method, it) })),
  );
}

function command(word, defs) {
  const schema = defs[named(defs.Commands.properties[word])];
  const reply = defs.Replies.properties[word];
  const lookUp = (name) => defs[name];
  return item(
    `command-${word}`,
    el("a", { href: `#command-${word}` }, word),
    `command ${word} ${schema.description}`,
    prose(schema.description),
    list(fields(schema, typeId)),
    example(sample(schema, lookUp)),
    el("h4", {}, "Reply: ok ", type(reply, typeId)),
  );
}

function push(word, defs) {
  const schema = defs[named(defs.Pushes.properties[word])];
  return item(
    `push-${word}`,
    el("a", { href: `#push-${word}` }, word),
    `push ${word} ${schema.description}`,
    prose(schema.description),
    list(fields(schema, typeId)),
  );
}

function types(socket, openapi) {
  const all = { ...openapi.components.schemas, ...socket.$defs };
  const isFrame = (name) => /^(Commands|Replies|Pushes)$/.test(name) || /.(Command|Push)$/.test(name);
  const names = Object.keys(all)
    .filter((name) => !isFrame(name))
    .sort();
  return names.map((name) =>
    item(
      typeId(name),
      el("a", { href: `#${typeId(name)}` }, name),
      `type ${name} ${all[name].description ?? ""}`,
      prose(all[name].description),
      body(all[name], typeId),
    ),
  );
}

const error = (it) =>
  item(
    `error-${it.code}`,
    el("a", { href: `#error-${it.code}` }, it.code),
    `error ${it.code} ${it.status}`,
    prose(it.meaning),
    el(
      "div.chips",
      {},
      el("span.chip", {}, `HTTP ${it.status}`),
      el(it.retryable ? "span.chip.yes" : "span.chip", {}, it.retryable ? "try again later" : "do not repeat"),
    ),
  );

const close = (it) =>
  item(
    `close-${it.code}`,
    el("a", { href: `#close-${it.code}` }, `${it.code}`),
    `close ${it.code} ${it.name} ${it.reason}`,
    prose(it.meaning),
    el(
      "div.chips",
      {},
      el("span.chip", {}, it.reason),
      el(it.reconnect ? "span.chip.yes" : "span.chip", {}, it.reconnect ? "reconnect and resume" : "do not reconnect"),
    ),
  );

/** A path that is broken between its parts, not within. */
const breakable = (text) => text.split(/(?<=.\/)/).flatMap((part) => [part, el("wbr")]);

function section(id, title, says, items, label = (it) => it.node.querySelector("h3").textContent) {
  const node = el(
    "section",
    { id },
    el("h2", {}, title),
    prose(says),
    items.map((it) => it.node),
  );
  const links = items.map((it) => {
    const method = it.method ? el(`span.method.${it.method}`, {}, it.method.toUpperCase()) : "";
    it.link = el("a", { href: `#${it.id}` }, method, el("span", {}, breakable(label(it))));
    return it.link;
  });
  const heading = el("h2", {}, el("a", { href: `#${id}` }, title));
  return { node, items, heading, menu: el("div", {}, links) };
}

const start = () =>
  el(
    "section",
    { id: "start" },
    el("h1", {}, "What a program can say to Parlour"),
    prose(
      "Conversations live on one WebSocket; everything around them is HTTP. A command gets exactly one reply, and what happens to others arrives as a push. This page is read from the documents this server serves:",
    ),
    el(
      "div.doors",
      {},
      [
        ["/openapi.json", "OpenAPI 3.1: the routes"],
        ["/asyncapi.yaml", "AsyncAPI 3.0: the socket"],
        ["/schema/socket.json", "JSON Schema: every message"],
        ["/schema/errors.json", "Error codes and close codes"],
      ].map(([href, what]) => el("a", { href }, el("code", {}, href), el("span", {}, what))),
    ),
  );

// --- the page --------------------------------------------------------------------------------------------------------

async function read(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
  return answer.json();
}

function search(sections) {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const it of sections) {
    let any = false;
    for (const one of it.items) {
      const hit = words.every((word) => one.words.includes(word));
      one.node.hidden = one.link.hidden = !hit;
      any ||= hit;
    }
    it.node.hidden = it.heading.hidden = it.menu.hidden = !any;
  }
  document.getElementById("start").hidden = words.length > 0;
}

function wearTheme(chosen) {
  document.documentElement.dataset.theme = chosen;
}

/** Marks where the reader is in the list of contents. */
function follow(sections) {
  const links = new Map(sections.flatMap((it) => it.items.map((one) => [one.node, one.link])));
  const near = new Set();
  let current;
  const seen = new IntersectionObserver(
    (changes) => {
      for (const { target, isIntersecting } of changes) isIntersecting ? near.add(target) : near.delete(target);
      const next = [...links.keys()].findLast((node) => near.has(node));
      if (next === current) return;
      links.get(current)?.removeAttribute("aria-current");
      links.get(next)?.setAttribute("aria-current", "true");
      links.get(next)?.scrollIntoView({ block: "nearest" });
      current = next;
    },
    { rootMargin: "-80px 0px -80% 0px" },
  );
  for (const node of links.keys()) seen.observe(node);
}

async function show() {
  const [openapi, socket, errors] = await Promise.all(
    ["/openapi.json", "/schema/socket.json", "/schema/errors.json"].map(read),
  );
  const defs = socket.$defs;
  const sections = [
    section(
      "http",
      "HTTP",
      "Bodies are JSON in an envelope: `success` with `data` and perhaps `meta`, or an error with its code. Shown here is what `data` holds.",
      routes(openapi),
      (it) => it.path.replace(/^\/api\/v1/, ""),
    ),
    section(
      "commands",
      "Commands",
      "What a client may say on the socket. `hello` comes first. Unknown fields are refused.",
      defs.Commands.required.map((word) => command(word, defs)),
    ),
    section(
      "pushes",
      "Pushes",
      "What the server says unasked. Ignore pushes and fields you do not know: later servers have more.",
      defs.Pushes.required.map((word) => push(word, defs)),
    ),
    section("errors", "Errors", "The same codes on the socket and over HTTP.", errors.errors.map(error)),
    section("close", "Close codes", "The range alone tells whether to come back.", errors.close.map(close)),
    section("types", "Types", "Everything the messages and bodies above are made of.", types(socket, openapi)),
  ];
  main.replaceChildren(start(), ...sections.map((it) => it.node));
  contents.replaceChildren(...sections.flatMap((it) => [it.heading, it.menu]));
  find.addEventListener("input", () => search(sections));
  follow(sections);
  if (location.hash.length > 1) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

const dark = matchMedia("(prefers-color-scheme: dark)");
wearTheme(dark.matches ? "dark" : "light");
dark.addEventListener("change", () => wearTheme(dark.matches ? "dark" : "light"));
document
  .getElementById("theme")
  .addEventListener("click", () => wearTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target === find) return;
  event.preventDefault();
  find.focus();
});
show().catch((problem) =>
  main.replaceChildren(el("p", {}, `The contract could not be read: ${problem.message}. Reload to try again.`)),
);
