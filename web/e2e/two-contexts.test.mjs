// The story of the product in two browsers: staff on a desktop, a guest on a phone, a service over HTTP, and a link that ends.
// It drives only what a person can see (roles and names) and watches the wire for what a person cannot: reconnects, foreign hosts, refusals
// by the policy. The server is the one PARLOUR_DEV_JSON names, or the one PARLOUR_DEV_COMMAND starts; its tokens should live 20 s.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { ARTIFACTS, DESKTOP, launch, PHONE } from "./browser.mjs";
import {
  colleaguesSeeEachOther,
  guestEditsOwnWords,
  managersRemoveWordsOfGuests,
  removedWordsAreNowhere,
  staffRemoveWords,
  theCardWasSeen,
} from "./changes.mjs";
import { findServer } from "./server.mjs";
import { watch } from "./watch.mjs";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
const CARD = {
  kind: "choice",
  title: "Airport transfer",
  subtitle: "Plaisance to Grand Baie · 2 travellers",
  note: "Prices for the car, not per person.",
  options: [
    {
      id: "shared",
      label: "Shared shuttle",
      description: "Leaves within 45 min",
      price: { amount: 3600, currency: "EUR" },
      facts: ["One suitcase each"],
    },
    {
      id: "private",
      label: "Private car",
      description: "Waits with your name",
      price: { amount: 7450, currency: "EUR" },
      facts: ["Child seat on request", "Water on board"],
    },
  ],
};

let server;
let browser;
let staff;
let phone;
let title;
const watches = {};
/** Entry pushes kept from the third phone while `holding`. */
const held = [];
let holding = false;

before(async () => {
  mkdirSync(ARTIFACTS, { recursive: true });
  server = await findServer();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  server?.stop();
});

async function open(name, options) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(10_000);
  const page = await context.newPage();
  watches[name] = watch(page, [server.dev.http_url, server.dev.console_url, server.dev.share_url]);
  return page;
}

const shoot = (page, name) => page.screenshot({ path: `${ARTIFACTS}${name}.png` });

async function accessible(page, where) {
  await page.evaluate(() =>
    Promise.all(
      document.getAnimations().map((it) => (it.effect?.getTiming().iterations === Infinity ? null : it.finished)),
    ),
  );
  // Evaluated through the debugger, the checker is no script of the page, and the page's policy stays as it is.
  const { readFileSync } = await import("node:fs");
  await page.evaluate(readFileSync(AXE, "utf8"));
  const { violations } = await page.evaluate(
    (tags) => globalThis.axe.run(document, { runOnly: { type: "tag", values: tags } }),
    TAGS,
  );
  const found = violations.map(
    (it) => `${it.id}: ${it.nodes.map((node) => `${node.target} ${node.failureSummary}`).join(" | ")}`,
  );
  assert.deepEqual(found, [], `${where} has barriers`);
}

