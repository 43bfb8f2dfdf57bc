// The part of the two-contexts story about words that change and people who look: edit, remove, who else views, what was seen.
// Each function is one scene; two-contexts.test.mjs opens the pages, keeps their order and asserts on the wire.
import assert from "node:assert/strict";

const log = (page) => page.getByRole("log", { name: "Messages" });

/** The bubble that says this, with its menu. */
const bubble = (page, words) => log(page).locator(".said").filter({ hasText: words });

export async function openMenu(page, words) {
  const said = bubble(page, words);
  await said.hover();
  await said.getByRole("button", { name: /^More for/ }).click();
  return said;
}

async function remove(page, words) {
  const said = await openMenu(page, words);
  await said.getByRole("button", { name: "Remove" }).click();
  await said.getByText("It goes for everybody, for good.").waitFor();
  await said.getByRole("button", { name: "Remove" }).click();
  await bubble(page, words).waitFor({ state: "detached" });
}

export async function guestEditsOwnWords({ phone, staff, accessible, shoot }) {
  await phone.getByRole("textbox", { name: /^Write to/ }).fill("We land at nien.");
  await phone.getByRole("button", { name: "Send" }).tap();
  await log(staff).getByText("We land at nien.").waitFor();
  await bubble(phone, "We land at nien.").dispatchEvent("contextmenu"); // what a long press is to a page
  await bubble(phone, "We land at nien.").getByRole("button", { name: "Remove" }).waitFor();
  await phone.keyboard.press("Escape");
  const said = await openMenu(phone, "We land at nien.");
  const more = await said.getByRole("button", { name: /^More for/ }).boundingBox();
  assert.ok(more.width >= 44 && more.height >= 44, "a finger can press it");
  await accessible(phone, "the menu of own words");
  await shoot(phone, "11-menu");
  await said.getByRole("button", { name: "Edit" }).click();
  const field = phone.getByRole("textbox", { name: "Edit message" });
  await field.fill("We land at nine.");
  await accessible(phone, "the field to edit");
  await shoot(phone, "12-edit");
  await phone.getByRole("button", { name: "Save" }).click();
  for (const page of [phone, staff]) {
    await bubble(page, "We land at nine.").getByText("edited", { exact: true }).waitFor();
    assert.equal(await bubble(page, "nien").count(), 0);
  }
  assert.equal(await bubble(staff, "We land at nine.").getByRole("button", { name: "Edit" }).count(), 0);
}

export async function staffRemoveWords({ phone, staff, accessible, shoot }) {
  const note = "She said the budget is secret.";
  await staff.getByText("Note", { exact: true }).click();
  await staff.getByRole("textbox", { name: "Note for colleagues" }).fill(note);
  await staff.keyboard.press("Enter");
  await log(staff).getByText(note).waitFor();
  await staff.getByText("Reply", { exact: true }).click();
  const reply = staff.getByRole("textbox", { name: /^Reply to/ });
  const wrong = "Meant for somebody else entirely.";
  await reply.fill(wrong);
  await reply.press("Enter");
  await log(phone).getByText(wrong).waitFor();
  await (await openMenu(staff, wrong)).getByRole("button", { name: "Remove" }).click();
  await accessible(staff, "the menu of words");
  await shoot(staff, "13-menu");
  await staff.keyboard.press("Escape");
  await remove(staff, wrong);
  await remove(staff, note);
  await log(staff).getByText("Note removed").waitFor();
  for (const page of [staff, phone]) {
    await log(page).getByText(wrong).waitFor({ state: "detached" });
    await log(page).getByText("Message removed").last().waitFor();
  }
  await accessible(staff, "a tombstone");
  await shoot(staff, "14-removed");
  return { note, wrong };
}

/** After a load there is no way left to the words: neither on the page nor on its wire. */
export async function removedWordsAreNowhere({ page, heard, words }) {
  const before = heard.length;
  await page.reload();
  await log(page).getByText("Message removed").last().waitFor();
  const html = await page.content();
  const wire = JSON.stringify(heard.slice(before));
  for (const gone of words) {
    assert.ok(!html.includes(gone), `the page still says: ${gone}`);
    assert.ok(!wire.includes(gone), `the wire still says: ${gone}`);
  }
}

export async function managersRemoveWordsOfGuests({ phone, staff }) {
  await phone.getByRole("textbox", { name: /^Write to/ }).fill("My card number is 4111 1111.");
  await phone.getByRole("button", { name: "Send" }).tap();
  await log(staff).getByText("4111").waitFor();
  const said = await openMenu(staff, "4111");
  assert.equal(await said.getByRole("button", { name: "Edit" }).count(), 0, "nobody edits another's words");
  await staff.keyboard.press("Escape");
  await remove(staff, "4111");
  await bubble(phone, "4111").waitFor({ state: "detached" });
}

export async function theCardWasSeen({ staff, shoot }) {
  const looked = staff.getByText(/^Seen by Inès · \d+ (s|min)/).first();
  await looked.waitFor();
  await looked.click();
  await shoot(staff, "15-seen");
  await looked.click();
}

export async function colleaguesSeeEachOther({ staff, second, signIn, shoot }) {
  const head = staff.getByRole("main").locator("header");
  await signIn(second, 1);
  await head.getByText(/is viewing$/).waitFor();
  await second
    .getByRole("main")
    .locator("header")
    .getByText(/is viewing$/)
    .waitFor();
  await second.getByRole("textbox", { name: /^Reply to/ }).pressSequentially("I can take ");
  await head.getByText(/is replying$/).waitFor();
  await shoot(staff, "16-replying");
  await second.getByRole("link", { name: /^Inbox/ }).click();
  await second.getByRole("heading", { name: "Choose a conversation" }).waitFor();
  await head.getByText(/is viewing$/).waitFor({ state: "detached" });
}
