// The room as a guest sees it: whose it is, how long it lasts, the log, and where to write.
// It decides nothing about entries (log.tsx) or cards (offer.tsx). Rights change while it is open and are read anew at every draw.
import type { PresenceState, Room } from "@parlour/client";
import { useEffect, useRef, useState } from "preact/hooks";
import { firstName } from "../../common/format.ts";
import { Call, Clock, Mail, WifiOff } from "../../common/icon.tsx";
import { Composer } from "./composer.tsx";
import type { Organization } from "./facts.ts";
import type { Guest } from "./guest.ts";
import { Log } from "./log.tsx";
import { Logo } from "./logo.tsx";
import { S } from "./strings.ts";

const HOUR = 3_600_000;

/** The time, renewed at an interval: for what is said about it on the page. */
export function useNow(everyMs: number): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}

export function RoomPage({ guest }: { guest: Guest }) {
  guest.tick.value; // follow the room
  const { room, facts } = guest;
  if (!room) return null;
  const staff = (state: PresenceState) =>
    room.members.filter((it) => it.who.kind === "staff" && it.state === state).map((it) => it.who.name);
  const here = staff("online");
  const unsure = staff("unknown");
  const organization = facts.organization;
  return (
    <div class="app room">
      <header class="top">
        {organization && <Logo organization={organization} />}
        <div class="grow">
          <h1>{organization?.name ?? room.conversation?.title}</h1>
          <p>{words(here.slice(0, 2), unsure.slice(0, 2))}</p>
        </div>
        <Contact organization={organization} />
      </header>
      <Strip guest={guest} room={room} />
      <Log guest={guest} room={room} />
      <Composer guest={guest} room={room} to={here[0] ? firstName(here[0]) : (organization?.name ?? "")} />
    </div>
  );
}

function words(here: string[], unsure: string[]): string {
  if (here.length > 0) return S.here(here);
  return unsure.length > 0 ? S.perhapsHere(unsure) : S.away;
}

function Contact({ organization }: { organization: Organization | null }) {
  const phone = organization?.contact_phone;
  const email = organization?.contact_email;
  if (!phone && !email) return null;
  return (
    <a class="round" href={phone ? `tel:${phone.replace(/[^+\d]/g, "")}` : `mailto:${email}`} aria-label={S.contact}>
      {phone ? <Call /> : <Mail />}
    </a>
  );
}

/** One line under the head: the line is down, the server waits, or when the link ends. */
function Strip({ guest, room }: { guest: Guest; room: Room }) {
  guest.tick.value; // follow the room
  const now = useNow(30_000);
  const line = guest.line.value;
  const connectedOnce = useRef(false);
  if (line === "connected") connectedOnce.current = true;
  const offline = line === "suspended";
  const lost = offline || line === "disconnected" || (line === "connecting" && connectedOnce.current);
  if (lost) {
    return (
      <div class="strip off" role="status">
        {offline ? <WifiOff /> : <span class="spin" />}
        <span>
          <b>{offline ? S.offline : S.reconnecting}</b>
          {offline ? S.offlineWords : S.reconnectingWords}
        </span>
      </div>
    );
  }
  if (room.paused && line === "connected") {
    return (
      <p class="strip" role="status">
        <span class="spin" />
        <span>
          <b>{S.paused}</b>
          {S.pausedWords}
        </span>
      </p>
    );
  }
  const ends = guest.ends.value;
  const left = ends ? Date.parse(ends) - now : 0;
  if (!ends || left <= 0) return null;
  const soon = left < HOUR;
  const [before, when, after] = soon ? S.endsSoon(left) : S.ends(ends, now);
  return (
    <p class={soon ? "strip soon" : "strip"}>
      <Clock class="sm" />
      <span>
        {before}
        <b>{when}</b>
        {after}
      </span>
    </p>
  );
}
