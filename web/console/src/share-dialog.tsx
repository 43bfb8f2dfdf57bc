// The share dialog: who may do what for how long, one button, then the link: shown once, to copy or to scan.
// The secret must live in this component's state only. After creation the form changes the link that was made. The table is links-table.tsx.
import { asParlourError, newUuid, type Share, type SharePermission } from "@parlour/client";
import { useEffect, useRef, useState } from "preact/hooks";
import { announce } from "../../common/announce.ts";
import { Alert, Check, Copy, Minus, Plus } from "../../common/icon.tsx";
import { readCards } from "../../common/transcript.ts";
import { Avatar, Dialog, useNow } from "./bits.tsx";
import type { Desk } from "./desk.ts";
import { LinksTable } from "./links-table.tsx";
import { Qr } from "./qr.tsx";
import { S } from "./strings.ts";
import { titleOf } from "./thread.tsx";

const HOUR = 3_600_000;
const MAX_SEATS = 25;

interface Wish {
  label: string;
  seats: number;
  hours: number;
  respond: boolean;
  choose: boolean;
}

interface Made {
  url: string;
  share: Share;
}

const permissionsOf = (wish: Wish): SharePermission[] => [
  "view",
  ...(wish.respond ? (["respond"] as const) : []),
  ...(wish.choose ? (["select_options"] as const) : []),
];

/** What of the link a changed wish changes. */
function changeOf(share: Share, part: Partial<Wish>, wish: Wish) {
  const ends = Date.parse(share.created_at) + wish.hours * HOUR;
  return {
    ...(part.seats !== undefined && { seats: wish.seats }),
    ...(part.hours !== undefined && { expires_at: new Date(ends).toISOString() }),
    ...((part.respond !== undefined || part.choose !== undefined) && { permissions: permissionsOf(wish) }),
  };
}

function openCard(desk: Desk): boolean {
  const entries = desk.room?.entries ?? [];
  return [...readCards(entries).values()].some((it) => it.latest > 0 && !it.decisions.has(it.latest));
}

export function ShareDialog({ desk, onClose }: { desk: Desk; onClose(): void }) {
  const cardOpen = openCard(desk);
  const [wish, setWish] = useState<Wish>({ label: "", seats: 5, hours: 48, respond: true, choose: cardOpen });
  const [made, setMade] = useState<Made | null>(null);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const [key, setKey] = useState(() => newUuid());
  useEffect(() => desk.reloadShares(), [desk]);
  const { api } = desk.session;
  const title = titleOf(desk);

  const attempt = async (work: () => Promise<void>) => {
    setBusy(true);
    setProblem(null);
    try {
      await work();
    } catch (reason) {
      setProblem(asParlourError(reason).message);
    }
    setBusy(false);
  };
  const create = () =>
    attempt(async () => {
      const { label, seats, hours } = wish;
      const name = label.trim();
      const body = { expiry_hours: hours, permissions: permissionsOf(wish), seats, ...(name && { label: name }) };
      const { url, share } = await api.createShare(desk.room?.id ?? "", body, key);
      desk.putShare(share);
      // A repeat of a lost answer comes without the secret: the link exists, but only a new one can be shown.
      if (url) setMade({ url, share });
      else setProblem(S.couldNotLoad);
    });
  const change = (part: Partial<Wish>) => {
    const next = { ...wish, ...part };
    setWish(next);
    if (!made) return;
    void attempt(async () => {
      const share = await api.changeShare(made.share.id, changeOf(made.share, part, next));
      desk.putShare(share);
    });
  };
  const another = () => {
    setMade(null);
    setKey(newUuid());
    setWish({ ...wish, label: "" });
  };
  return (
    <Dialog title={S.shareWith(title)} size="wide" onClose={onClose}>
      <div class="cols">
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (!busy && !made) void create();
          }}
        >
          <Wishes wish={wish} fixedLabel={made !== null} cardOpen={cardOpen} onChange={change} />
          {problem && (
            <p class="hint bad" role="alert">
              <Alert class="sm" />
              {problem}
            </p>
          )}
          {made ? <LinkReady url={made.url} onAnother={another} /> : <CreateButton busy={busy} />}
        </form>
        <Aside desk={desk} url={made?.url ?? null} />
      </div>
      <LinksTable desk={desk} />
    </Dialog>
  );
}

/** What the client will see first: the code to scan, and whose page it is. */
function Aside({ desk, url }: { desk: Desk; url: string | null }) {
  return (
    <div class="qrbox">
      <div class="panelbox">
        {url ? <Qr text={url} /> : <div class="qr empty" aria-hidden="true" />}
        <p class="small q">{url ? S.point : S.qrLater}</p>
      </div>
      <div class="panelbox og">
        <Avatar name={desk.session.me.value?.organization.name ?? ""} />
        <div class="grow">
          <div class="m ell">{desk.session.me.value?.organization.name}</div>
          <div class="small q ell">{S.preview}</div>
        </div>
      </div>
    </div>
  );
}

