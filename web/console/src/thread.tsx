// One conversation: whose it is and who is here, its lines, and where to write. Older lines are read on the way up.
// It must never move what is being read, and marks as read only what is on a visible, focused page. Lines are drawn in lines.tsx.
import type { ActorKind, PresenceState, Room } from "@parlour/client";
import { useEffect, useRef } from "preact/hooks";
import { useFollow } from "../../common/follow.ts";
import { firstName } from "../../common/format.ts";
import { Alert, Back, Down, ShareIcon, WifiOff } from "../../common/icon.tsx";
import { newOf, transcript, wordsOnTheirWay } from "../../common/transcript.ts";
import { Avatar } from "./bits.tsx";
import { Composer } from "./composer.tsx";
import type { Desk } from "./desk.ts";
import { LineView } from "./lines.tsx";
import { route, show } from "./route.ts";
import { S } from "./strings.ts";

/** What the open conversation is called: the room says it once attached, the list says it before. */
export function titleOf(desk: Desk): string {
  return desk.room?.conversation?.title ?? desk.row(route.value.conversation)?.title ?? "";
}

export function Thread({ desk, onShare }: { desk: Desk; onShare(): void }) {
  desk.tick.value; // follow the room
  const { room } = desk;
  if (!room) return <main class="thread" />;
  const title = titleOf(desk);
  return (
    <main class="thread" aria-label={S.with(title)}>
      <Head desk={desk} room={room} title={title} onShare={onShare} />
      <Connection desk={desk} room={room} />
      {room.phase === "gone" ? (
        <p class="banner bad" role="alert">
          <Alert />
          {S.gone}
        </p>
      ) : (
        <>
          <Log desk={desk} room={room} />
          <Composer desk={desk} room={room} to={guestName(room, title)} />
        </>
      )}
    </main>
  );
}

function guestName(room: Room, title: string): string {
  const guests = room.members.filter((it) => it.who.kind === "guest");
  const [only] = guests;
  return guests.length === 1 && only ? firstName(only.who.name) : title;
}

interface HeadProps {
  desk: Desk;
  room: Room;
  title: string;
  onShare(): void;
}

function Head({ desk, room, title, onShare }: HeadProps) {
  desk.tick.value; // follow the room
  const me = desk.client.me?.id;
  const names = (kind: ActorKind, state: PresenceState) =>
    room.members
      .filter((it) => it.who.kind === kind && it.state === state && it.who.id !== me)
      .map((it) => it.who.name);
  const guests = names("guest", "online");
  const unsure = names("guest", "unknown");
  return (
    <header class="head">
      <button type="button" class="btn ghost icon back" aria-label={S.backToList} onClick={() => show(null)}>
        <Back class="flip" />
      </button>
      <Avatar name={title} online={guests.length > 0} unsure={unsure.length > 0} />
      <div class="grow">
        <h2 class="ell">{title}</h2>
        <p class="small q ell" role="status">
          {S.guestsOnline(guests, unsure)}
        </p>
      </div>
      <Colleagues room={room} me={me} />
      <button
        type="button"
        class="btn primary"
        disabled={room.phase === "live" && !room.permissions.includes("share")}
        onClick={onShare}
      >
        <ShareIcon />
        {S.share}
      </button>
    </header>
  );
}

/** The collision sign: who else has this conversation on the screen, and who is answering it already. */
function Colleagues({ room, me }: { room: Room; me: string | undefined }) {
  const others = room.members.filter((it) => it.who.kind === "staff" && it.who.id !== me && it.state === "online");
  const replying = room.typing.filter((who) => who.kind === "staff" && who.id !== me);
  const busy = new Set(replying.map((who) => who.id));
  const viewing = others.filter((it) => it.viewing && !busy.has(it.who.id)).map((it) => it.who);
  const words = [
    replying.length > 0 ? S.replying(replying.map((who) => who.name)) : "",
    viewing.length > 0 ? S.viewing(viewing.map((who) => who.name)) : "",
  ].filter((it) => it !== "");
  return (
    <span class={words.length > 0 ? "viewing" : "vh"} role="status">
      {[...replying, ...viewing].slice(0, 3).map((who) => (
        <Avatar key={who.id} name={who.name} kind="staff" size="xs" />
      ))}
      <span class="words">{words.join(" · ")}</span>
    </span>
  );
}

