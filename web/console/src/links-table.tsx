// The links of a conversation: state, end, rights, use, and the button that ends one at once.
// A revoke takes effect for people already in; the row changes when the server says so.
import { asParlourError, type Share } from "@parlour/client";
import { useState } from "preact/hooks";
import { announce } from "../../common/announce.ts";
import { shortWhen, zoneCode } from "../../common/format.ts";
import { Alert } from "../../common/icon.tsx";
import { useNow } from "./bits.tsx";
import type { Desk } from "./desk.ts";
import { endsOf, isOver, ShareState } from "./share-state.tsx";
import { S } from "./strings.ts";

export function LinksTable({ desk }: { desk: Desk }) {
  const shares = desk.shares.value;
  const now = useNow(20_000);
  const [problem, setProblem] = useState<string | null>(null);
  if (shares.length === 0) return null;
  const revoke = async (share: Share) => {
    setProblem(null);
    try {
      desk.putShare(await desk.session.api.revokeShare(share.id));
      announce(S.revoked(share.label || S.unlabelled));
    } catch (reason) {
      setProblem(asParlourError(reason).message);
    }
  };
  return (
    <section class="under" aria-label={S.links}>
      <h3>
        {S.links} <span>{shares.length}</span>
      </h3>
      {problem && (
        <p class="hint bad" role="alert">
          <Alert class="sm" />
          {problem}
        </p>
      )}
      <table class="table">
        <thead>
          <tr>
            <th scope="col">{S.col.label}</th>
            <th scope="col">{S.col.state}</th>
            <th scope="col">
              {S.col.ends} ({zoneCode(now)})
            </th>
            <th scope="col">{S.col.may}</th>
            <th scope="col" class="n">
              {S.col.opens}
            </th>
            <th scope="col" class="n">
              {S.col.seats}
            </th>
            <th scope="col">{S.col.seen}</th>
            <th scope="col">
              <span class="vh">{S.col.actions}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {shares.map((share) => (
            <LinkRow key={share.id} share={share} now={now} onRevoke={() => void revoke(share)} />
          ))}
        </tbody>
      </table>
    </section>
  );
}

function LinkRow({ share, now, onRevoke }: { share: Share; now: number; onRevoke(): void }) {
  const over = isOver(share, now);
  const label = share.label || S.unlabelled;
  return (
    <tr class={over ? "off" : ""}>
      <td class="m">{label}</td>
      <td>
        <ShareState share={share} now={now} />
      </td>
      <td>{endsOf(share)}</td>
      <td class="q">{share.permissions.map((it) => S.mayWords[it]).join(", ")}</td>
      <td class="n">{share.opens}</td>
      <td class="n">{S.ofSeats(share.seats_used, share.seats)}</td>
      <td class={share.last_accessed ? "" : "f"}>
        {share.last_accessed ? shortWhen(share.last_accessed, now) : S.never}
      </td>
      <td>
        {over ? (
          <span class="f small closed">{S.closedLink}</span>
        ) : (
          <button type="button" class="btn danger slim" aria-label={S.revokeThis(label)} onClick={onRevoke}>
            {S.revoke}
          </button>
        )}
      </td>
    </tr>
  );
}