function CreateButton({ busy }: { busy: boolean }) {
  return (
    <button type="submit" class="btn primary make" aria-busy={busy}>
      {busy && <span class="spin" />}
      {busy ? S.creating : S.createLink}
    </button>
  );
}

interface WishesProps {
  wish: Wish;
  fixedLabel: boolean;
  cardOpen: boolean;
  onChange(part: Partial<Wish>): void;
}

function Wishes({ wish, fixedLabel, cardOpen, onChange }: WishesProps) {
  const now = useNow(30_000);
  return (
    <>
      <div class="row top">
        <label class="field grow">
          <span class="lab">
            {S.label} <span>{S.onlyStaff}</span>
          </span>
          <input
            class="input"
            maxLength={80}
            readOnly={fixedLabel}
            placeholder={S.labelPlaceholder}
            value={wish.label}
            onInput={(event) => onChange({ label: event.currentTarget.value })}
          />
        </label>
        <Seats seats={wish.seats} onChange={(seats) => onChange({ seats })} />
      </div>
      <fieldset class="field">
        <legend class="lab">{S.endsAfter}</legend>
        <div class="choices">
          {S.spans.map(([hours, name]) => (
            <label key={hours}>
              <input type="radio" name="ends" checked={wish.hours === hours} onChange={() => onChange({ hours })} />
              {name}
            </label>
          ))}
        </div>
        <p class="hint">{S.endsOn(now + wish.hours * HOUR)}</p>
      </fieldset>
      <fieldset class="field">
        <legend class="lab">{S.may}</legend>
        <div class="perms">
          <Tile name={S.view} words={S.always} checked fixed />
          <Tile
            name={S.respond}
            words={S.respondWords}
            checked={wish.respond}
            onChange={(respond) => onChange({ respond })}
          />
          <Tile
            name={S.choose}
            words={cardOpen ? S.cardOpen : S.chooseWords}
            checked={wish.choose}
            onChange={(choose) => onChange({ choose })}
          />
        </div>
      </fieldset>
    </>
  );
}

function Seats({ seats, onChange }: { seats: number; onChange(seats: number): void }) {
  return (
    <fieldset class="field">
      <legend class="lab">{S.seats}</legend>
      <div class="stepper">
        <button
          type="button"
          class="btn ghost"
          aria-label={S.fewer}
          disabled={seats <= 1}
          onClick={() => onChange(seats - 1)}
        >
          <Minus />
        </button>
        <output aria-live="polite">{seats}</output>
        <button
          type="button"
          class="btn ghost"
          aria-label={S.moreSeats}
          disabled={seats >= MAX_SEATS}
          onClick={() => onChange(seats + 1)}
        >
          <Plus />
        </button>
      </div>
    </fieldset>
  );
}

interface TileProps {
  name: string;
  words: string;
  checked: boolean;
  fixed?: boolean;
  onChange?(checked: boolean): void;
}

function Tile({ name, words, checked, fixed = false, onChange }: TileProps) {
  return (
    <label>
      <input
        class="tick"
        type="checkbox"
        checked={checked}
        disabled={fixed}
        onChange={(event) => onChange?.(event.currentTarget.checked)}
      />
      <span>
        <b>{name}</b>
        <span>{words}</span>
      </span>
    </label>
  );
}

function LinkReady({ url, onAnother }: { url: string; onAnother(): void }) {
  const [copied, setCopied] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(url);
    } catch {
      field.current?.select(); // no clipboard here (plain HTTP, or not allowed): one keystroke is left
      return;
    }
    setCopied(true);
    announce(S.copiedSaid);
    setTimeout(() => setCopied(false), 2000);
  };
  return (
    <div class="ready-link">
      <p class="lab">
        <Check class="sm" /> {S.linkReady} <span>{S.shownOnce}</span>
      </p>
      <div class="made">
        <input
          ref={field}
          class="input ell"
          readOnly
          aria-label={S.linkLabel}
          value={url}
          onFocus={(event) => event.currentTarget.select()}
        />
        <button type="button" class={copied ? "btn done" : "btn primary"} onClick={() => void copy()}>
          {copied ? <Check /> : <Copy />}
          {copied ? S.copied : S.copy}
        </button>
      </div>
      <p class="hint">
        {S.applies}{" "}
        <button type="button" class="inline" onClick={onAnother}>
          {S.another}
        </button>
      </p>
    </div>
  );
}
