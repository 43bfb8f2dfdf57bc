// The context beside a thread: the conversation's facts, the link that matters now, and who is here.
// It shows what the server knows and leaves out what it does not.
import type { PresenceState, Room, Share } from "@parlour/client";
import { span, stamp, zoneCode } from "../../common/format.ts";
import { Check } from "../../common/icon.tsx";
import { Avatar, Stage, useNow } from "./bits.tsx";
import type { Desk } from "./desk.ts";
import { route } from "./route.ts";
import { endsOf, ShareState } from "./share-state.tsx";
import { S } from "./strings.ts";

export function Side({ desk, onLinks }: { desk: Desk; onLinks(): void }) {
  desk.tick.value; // follow the room
  const { room } = desk;
  const row = desk.row(route.value.conversation);
  const head = room?.conversation ?? row;
  const shares = desk.shares.value;
  return (
    <aside class="side" aria-label={S.context}>
      {head && (
        <section>
          <h3>{S.conversation}</h3>
          <dl class="kv">
            <dt>{S.stage}</dt>
            <dd>
              <Stage stage={head.stage ?? ""} />
            </dd>
            <dt>{S.status}</dt>
            <dd class="cap">{head.status}</dd>
            {row && (
              <>
                <dt>{S.channel}</dt>
                <dd>{row.channel}</dd>
                <dt>{S.started}</dt>
                <dd>{stamp(row.created_at)}</dd>
              </>
            )}
          </dl>
        </section>
      )}
      <section>
        <h3>
          {S.link}
          <button type="button" class="btn ghost slim" onClick={onLinks}>
            {S.allLinks}
          </button>
        </h3>
        {currentLink(shares) ? <LinkStatus share={currentLink(shares) as Share} /> : <p class="q">{S.noLink}</p>}
      </section>
      {room && <People desk={desk} room={room} />}
    </aside>
  );
}

/** The link worth looking at: one in use, else one that waits, else the newest. */
function currentLink(shares: Share[]): Share | undefined {
  const rank = { live: 0, unopened: 1, expired: 2, revoked: 3 };
  return [...shares].sort((a, b) => rank[a.status] - rank[b.status])[0];
}

function LinkStatus({ share }: { share: Share }) {
  const now = useNow(20_000);
  const left = Date.parse(share.expires_at) - now;
  const whole = Date.parse(share.expires_at) - Date.parse(share.created_at);
  const over = share.status === "revoked" || share.status === "expired" || left <= 0;
  const part = Math.max(0, Math.min(1, left / whole));
  return (
    <div class="link">
      <div class="row">
        <span class="m grow ell">{share.label || S.unlabelled}</span>
        <ShareState share={share} now={now} />
      </div>
      {!over && (
        <>
          <div class="row left">
            <span class="count">{span(left)}</span>
            <span class="small q">{S.left(span(whole).replace(" 0 min", "").replace(" 0 h", ""))}</span>
          </div>
          <div class="meter" aria-hidden="true">
            <i style={{ inlineSize: `${part * 100}%` }} />
          </div>
        </>
      )}
      <p class="small q ends">
        {over ? S.ended(endsOf(share)) : S.ends(endsOf(share))} {zoneCode(share.expires_at)}
      </p>
      <div class="trio">
        <div>
          <b>{share.opens}</b>
          <span>{S.opens}</span>
        </div>
        <div>
          <b>{share.access_count}</b>
          <span>{S.claims}</span>
        </div>
        <div>
          <b>{S.ofSeats(share.seats_used, share.seats)}</b>
          <span>{S.seatsWord}</span>
        </div>
      </div>
      <div class="perm">
        <Permission name={S.view} />
        {share.permissions.includes("respond") && <Permission name={S.respond} />}
        {share.permissions.includes("select_options") && <Permission name={S.choose} />}
      </div>
    </div>
  );
}

function Permission({ name }: { name: string }) {
  return (
    <span>
      <Check class="sm" />
      {name}
    </span>
  );
}

function People({ desk, room }: { desk: Desk; room: Room }) {
  desk.tick.value; // follow the room
  const of = (state: PresenceState) => room.members.filter((it) => it.state === state);
  const here = [...of("online"), ...of("unknown")];
  return (
    <section>
      <h3>{S.hereNow}</h3>
      {here.length === 0 && <p class="q">{S.noOne}</p>}
      <ul class="people">
        {here.map(({ who, state }) => (
          <li key={who.id} class="row">
            <Avatar
              name={who.name}
              kind={who.kind}
              size="sm"
              online={state === "online"}
              unsure={state === "unknown"}
            />
            <span class="ell grow">{who.name}</span>
            <span class="small f cap">{state === "unknown" ? S.perhapsHere : who.kind}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
