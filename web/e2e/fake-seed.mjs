// The story the stand-in server opens with: the one of the design pictures. Words only; nothing here may be needed by a test.
import { randomUUID } from "node:crypto";

export const FLIGHTS = {
  kind: "choice",
  title: "Flights to Mauritius",
  subtitle: "Fri 12 March, return Mon 22 March · 2 travellers",
  note: "Prices in EUR for 2 travellers, taxes included. Held until Fri 20 November, 18:00 in Mauritius.",
  options: [
    option(
      "af",
      "Air France",
      "AF 470, direct",
      146200,
      "731.00 each",
      ["18:55", "09:25", "11 h 30"],
      ["23 kg bag and cabin bag each", "Return AF 473, Mon 22 Mar, 22:35", "Refundable for EUR 150.00"],
    ),
    option(
      "mk",
      "Air Mauritius",
      "MK 015, direct",
      128400,
      "642.00 each",
      ["16:40", "07:05", "11 h 25"],
      ["23 kg bag and cabin bag each", "Return MK 014, Mon 22 Mar, 22:20", "Changes for EUR 90.00 each"],
    ),
    option(
      "ek",
      "Emirates",
      "EK 074, EK 703 via Dubai",
      111800,
      "559.00 each",
      ["21:55", "16:40", "15 h 45"],
      ["30 kg bag and cabin bag each", "Return EK 702, EK 073, Mon 22 Mar", "No changes, no refund"],
    ),
  ],
};

function option(id, label, description, amount, price_note, [departs, arrives, duration], facts) {
  const route = { departs, from: "Paris, CET", arrives, to: "Mauritius, MUT", duration, day_offset: 1 };
  return { id, label, description, price: { amount, currency: "EUR" }, price_note, route, facts };
}

export function seed(rooms, empty) {
  const person = (name, email) => {
    const staff = { kind: "staff", id: randomUUID(), name, email };
    rooms.staff.push(staff);
    return staff;
  };
  const amira = person("Amira Joomun", "amira@lagon-savane.example");
  const kevin = person("Kevin Li", "kevin.li@lagon-savane.example");
  const now = Date.now();
  const others = [
    ["Henrik Bergström", "quoted", "Can the Amboseli nights be swapped for Tsavo?", 5],
    ["Claire Thibault · Atelier Voyages", "qualified", "Six rooms now, not five. New quote today?", 42],
    ["Ruth Okafor", "booked", "Vouchers are in the card above.", 76],
    ["Youssef Al-Amin", "lead", "Is the family villa free over Eid?", 190],
    ["Sophie & Mark Wilkes", "booked", "The balance is due on 12 December.", 290],
    ["Jean-Paul Rivière", "completed", "Merci pour tout, on revient l’an prochain.", 1600],
    ["Lindiwe Nkosi", "lost", "We went with a cruise this time. Thank you.", 1900],
  ];
  for (const [title, stage, text, minutes] of empty ? [] : others) {
    const at = now - minutes * 60_000;
    const conversation = rooms.create(title, stage, at);
    const ours = ["Ruth Okafor", "Sophie & Mark Wilkes"].includes(title);
    rooms.write(
      conversation,
      ours ? amira : { kind: "guest", id: randomUUID(), name: title },
      "message",
      { text },
      randomUUID(),
      at,
    );
    if (minutes > 200) conversation.reads.set(amira.id, { actor: amira, received: 1, read: 1 });
  }
  if (empty) return { conversation: { id: "" }, secret: "" };
  const conversation = rooms.create("Maria Fernandes", "quoted");
  const share = rooms.share(
    conversation,
    amira,
    { label: "Maria’s phone", seats: 3, permissions: ["view", "respond", "select_options"] },
    now - 7 * 3_600_000,
  );
  const maria = { kind: "guest", id: randomUUID(), name: "Maria" };
  let at = now - 25 * 60_000;
  const say = (author, kind, text) => {
    at += 90_000;
    rooms.write(conversation, author, kind, { text }, randomUUID(), at);
  };
  say(maria, "message", "Good morning Amira! We would rather land before noon, please.");
  say(maria, "message", "And is a 23 kg bag included for both of us?");
  say(amira, "message", "It is, on both direct flights. I am adding the three best fares now.");
  say(rooms.service, "message", "Air Mauritius holds its price until Friday 20 November, 18:00 MUT.");
  at += 90_000;
  rooms.card(conversation, amira, FLIGHTS, randomUUID(), at);
  say(kevin, "note", "@Amira two seats held on allotment MK-2231. Margin is 9 %: no further discount.");
  return { conversation, secret: share.secret };
}
