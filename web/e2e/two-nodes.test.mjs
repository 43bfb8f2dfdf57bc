// Two nodes, one conversation: staff on the first, a guest on the second, and everything between them crosses from node to node.
// It drives only what a person can see, and makes sure that each browser talked to its own node alone. The server is found as in
// two-contexts.test.mjs, started with --nodes 2.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdirSync } from "node:fs";
import { after, before, test } from "node:test";
import { ARTIFACTS, DESKTOP, launch, PHONE } from "./browser.mjs";
import { findServer } from "./server.mjs";
import { watch } from "./watch.mjs";

const CARD = {
  kind: "choice",
  title: "Boat to Île aux Cerfs",
  options: [
    { id: "morning", label: "Morning", price: { amount: 4200, currency: "EUR" } },
    { id: "sunset", label: "Sunset", price: { amount: 5600, currency: "EUR" } },
  ],
};

let server;
let browser;
let staff;
let phone;
let first;
let second;
const watches = {};

before(async () => {
  mkdirSync(ARTIFACTS, { recursive: true });
  server = await findServer();
  [first, second] = server.dev.nodes.map((it) => it.http_url);
  assert.ok(second, "this story needs a server with two nodes: parlour dev --nodes 2");
  browser = await launch();
});

after(async () => {
  await browser?.close();
  server?.stop();
});

async function open(name, options, node) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(10_000);
  const page = await context.newPage();
  watches[name] = watch(page, [node]);
  return page;
}

const log = (page) => page.getByRole("log", { name: "Messages" });
const reply = () => staff.getByRole("textbox", { name: /^Reply to/ });

async function staffSay(words) {
  await reply().fill(words);
  await reply().press("Enter");
}

async function phoneSay(words) {
  await phone.getByRole("textbox").fill(words);
  await phone.getByRole("button", { name: "Send" }).tap();
}

test("staff come in on the first node, the phone on the second, and each sees the other", async () => {
  staff = await open("staff", DESKTOP, first);
  await staff.goto(`${first}/console/c/${server.dev.conversation_id}`);
  await staff.getByLabel("E-mail").fill(server.dev.staff[0].email);
  await staff.getByLabel("Password").fill(server.dev.staff[0].password);
  await staff.getByRole("button", { name: "Sign in" }).click();
  await log(staff).waitFor();
  phone = await open("phone", PHONE, second);
  await phone.goto(`${second}${new URL(server.dev.share_url).pathname}`);
  await phone.getByLabel("Your first name").fill("Inès");
  await phone.getByRole("button", { name: "Enter" }).tap();
  await log(phone).waitFor();
  await staff
    .getByRole("main")
    .getByText(/^Online · .*Inès/)
    .waitFor();
  await phone.getByText(/ is here$/).waitFor();
});

test("typing is seen across, and words arrive in one order on both", async () => {
  await phone.getByRole("textbox").pressSequentially("Bonjour");
  await log(staff).getByText("Inès is typing").waitFor();
  await reply().pressSequentially("Hello");
  await log(phone)
    .getByText(/ is writing$/)
    .waitFor();
  const said = ["Crossing one.", "Crossing two.", "Crossing three.", "Crossing four."];
  for (const [index, words] of said.entries()) {
    await (index % 2 === 0 ? phoneSay(words) : staffSay(words));
    for (const page of [staff, phone]) await log(page).getByText(words, { exact: true }).waitFor();
  }
  // Both at once: whatever the order is, it is the same for both.
  const together = ["Crossing at once, the phone.", "Crossing at once, staff."];
  await Promise.all([phoneSay(together[0]), staffSay(together[1])]);
  const orders = [];
  for (const page of [staff, phone]) {
    for (const words of together) await log(page).getByText(words, { exact: true }).waitFor();
    orders.push(
      await log(page)
        .getByText(/^Crossing /)
        .allTextContents(),
    );
  }
  assert.deepEqual(orders[0].slice(0, 4), said);
  assert.deepEqual(orders[0], orders[1]);
  await log(phone).getByText("Read", { exact: false }).last().waitFor();
});

test("an offer made on the first node is chosen on the second", async () => {
  const made = await fetch(`${first}/api/v1/conversations/${server.dev.conversation_id}/cards`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${server.dev.api_key}`,
      "content-type": "application/json",
      "idempotency-key": randomUUID(),
    },
    body: JSON.stringify(CARD),
  });
  assert.equal(made.status, 201, await made.text());
  const offer = phone.getByRole("article", { name: CARD.title });
  await offer.getByText("Sunset").tap();
  await offer.getByRole("button", { name: "Confirm Sunset" }).tap();
  await phone.getByRole("button", { name: "Yes, choose this" }).tap();
  await offer.getByText("You chose Sunset").waitFor();
  await staff
    .getByRole("article", { name: new RegExp(CARD.title) })
    .getByText(/Chosen by Inès/)
    .waitFor();
  await staff.screenshot({ path: `${ARTIFACTS}nodes-staff.png` });
  await phone.screenshot({ path: `${ARTIFACTS}nodes-phone.png` });
});

test("a link revoked on the first node ends on the second", async (t) => {
  await staff.getByRole("button", { name: "All links" }).click();
  const revoked = Date.now();
  await staff.getByRole("button", { name: "Revoke The printed link" }).click();
  await phone.getByRole("heading", { name: "This link has ended" }).waitFor();
  t.diagnostic(`the phone's page closed after ${Date.now() - revoked} ms`);
  await staff.getByRole("dialog").getByRole("button", { name: "Close" }).click();
  // Whoever left still counts as present for a while.
  await staff.getByRole("main").getByText("Not online").waitFor({ timeout: 20_000 });
});

test("each browser spoke to its own node alone, once, and complained of nothing", () => {
  for (const [name, seen] of Object.entries(watches)) {
    assert.deepEqual(seen.foreign, [], `${name}: foreign requests`);
    assert.deepEqual(seen.complaints, [], `${name}: complaints`);
    assert.equal(seen.sockets, 1, `${name}: sockets`);
  }
});
