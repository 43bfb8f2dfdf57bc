// What state a link is in, as glyph and word, and when it ends or ended. Used by the panel and the table of links.
import type { Share } from "@parlour/client";
import { stamp } from "../../common/format.ts";
import { Alert, Check, Clock, Stop } from "../../common/icon.tsx";
import { S } from "./strings.ts";

const HOUR = 3_600_000;

type Seen = keyof typeof S.shareState;

function seen(share: Share, now: number): Seen {
  if (share.status === "revoked") return "revoked";
  const left = Date.parse(share.expires_at) - now;
  if (share.status === "expired" || left <= 0) return "expired";
  return left < HOUR ? "soon" : share.status;
}

export const isOver = (share: Share, now: number): boolean => ["revoked", "expired"].includes(seen(share, now));

export const endsOf = (share: Share): string => stamp(share.revoked_at ?? share.expires_at);

const GLYPHS = { unopened: Clock, live: Check, soon: Alert, expired: Clock, revoked: Stop };
const TONES = { unopened: "q", live: "ok", soon: "danger", expired: "q", revoked: "q" };

export function ShareState({ share, now }: { share: Share; now: number }) {
  const state = seen(share, now);
  const Glyph = GLYPHS[state];
  return (
    <span class={`state ${TONES[state]}`}>
      <Glyph class="sm" />
      {S.shareState[state]}
    </span>
  );
}
