// The lines of a thread: days, grouped bubbles, internal notes, events, cards.
// A note is no bubble and must never look like one; an automated message is outlined and says so; an event is one quiet line.
import type { Receipt, Room } from "@parlour/client";
import type { ComponentChildren } from "preact";
import { callName, dayName, time } from "../../common/format.ts";
import { Alert, Check, Checks, Clock, Eye, Links, Lock, Stop } from "../../common/icon.tsx";
import type { Bubble, Line } from "../../common/transcript.ts";
import { Said } from "../../common/words.tsx";
import { Avatar } from "./bits.tsx";
import type { Desk } from "./desk.ts";
import { Offer } from "./offer.tsx";
import { S } from "./strings.ts";

interface Props {
  desk: Desk;
  room: Room;
}

type LineOf<K extends Line["kind"]> = Extract<Line, { kind: K }>;

export function LineView({ line, desk, room }: Props & { line: Line }) {
  switch (line.kind) {
    case "day":
      return <li class="day">{dayName(line.at, Date.now())}</li>;
    case "group":
      return <Group line={line} desk={desk} room={room} />;
    case "note":
      return <Note line={line} desk={desk} room={room} />;
    case "card":
      return <Offer line={line} room={room} />;
    case "selection": {
      const { author, body, at } = line.entry;
      return (
        <Event icon={<Check class="sm" />} who={author.name} at={at}>
          {S.chose(body.labels.join(", "))}
        </Event>
      );
    }
    case "share":
      return <ShareEvent line={line} />;
    case "came":
      return (
        <Event icon={<Eye class="sm" />} who={line.who.name} at={line.at}>
          {S.came}
        </Event>
      );
  }
}

interface EventProps {
  icon: ComponentChildren;
  who: string;
  at: string;
  children: ComponentChildren;
}

function Event({ icon, who, at, children }: EventProps) {
  return (
    <li class="event">
      {icon}
      <span>
        <b>{who}</b> {children} · <time dateTime={at}>{time(at)}</time>
      </span>
    </li>
  );
}

function ShareEvent({ line }: { line: LineOf<"share"> }) {
  const { author, at, body } = line.entry;
  const icon =
    body.action === "revoked" ? (
      <Stop class="sm" />
    ) : body.action === "claimed" ? (
      <Eye class="sm" />
    ) : (
      <Links class="sm" />
    );
  const who = body.action === "claimed" ? (body.name ?? author.name) : author.name;
  return (
    <Event icon={icon} who={who} at={at}>
      {S.shared[body.action]}
      {body.label ? ` “${body.label}”` : ""}
    </Event>
  );
}

function Group({ line, desk, room }: Props & { line: LineOf<"group"> }) {
  const { author, mine, bubbles } = line;
  const system = author.kind === "service";
  const first = bubbles[0];
  const last = bubbles.at(-1);
  return (
    <li class={`group ${mine ? "ours" : ""} ${system ? "bot" : ""}`}>
      <div class="who">
        {mine && !system && last && <Fate bubble={last} desk={desk} room={room} />}
        {system && <span class="auto">{S.automated}</span>}
        {mine && <time dateTime={first?.at}>{time(first?.at ?? 0)}</time>}
        <b>{callName(author)}</b>
        {!mine && <time dateTime={first?.at}>{time(first?.at ?? 0)}</time>}
      </div>
      <Avatar name={author.name} kind={author.kind} size="sm" />
      <div class="bubbles">
        {bubbles.map((bubble) => (
          <Said
            key={bubble.key}
            bubble={bubble}
            client={desk.client}
            room={room}
            words={S.words}
            class="b"
            enterSaves={true}
          />
        ))}
      </div>
      {last?.echo?.state === "failed" && <Failed bubble={last} desk={desk} room={room} />}
    </li>
  );
}

const reached = (receipts: readonly Receipt[], seq: number, mark: "received" | "read") =>
  receipts.some((it) => it.who.kind === "guest" && it[mark] >= seq);

/** What became of the words: a glyph and a word. */
function Fate({ bubble, desk, room }: Props & { bubble: Bubble }) {
  const state = bubble.echo?.state;
  if (state === "failed") return null;
  if (state === "sending") {
    return (
      <span class="fate">
        <Clock class="sm" />
        {desk.line.value === "connected" ? S.sending : S.waiting}
      </span>
    );
  }
  if (bubble.seq !== undefined && reached(room.receipts, bubble.seq, "read")) {
    return (
      <span class="fate read">
        <Checks class="sm" />
        {S.read}
      </span>
    );
  }
  const delivered = bubble.seq !== undefined && reached(room.receipts, bubble.seq, "received");
  return (
    <span class="fate">
      {delivered ? <Checks class="sm" /> : <Check class="sm" />}
      {delivered ? S.delivered : S.sent}
    </span>
  );
}

function Failed({ bubble, desk, room }: Props & { bubble: Bubble }) {
  return (
    <p class="failed">
      <Alert class="sm" />
      {S.notSent} {bubble.echo?.error?.message}
      <button type="button" onClick={() => desk.client.retry(room.id, bubble.key)}>
        {S.tryAgain}
      </button>
    </p>
  );
}

function Note({ line, desk, room }: Props & { line: LineOf<"note"> }) {
  const { author, bubble } = line;
  return (
    <li class="note">
      <Lock />
      <div>
        <header>
          <b>{S.note}</b>
          <span>
            {callName(author)} · <time dateTime={bubble.at}>{time(bubble.at)}</time>
          </span>
        </header>
        <Said bubble={bubble} client={desk.client} room={room} words={S.words} class="" enterSaves={true} />
        {bubble.echo?.state === "failed" && <Failed bubble={bubble} desk={desk} room={room} />}
      </div>
    </li>
  );
}
