// Pictures of every main screen, from the stand-in server, into e2e/artifacts: to hold beside the design.
// Run: npm run look. It asserts nothing; the run that does is two-contexts.test.mjs.
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { ARTIFACTS, DESKTOP, launch, PHONE } from "./browser.mjs";

async function start(env) {
  const child = spawn(process.execPath, [fileURLToPath(new URL("fake-server.mjs", import.meta.url))], {
    env: { ...process.env, PARLOUR_FAKE_TOKEN_SECONDS: "600", ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const line of createInterface(child.stdout)) return { child, dev: JSON.parse(line) };
  throw new Error("the stand-in server said nothing");
}

mkdirSync(ARTIFACTS, { recursive: true });
const { child, dev } = await start({});
const empty = await start({ PARLOUR_FAKE_EMPTY: "1" });
const browser = await launch();
const shoot = (page, name) => page.screenshot({ path: `${ARTIFACTS}look-${name}.png` });
const errors = [];
/** The newest socket of each page. */
const lines = new Map();
/** Everybody who was ever present, by id. */
const people = new Map();

async function page(options) {
  const context = await browser.newContext(options);
  const opened = await context.newPage();
  opened.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  opened.on("pageerror", (error) => errors.push(String(error)));
  await opened.routeWebSocket(/\/api\/v1\/ws$/, (socket) => {
    const upstream = socket.connectToServer();
    upstream.onMessage((data) => {
      const { type, who, ok } = JSON.parse(data);
      for (const it of [...(ok?.members ?? []), ...(type === "presence" ? [{ who }] : [])])
        people.set(it.who.id, it.who);
      socket.send(data);
    });
    lines.set(opened, socket);
  });
  return opened;
}

/** What the stand-in server never says: entries are withheld, and the node of these people has fallen silent. */
function strain(opened, kind) {
  const conversation = dev.conversation_id;
  const say = (push) => lines.get(opened).send(JSON.stringify(push));
  say({ type: "paused", conversation });
  for (const who of people.values())
    if (who.kind === kind) say({ type: "presence", conversation, who, state: "unknown" });
}

const relieve = (opened) =>
  lines.get(opened).send(JSON.stringify({ type: "head", conversation: dev.conversation_id, epoch: 1, seq: 1 }));

/** The menu of own words, the field to rewrite them, a tombstone, and what the guest looked at. */
async function wordsThatChange(phone, staff) {
  const own = phone.locator(".said").filter({ hasText: "airport transfer" });
  await own.getByRole("button", { name: /^More for/ }).tap();
  await shoot(phone, "client-menu");
  await own.getByRole("button", { name: "Edit" }).tap();
  await shoot(phone, "client-edit");
  await phone.getByRole("button", { name: "Save" }).tap();
  await staff.getByLabel(/^Reply to/).fill("Sorry, that was for somebody else.");
  await staff.keyboard.press("Enter");
  const wrong = staff.locator(".said").filter({ hasText: "that was for somebody else" });
  await wrong.hover();
  await wrong.getByRole("button", { name: /^More for/ }).click();
  await shoot(staff, "console-menu");
  await wrong.getByRole("button", { name: "Remove" }).click();
  await shoot(staff, "console-remove");
  await wrong.getByRole("button", { name: "Remove" }).click();
  await staff
    .getByText(/^Seen by/)
    .first()
    .click();
  await staff.waitForTimeout(300);
  await shoot(staff, "console-removed");
  await phone.getByText("Message removed").waitFor();
  await shoot(phone, "client-removed");
  await staff
    .getByText(/^Seen by/)
    .first()
    .click();
}

try {
  const phone = await page(PHONE);
  await phone.goto(dev.share_url);
  await phone.getByRole("button", { name: "Enter" }).waitFor();
  await shoot(phone, "client-enter");
  await phone.getByLabel("Your first name").fill("Maria");

  const staff = await page({ ...DESKTOP, colorScheme: "dark" });
  await staff.goto(dev.console_url);
  await staff.getByRole("button", { name: "Sign in" }).waitFor();
  await shoot(staff, "console-login");
  await staff.getByLabel("E-mail").fill(dev.staff[0].email);
  await staff.getByLabel("Password").fill(dev.staff[0].password);
  await staff.getByRole("button", { name: "Sign in" }).click();
  await staff.getByRole("link", { name: /Maria Fernandes/ }).waitFor();
  await shoot(staff, "console-inbox");
  await staff.getByRole("link", { name: /Maria Fernandes/ }).click();
  await staff.getByText("Internal note, staff only", { exact: true }).waitFor();

  await phone.getByRole("button", { name: "Enter" }).tap();
  await phone.getByRole("heading", { name: "Flights to Mauritius" }).waitFor();
  await phone.waitForTimeout(400);
  await shoot(phone, "client");
  await phone.getByRole("radio", { name: /Air Mauritius/ }).check({ force: true });
  await phone.waitForTimeout(300);
  await shoot(phone, "client-selected");
  await phone.getByRole("button", { name: "Confirm Air Mauritius" }).tap();
  await phone.waitForTimeout(400);
  await shoot(phone, "client-confirm");
  await phone.getByRole("button", { name: "Yes, choose this" }).tap();
  await phone.getByText("You chose Air Mauritius").first().waitFor();
  await phone.getByLabel(/Write to/).fill("We took the direct one. Can we add the airport transfer?");
  await phone.waitForTimeout(300);
  await shoot(staff, "console-typing");
  await phone.getByRole("button", { name: "Send" }).tap();
  await phone.waitForTimeout(600);
  await shoot(phone, "client-decided");
  await shoot(staff, "console");
  await wordsThatChange(phone, staff);
  await staff.getByText("Note", { exact: true }).click();
  await staff.getByLabel("Note for colleagues").fill("She asked for the transfer as well.");
  await shoot(staff, "console-note");
  await staff.getByText("Reply", { exact: true }).click();
  await staff.getByRole("button", { name: "Share", exact: true }).click();
  await staff.getByLabel("Label").fill("Tomás’s phone");
  await shoot(staff, "console-share-before");
  await staff.getByRole("button", { name: "Create link" }).click();
  await staff.getByRole("button", { name: "Copy" }).waitFor();
  await staff.waitForTimeout(400);
  await shoot(staff, "console-share");
  await staff.keyboard.press("Escape");
  await staff.getByRole("button", { name: "Light theme" }).click();
  await staff.waitForTimeout(200);
  await shoot(staff, "console-light");
  await staff.setViewportSize({ width: 1100, height: 800 });
  await shoot(staff, "console-1100");
  await staff.setViewportSize({ width: 800, height: 800 });
  await shoot(staff, "console-800");
  await staff.setViewportSize({ width: 390, height: 844 });
  await shoot(staff, "console-390");

  await staff.setViewportSize(DESKTOP.viewport);
  for (const [opened, name, others] of [
    [phone, "client", "staff"],
    [staff, "console", "guest"],
  ]) {
    strain(opened, others);
    await opened.getByText("Waiting for the server", { exact: false }).waitFor();
    await shoot(opened, `${name}-paused`);
  }
  await staff.getByRole("button", { name: "Dark theme" }).click();
  await staff.waitForTimeout(200);
  await shoot(staff, "console-paused-dark");
  for (const opened of [phone, staff]) {
    relieve(opened);
    await opened.getByText("Waiting for the server", { exact: false }).waitFor({ state: "detached" });
  }

  await phone.context().setOffline(true);
  await phone.waitForTimeout(300);
  await phone.getByLabel(/Write to/).fill("Is the lagoon warm enough to swim in March?");
  await phone.getByRole("button", { name: "Send when back online" }).tap();
  await phone.waitForTimeout(300);
  await shoot(phone, "client-offline");
  await phone.context().setOffline(false);
  await phone.waitForTimeout(800);
  await shoot(phone, "client-back");

  const dark = await page({ ...PHONE, colorScheme: "dark" });
  await dark.goto(dev.share_url);
  await dark.getByRole("button", { name: "Enter" }).tap();
  await dark.getByRole("heading", { name: "Flights to Mauritius" }).waitFor();
  await dark.waitForTimeout(400);
  await shoot(dark, "client-dark");

  await staff.setViewportSize(DESKTOP.viewport);
  await staff.getByRole("button", { name: "All links" }).click();
  await staff.getByRole("button", { name: "Revoke Maria’s phone" }).click();
  await phone.getByRole("heading", { name: "This link has ended" }).waitFor();
  await shoot(phone, "client-ended");

  const newcomer = await page(DESKTOP);
  await newcomer.goto(empty.dev.console_url);
  await newcomer.getByLabel("E-mail").fill(empty.dev.staff[0].email);
  await newcomer.getByLabel("Password").fill(empty.dev.staff[0].password);
  await newcomer.getByRole("button", { name: "Sign in" }).click();
  await newcomer.getByRole("heading", { name: "Inbox" }).waitFor();
  await newcomer.waitForTimeout(500);
  await shoot(newcomer, "console-empty");
} finally {
  await browser.close();
  child.kill();
  empty.child.kill();
}
console.log(errors.length === 0 ? "no errors in the browser's console" : errors.join("\n"));