/** Why nothing new comes, if it does not: the line is down, or the server waits. */
function Connection({ desk, room }: { desk: Desk; room: Room }) {
  desk.tick.value; // follow the room
  const line = desk.line.value;
  const once = useRef(false);
  if (line === "connected") once.current = true;
  const down = line === "disconnected" || line === "suspended" || (line === "connecting" && once.current);
  if (line === "failed") {
    return (
      <p class="banner bad" role="alert">
        <Alert />
        {S.refused}
        <button type="button" onClick={() => location.reload()}>
          {S.reload}
        </button>
      </p>
    );
  }
  if (!down) return room.paused && line === "connected" ? <Paused /> : null;
  return (
    <p class="banner" role="status">
      {line === "suspended" ? <WifiOff /> : <span class="spin" />}
      {line === "suspended" ? S.suspended : S.reconnecting}
    </p>
  );
}

function Paused() {
  return (
    <p class="banner" role="status">
      <span class="spin" />
      {S.paused}
    </p>
  );
}

function Log({ desk, room }: { desk: Desk; room: Room }) {
  desk.tick.value; // follow the room: it changes in place
  const log = useRef<HTMLDivElement>(null);
  const first = room.entries[0]?.seq ?? 0;
  const follow = useFollow(log, first, room.last, wordsOnTheirWay(room));
  useRead(desk, room, follow.away);
  useOlder(desk, room, log);
  const me = desk.client.me ?? { kind: "staff" as const, id: "", name: desk.session.me.value?.user.name ?? "" };
  const lines = transcript(room, {
    me,
    isMine: (author) => author.kind !== "guest",
    arrivals: desk.arrivals.value,
  });
  const typing = room.typing.map((who) => who.name);
  const empty = lines.length === 0;
  return (
    <div class="reading">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
      <div class="log" ref={log} role="log" aria-live="off" aria-label={S.messages} tabIndex={0}>
        {empty && <p class="none">{room.phase === "live" ? S.emptyThread : S.loading}</p>}
        <ol>
          {lines.map((line) => (
            <LineView key={line.key} line={line} desk={desk} room={room} />
          ))}
        </ol>
        <p class="typing-line" role="status">
          {typing.length > 0 && (
            <>
              <span class="dots" aria-hidden="true">
                <i />
                <i />
                <i />
              </span>
              {S.typing(typing)}
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
    </div>
  );
}

function useRead(desk: Desk, room: Room, away: boolean): void {
  useEffect(() => {
    const tell = () => {
      const seen = document.visibilityState === "visible" && document.hasFocus() && !away;
      desk.reading.value = seen;
      if (seen && room.last > 0) desk.client.read(room.id, room.last);
    };
    tell();
    document.addEventListener("visibilitychange", tell);
    window.addEventListener("focus", tell);
    window.addEventListener("blur", tell);
    return () => {
      document.removeEventListener("visibilitychange", tell);
      window.removeEventListener("focus", tell);
      window.removeEventListener("blur", tell);
      desk.reading.value = false;
    };
  }, [desk, room, room.last, away]);
}

/** Near the top the next older entries are fetched, one page at a time. */
function useOlder(desk: Desk, room: Room, log: { current: HTMLElement | null }): void {
  useEffect(() => {
    const element = log.current;
    if (!element) return;
    let busy = false;
    const look = async () => {
      if (busy || room.complete || room.entries.length === 0 || element.scrollTop > 240) return;
      busy = true;
      await room.loadOlder().catch(() => undefined); // asked again at the next scroll
      busy = false;
    };
    element.addEventListener("scroll", look, { passive: true });
    void look();
    return () => element.removeEventListener("scroll", look);
  }, [desk, room, log, room.entries.length === 0]);
}
