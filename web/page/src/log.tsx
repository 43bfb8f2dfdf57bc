// The log of the room: days, bubbles (own on the right), cards, decisions, who is writing, and what became of own words.
// It must never move what is being read, and announces nothing itself (guest.ts says every new entry once).
import type { Receipt, Room } from "@parlour/client";
import { useEffect, useRef } from "preact/hooks";
import { useFollow } from "../../common/follow.ts";
import { callName, dayName, time } from "../../common/format.ts";
import { Alert, Check, Checks, Clock, Down } from "../../common/icon.tsx";
import { type Bubble, type Line, newOf, transcript, wordsOnTheirWay } from "../../common/transcript.ts";
import { Said } from "../../common/words.tsx";
import type { Guest } from "./guest.ts";
import { Offer } from "./offer.tsx";
import { S } from "./strings.ts";

interface Props {
  guest: Guest;
  room: Room;
}

export function Log({ guest, room }: Props) {
  guest.tick.value; // follow the room: it changes in place
  const log = useRef<HTMLDivElement>(null);
  const first = room.entries[0]?.seq ?? 0;
  const me = guest.client?.me ?? { kind: "guest" as const, id: "", name: guest.name };
  const follow = useFollow(log, first, room.last, wordsOnTheirWay(room), guest.firstVisit);
  useRead(guest, room, follow.away);
  const lines = transcript(room, {
    me,
    isMine: (author) => author.kind === "guest" && author.id === me.id,
  });
  const writing = room.typing.filter((who) => who.id !== me.id).map((who) => who.name);
  return (
    <main class="reading">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
      <div class="log" ref={log} role="log" aria-live="off" aria-label={S.messages} tabIndex={0}>
        {!room.complete && first > 1 && (
          <button type="button" class="btn plain" onClick={() => void room.loadOlder().catch(() => undefined)}>
            {S.older}
          </button>
        )}
        {room.entries.length === 0 && <p class="day">{room.phase === "live" ? S.empty : S.loading}</p>}
        <ol>
          {lines.map((line) => (
            <li key={line.key} class={line.kind}>
              <LineView line={line} guest={guest} room={room} myId={me.id} />
            </li>
          ))}
        </ol>
        <p class="typing-line" role="status">
          {writing.length > 0 && (
            <>
              <span class="dots" aria-hidden="true">
                <i />
                <i />
                <i />
              </span>
              {S.typing(writing)}
            </>
          )}
        </p>
      </div>
      {follow.away && (
        <button type="button" class="latest" onClick={follow.toLatest}>
          <Down class="sm" />
          {S.latest(newOf(room, follow.missed, me.id))}
        </button>
      )}
    </main>
  );
}

/** Read is what was on a visible page, at the end of the log. */
function useRead(guest: Guest, room: Room, away: boolean): void {
  useEffect(() => {
    const tell = () => {
      if (document.visibilityState === "visible" && !away && room.last > 0) guest.client?.read(room.id, room.last);
    };
    tell();
    document.addEventListener("visibilitychange", tell);
    return () => document.removeEventListener("visibilitychange", tell);
  }, [guest, room, room.last, away]);
}

function LineView({ line, guest, room, myId }: Props & { line: Line; myId: string }) {
  switch (line.kind) {
    case "day":
      return <p class="day">{dayName(line.at, Date.now())}</p>;
    case "group":
      return <Group line={line} guest={guest} room={room} />;
    case "card":
      return <Offer line={line} guest={guest} room={room} myId={myId} />;
    case "selection": {
      const { author, body, at } = line.entry;
      const mine = author.id === myId;
      return (
        <p class="event">
          <Check class="sm" />
          <span>
            {S.chose(mine, author.name, body.labels.join(", "))} · {time(at)}
          </span>
        </p>
      );
    }
    default:
      return null; // notes and link events are the staff's
  }
}

function Group({ line, guest, room }: Props & { line: Extract<Line, { kind: "group" }> }) {
  const { author, mine, bubbles } = line;
  return (
    <div class={mine ? "mine" : author.kind === "service" ? "theirs bot" : "theirs"}>
      {!mine && (
        <p class="who">
          <b>{callName(author)}</b>
          {author.kind === "service" && <span class="auto">{S.automated}</span>}
          <time dateTime={bubbles[0]?.at}>{time(bubbles[0]?.at ?? 0)}</time>
        </p>
      )}
      {mine && <span class="vh">{S.you}</span>}
      {bubbles.map((bubble) => (
        <Said
          key={bubble.key}
          bubble={bubble}
          client={guest.client}
          room={room}
          words={S.words}
          class="b"
          enterSaves={false}
        />
      ))}
      {mine && <Fate bubble={bubbles.at(-1)} guest={guest} room={room} />}
    </div>
  );
}

const readBy = (receipts: readonly Receipt[], seq: number) =>
  receipts.some((it) => it.who.kind === "staff" && it.read >= seq);

/** What became of own words: a glyph and a word, never colour alone. */
function Fate({ bubble, guest, room }: Props & { bubble: Bubble | undefined }) {
  if (!bubble) return null;
  const state = bubble.echo?.state;
  if (state === "failed") {
    return (
      <p class="sent bad">
        <Alert class="sm" />
        {S.notSent}
        <button type="button" onClick={() => guest.client?.retry(room.id, bubble.key)}>
          {S.tryAgain}
        </button>
      </p>
    );
  }
  if (state === "sending") {
    return (
      <p class="sent">
        <Clock class="sm" />
        {guest.line.value === "connected" ? S.sending : S.waiting}
      </p>
    );
  }
  const read = bubble.seq !== undefined && readBy(room.receipts, bubble.seq);
  return (
    <p class="sent">
      {read ? <Checks class="sm" /> : <Check class="sm" />}
      {read ? S.read : S.sent} <time dateTime={bubble.at}>{time(bubble.at)}</time>
    </p>
  );
}