async function post(path, body) {
  const response = await fetch(`${server.dev.http_url}/api/v1${path}`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${server.dev.api_key}`,
      "content-type": "application/json",
      "idempotency-key": randomUUID(),
    },
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  assert.equal(response.status, 201, JSON.stringify(answer));
  return answer.data;
}

const refreshes = (name) => watches[name].sent.filter((it) => it.type === "refresh").length;
const row = () => staff.getByRole("region", { name: "Conversations" }).getByRole("link", { name: title });
const log = (page) => page.getByRole("log", { name: "Messages" });

/** Signs in as one of the staff and opens the conversation. */
async function signIn(page, index) {
  const { email, password } = server.dev.staff[index];
  await page.goto(server.dev.console_url);
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  if (index === 0) {
    await accessible(page, "sign-in");
    await shoot(page, "1-sign-in");
  }
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Inbox" }).waitFor();
  await page.goto(`${server.dev.http_url}/console/c/${server.dev.conversation_id}`);
  await page.getByRole("button", { name: "Share", exact: true }).waitFor();
}

test("staff sign in and open the conversation", async () => {
  staff = await open("staff", { ...DESKTOP, colorScheme: "dark", permissions: ["clipboard-read", "clipboard-write"] });
  await signIn(staff, 0);
  const thread = staff.getByRole("main");
  await thread.getByRole("heading", { level: 2 }).waitFor();
  title = await thread.getByRole("heading", { level: 2 }).textContent();
  await log(staff).waitFor();
});

test("the phone enters by the link, and staff see it online", async () => {
  phone = await open("phone", PHONE);
  await phone.goto(server.dev.share_url);
  await phone.getByRole("button", { name: "Enter" }).waitFor();
  await accessible(phone, "the door");
  await shoot(phone, "2-door");
  await phone.getByLabel("Your first name").fill("Inès");
  await phone.getByRole("button", { name: "Enter" }).tap();
  await log(phone).waitFor();
  await staff
    .getByRole("main")
    .getByText(/^Online · .*Inès/)
    .waitFor();
});

test("words go both ways, with typing and receipts", async () => {
  const reply = staff.getByRole("textbox", { name: /^Reply to/ });
  await phone.getByRole("textbox").pressSequentially("Bonjour, is the transfer ");
  await log(staff).getByText("Inès is typing").waitFor();
  await phone.getByRole("textbox").fill("Bonjour, is the transfer included?");
  await phone.getByRole("button", { name: "Send" }).tap();
  await log(staff).getByText("Bonjour, is the transfer included?").waitFor();
  await log(phone).getByText("Read", { exact: false }).last().waitFor();
  await reply.pressSequentially("It is not, ");
  await log(phone)
    .getByText(/is writing/)
    .waitFor();
  await reply.fill("It is not, but I can add it.");
  await reply.press("Enter");
  await log(phone).getByText("It is not, but I can add it.").waitFor();
  await log(staff).getByText("Read", { exact: true }).last().waitFor();
});

test("a note stays with staff", async () => {
  await staff.getByText("Note", { exact: true }).click();
  await staff.getByRole("textbox", { name: "Note for colleagues" }).fill("Margin is nine percent.");
  await accessible(staff, "the note composer");
  await staff.keyboard.press("Enter");
  await log(staff).getByText("Margin is nine percent.").waitFor();
  await staff.getByText("Reply", { exact: true }).click();
  assert.equal(await phone.getByText("Margin is nine percent.").count(), 0);
  assert.ok(
    !watches.phone.heard.some((it) => JSON.stringify(it).includes("Margin is nine percent")),
    "no note on the phone's wire",
  );
});

test("unread words are counted in the title of the console", async () => {
  await staff.getByRole("link", { name: /^Inbox/ }).click();
  await staff.getByRole("heading", { name: "Choose a conversation" }).waitFor();
  const unreadBefore = Number(/\d+/.exec(await staff.title())?.[0] ?? 0);
  await phone.getByRole("textbox").fill("Please do.");
  await phone.getByRole("button", { name: "Send" }).tap();
  await staff.waitForFunction((count) => document.title === `(${count}) Parlour`, unreadBefore + 1);
  await row().getByText("1 unread", { exact: true }).waitFor();
  await row().click();
  await log(staff).getByText("Please do.").waitFor();
  await staff.waitForFunction(
    (count) => document.title === (count === 0 ? "Parlour" : `(${count}) Parlour`),
    unreadBefore,
  );
});

test("a service speaks and offers; the phone chooses and confirms; staff see who chose", async () => {
  await post(`/conversations/${server.dev.conversation_id}/entries`, {
    kind: "message",
    text: "Two transfers are free at that hour.",
  });
  for (const page of [staff, phone]) {
    await log(page).getByText("Two transfers are free at that hour.").waitFor();
    await log(page).getByText("Automated").last().waitFor();
  }
  await post(`/conversations/${server.dev.conversation_id}/cards`, CARD);
  const offer = phone.getByRole("article", { name: "Airport transfer" });
  await offer.waitFor();
  const card = staff.getByRole("article", { name: /Airport transfer/ });
  await card.getByText("nobody chose yet").waitFor();
  await shoot(phone, "3-card");
  await accessible(phone, "the room with a card");
  assert.ok(await offer.getByRole("button", { name: "Choose an option to continue" }).isDisabled());
  await offer.getByText("Private car").tap();
  await offer.getByRole("button", { name: "Confirm Private car" }).tap();
  const sheet = phone.getByRole("dialog", { name: "Choose this option?" });
  await sheet.getByText("EUR 74.50").first().waitFor();
  await accessible(phone, "the confirm sheet");
  await shoot(phone, "4-confirm");
  await sheet.getByRole("button", { name: "Yes, choose this" }).tap();
  await offer.getByText("You chose Private car").waitFor();
  await card.getByText(/Chosen by Inès/).waitFor();
  await shoot(phone, "5-decided");
  await shoot(staff, "6-chosen");
  await accessible(phone, "the decided card");
  await accessible(staff, "the conversation, dark");
});

test("staff share a new link, a third person enters by it, and a revoke ends it at once", async () => {
  await staff.getByRole("button", { name: "Share", exact: true }).click();
  const dialog = staff.getByRole("dialog", { name: `Share with ${title}` });
  await dialog.getByLabel("Label").fill("Third phone");
  await dialog.getByText("24 hours").click();
  await dialog.getByRole("checkbox", { name: /Choose options/ }).check();
  await dialog.getByRole("button", { name: "Create link" }).click();
  await dialog.getByRole("button", { name: "Copy" }).click();
  await dialog.getByRole("button", { name: "Copied" }).waitFor();
  await dialog.getByRole("img", { name: "QR code for this link" }).waitFor();
  await accessible(staff, "the share dialog");
  await shoot(staff, "7-share");
  const url = await staff.evaluate(() => navigator.clipboard.readText());
  assert.match(url, /\/s\/parlour_sh_/);
  const third = await open("third", { ...PHONE, colorScheme: "dark" });
  let line;
  await third.routeWebSocket(/\/api\/v1\/ws$/, (socket) => {
    line = socket;
    const upstream = socket.connectToServer();
    upstream.onMessage((data) => {
      if (holding && JSON.parse(data).type === "entry") held.push(() => socket.send(data));
      else socket.send(data);
    });
  });
  await third.goto(url);
  await third.getByRole("button", { name: "Enter" }).tap();
  await log(third).getByText("Please do.").waitFor();
  await accessible(third, "the room, dark");
  await shoot(third, "8-third");
  await dialog.getByText("Write messages").click();
  await third.getByText("Writing is switched off for this link.", { exact: false }).waitFor();
  await dialog.getByText("Write messages").click();
  await third.getByRole("textbox").waitFor();
  await aPauseIsSaidAndEnds(third, (push) => line.send(JSON.stringify(push)));
  await theSlowerOneIsTold(third);
  await dialog.getByRole("button", { name: "Revoke Third phone" }).click();
  await third.getByRole("heading", { name: "This link has ended" }).waitFor();
  await accessible(third, "the end of a link");
  await shoot(third, "9-ended");
  await dialog.getByRole("button", { name: "Close" }).click();
});

/** The pushes are played, the attach that ends the pause is real: what comes afterwards is heard. */
async function aPauseIsSaidAndEnds(third, hear) {
  const conversation = server.dev.conversation_id;
  hear({ type: "paused", conversation });
  const said = third.getByRole("status").getByText("Waiting for the server.");
  await said.waitFor();
  await accessible(third, "the room, waiting");
  hear({ type: "head", conversation, epoch: 1, seq: 1 });
  await said.waitFor({ state: "detached" });
}

/** Two choose at one moment: what the third phone hears is held back until its own choice was refused. */
async function theSlowerOneIsTold(third) {
  await post(`/conversations/${server.dev.conversation_id}/cards`, { ...CARD, title: "Last evening" });
  const [fast, slow] = [phone, third].map((page) => page.getByRole("article", { name: "Last evening" }));
  await slow.getByText("Shared shuttle").tap();
  await slow.getByRole("button", { name: "Confirm Shared shuttle" }).tap();
  holding = true;
  await fast.getByText("Private car").tap();
  await fast.getByRole("button", { name: "Confirm Private car" }).tap();
  await phone.getByRole("button", { name: "Yes, choose this" }).tap();
  await fast.getByText("You chose Private car").waitFor();
  await third.getByRole("button", { name: "Yes, choose this" }).tap();
  await slow.getByText("Inès was a moment faster: Private car is chosen.", { exact: false }).waitFor();
  for (const release of held.splice(0)) release();
  holding = false;
  await slow.getByText("Inès chose Private car").waitFor();
  await shoot(third, "8-slower");
}

test("both stay connected over two token refreshes", { timeout: 120_000 }, async () => {
  const deadline = Date.now() + 100_000;
  while (refreshes("phone") < 2 || refreshes("staff") < 2) {
    assert.ok(
      Date.now() < deadline,
      `refreshes: phone ${refreshes("phone")}, staff ${refreshes("staff")}. Do tokens live 20 s here?`,
    );
    await phone.waitForEvent("websocket", { timeout: 1000 }).then(
      () => assert.fail("the phone reconnected"),
      () => undefined,
    );
  }
  await phone.getByRole("textbox").fill("Still here.");
  await phone.getByRole("button", { name: "Send" }).tap();
  await log(staff).getByText("Still here.").waitFor();
  assert.equal(watches.phone.sockets, 1, "the phone opened one socket");
  assert.equal(watches.staff.sockets, 2, "the console opened one socket for each of its two loads");
});

test("words written offline go out in order, once each, when the line is back", async () => {
  await phone.context().setOffline(true);
  await phone.getByText("You are offline").waitFor();
  for (const words of ["First without a line.", "Second without a line."]) {
    await phone.getByRole("textbox").fill(words);
    await phone.getByRole("button", { name: "Send when back online" }).tap();
  }
  await log(phone).getByText("Waiting to be sent").waitFor();
  await shoot(phone, "9-offline");
  await accessible(phone, "the room, offline");
  await phone.context().setOffline(false);
  await log(staff).getByText("Second without a line.").waitFor();
  const heard = (
    await log(staff)
      .getByText(/without a line\.$/)
      .allTextContents()
  ).join(" ");
  assert.equal(heard, "First without a line. Second without a line.");
  await phone.getByText("You are offline").waitFor({ state: "detached" });
  // The browser itself writes down every attempt to connect without a network.
  watches.phone.complaints = watches.phone.complaints.filter((it) => !it.includes("ERR_INTERNET_DISCONNECTED"));
});

test("a guest edits own words, and staff see them as edited", () =>
  guestEditsOwnWords({ phone, staff, accessible, shoot }));

test("staff remove words, and then they are nowhere", async () => {
  const { note, wrong } = await staffRemoveWords({ phone, staff, accessible, shoot });
  await removedWordsAreNowhere({ page: phone, heard: watches.phone.heard, words: [wrong, note] });
  await shoot(phone, "14-removed-phone");
  await accessible(phone, "a tombstone on the phone");
  await removedWordsAreNowhere({ page: staff, heard: watches.staff.heard, words: [wrong, note] });
  await managersRemoveWordsOfGuests({ phone, staff });
});

test("staff see what the guest looked at", () => theCardWasSeen({ staff, shoot }));

test("two of the staff see each other viewing and replying", async () => {
  const second = await open("second", { ...DESKTOP, colorScheme: "dark" });
  await colleaguesSeeEachOther({ staff, second, signIn, shoot });
  await second.context().close();
});

test("the light console has no barriers either", async () => {
  await staff.getByRole("button", { name: "Light theme" }).click();
  await accessible(staff, "the conversation, light");
  await shoot(staff, "10-light");
});

test("nothing went to a foreign host, and no browser complained", () => {
  for (const [name, seen] of Object.entries(watches)) {
    assert.deepEqual(seen.foreign, [], `${name}: foreign requests`);
    assert.deepEqual(seen.complaints, [], `${name}: complaints`);
  }
});
