// The list: tabs by status, filters, and one row for each conversation, renewed as things happen.
// Filters live in the address (route.ts). A list that loads shows ghost rows, an empty one says what to do.
import type { ConversationRow } from "@parlour/client";
import { useEffect, useRef, useState } from "preact/hooks";
import { callName, shortWhen } from "../../common/format.ts";
import { Alert, Check, ChevronDown, Close, Compose, Lock, Search, Sort } from "../../common/icon.tsx";
import { Avatar, Stage, useNow } from "./bits.tsx";
import type { Desk } from "./desk.ts";
import { address, type Filter, refine, route, show } from "./route.ts";
import { S, STAGE_NAMES, stageName } from "./strings.ts";

export function InboxList({ desk, onNew }: { desk: Desk; onNew(): void }) {
  const [searching, setSearching] = useState(route.peek().filter.q !== "");
  return (
    <section class="list" aria-label={S.conversations}>
      <div class="bar">
        {searching ? (
          <SearchField onClose={() => setSearching(false)} />
        ) : (
          <>
            <h1 class="grow">{S.inbox}</h1>
            <button type="button" class="btn ghost icon" aria-label={S.searchLabel} onClick={() => setSearching(true)}>
              <Search />
            </button>
          </>
        )}
        <button type="button" class="btn ghost icon" aria-label={S.newConversation} onClick={onNew}>
          <Compose />
        </button>
      </div>
      <Tabs desk={desk} />
      <Filters />
      <Rows desk={desk} />
    </section>
  );
}

function SearchField({ onClose }: { onClose(): void }) {
  const field = useRef<HTMLInputElement>(null);
  const later = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => field.current?.focus(), []);
  const close = () => {
    clearTimeout(later.current);
    refine({ q: "" });
    onClose();
  };
  return (
    <div class="search grow">
      <Search class="sm" />
      <input
        ref={field}
        class="grow"
        type="search"
        aria-label={S.searchLabel}
        placeholder={S.search}
        defaultValue={route.peek().filter.q}
        onInput={(event) => {
          const q = event.currentTarget.value.trim();
          clearTimeout(later.current);
          later.current = setTimeout(() => refine({ q }), 250);
        }}
        onKeyDown={(event) => {
          if (event.key === "Escape") close();
        }}
      />
      <button type="button" class="btn ghost slim icon" aria-label={S.close} onClick={close}>
        <Close class="sm" />
      </button>
    </div>
  );
}

function Tabs({ desk }: { desk: Desk }) {
  const { filter } = route.value;
  const tabs: [Filter["status"], string][] = [
    ["open", S.open],
    ["snoozed", S.snoozed],
    ["closed", S.closed],
    ["all", S.all],
  ];
  return (
    <nav class="tabs" aria-label={S.tabs}>
      {tabs.map(([status, name]) => (
        <a
          key={status}
          href={address({ ...route.value, filter: { ...filter, status } })}
          aria-current={filter.status === status ? "true" : undefined}
          onClick={(event) => {
            event.preventDefault();
            refine({ status });
          }}
        >
          {name}
          {filter.status === status && desk.rows.value !== null && <span> {desk.total.value}</span>}
        </a>
      ))}
    </nav>
  );
}

function Filters() {
  const { filter } = route.value;
  const menu = useRef<HTMLDivElement>(null);
  const pick = (stage: string) => {
    refine({ stage });
    menu.current?.hidePopover();
  };
  return (
    <div class="filters">
      <button type="button" class={filter.stage ? "chip set" : "chip"} popoverTarget="stages">
        {filter.stage && <Check class="sm" />}
        {filter.stage ? stageName(filter.stage) : S.stage}
        <ChevronDown class="sm" />
      </button>
      <div class="menu" id="stages" popover="auto" ref={menu}>
        <button type="button" onClick={() => pick("")}>
          {S.anyStage}
        </button>
        {STAGE_NAMES.map((stage) => (
          <button type="button" key={stage} aria-pressed={filter.stage === stage} onClick={() => pick(stage)}>
            <Stage stage={stage} />
            {filter.stage === stage && <Check class="sm" />}
          </button>
        ))}
      </div>
      <button
        type="button"
        class={filter.unread ? "chip set" : "chip"}
        aria-pressed={filter.unread}
        onClick={() => refine({ unread: !filter.unread })}
      >
        {filter.unread && <Check class="sm" />}
        {S.unread}
      </button>
      <button
        type="button"
        class="btn ghost slim icon sort"
        aria-label={filter.oldest ? S.oldestFirst : S.newestFirst}
        aria-pressed={filter.oldest}
        onClick={() => refine({ oldest: !filter.oldest })}
      >
        <Sort />
      </button>
    </div>
  );
}

function Rows({ desk }: { desk: Desk }) {
  const { filter, conversation } = route.value;
  const all = desk.rows.value;
  const now = useNow(60_000);
  if (desk.problem.value !== null && all === null) {
    return (
      <p class="banner bad" role="alert">
        <Alert />
        {S.couldNotLoad}
        <button type="button" onClick={() => void desk.list()}>
          {S.tryAgain}
        </button>
        <span class="small">{desk.problem.value}</span>
      </p>
    );
  }
  if (all === null) return <Ghosts />;
  const rows = filter.unread ? all.filter((row) => desk.unreadOf(row) > 0 || row.id === conversation) : all;
  if (rows.length === 0) {
    const narrowed = filter.stage || filter.unread || filter.q || filter.status !== "open";
    return (
      <>
        {!narrowed && <Ghosts />}
        <p class="none">{narrowed ? S.nothingHere : S.listEmpty}</p>
      </>
    );
  }
  return (
    <ul class="conv">
      {rows.map((row) => (
        <li key={row.id}>
          <Row row={row} desk={desk} now={now} current={row.id === conversation} />
        </li>
      ))}
      {all.length < desk.total.value && (
        <li>
          <button type="button" class="btn ghost more" onClick={() => void desk.list(true)}>
            {S.more}
          </button>
        </li>
      )}
    </ul>
  );
}

function Ghosts() {
  return (
    <div class="ghosts" aria-hidden="true">
      {[0, 1, 2].map((index) => (
        <div class="ghost-row" key={index}>
          <i class="c" />
          <div>
            <i />
            <i />
          </div>
        </div>
      ))}
    </div>
  );
}

interface RowProps {
  row: ConversationRow;
  desk: Desk;
  now: number;
  current: boolean;
}

function Row({ row, desk, now, current }: RowProps) {
  const unread = desk.unreadOf(row);
  const typing = current ? typists(desk) : "";
  const last = row.last_entry;
  const mine = last?.author.id === (desk.client.me?.id ?? desk.session.me.value?.user.id);
  return (
    <a
      class={`${current ? "sel" : ""} ${unread > 0 ? "unread" : ""}`}
      href={address({ ...route.value, conversation: row.id })}
      aria-current={current ? "true" : undefined}
      onClick={(event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey) return;
        event.preventDefault();
        show(row.id);
      }}
    >
      <Avatar name={row.title} online={row.online} />
      <div>
        <div class="l">
          <span class="name ell">{row.title}</span>
          {row.online && <span class="vh">{S.online}</span>}
          {row.last_entry_at && <time dateTime={row.last_entry_at}>{shortWhen(row.last_entry_at, now)}</time>}
        </div>
        <div class="l">
          {typing ? <span class="last ell grow typing">{typing}…</span> : last && <LastLine last={last} mine={mine} />}
          {unread > 0 && (
            <span class="badge">
              {unread}
              <span class="vh"> {S.unreadWord}</span>
            </span>
          )}
        </div>
        <div class="l meta">
          <Stage stage={row.stage} />
          {row.channel && (
            <>
              <span class="sep" />
              <span class="ell grow">{row.channel}</span>
            </>
          )}
        </div>
      </div>
    </a>
  );
}

/** What happened last, in a line: who chose what, which card, a note behind its lock, or the words themselves. */
function LastLine({ last, mine }: { last: NonNullable<ConversationRow["last_entry"]>; mine: boolean }) {
  const author = mine ? S.you : callName(last.author);
  if (last.kind === "selection") {
    return (
      <span class="last ell grow">
        {author} {S.chose(last.preview)}
      </span>
    );
  }
  const said = last.kind === "message" || last.kind === "note";
  const lead = last.kind === "card" ? S.cardWord : mine || last.author.kind !== "guest" ? author : "";
  return (
    <span class="last ell grow">
      {last.kind === "note" && (
        <>
          <Lock class="sm" />
          <span class="vh">{S.note}: </span>
        </>
      )}
      {lead && <span class="f">{lead}: </span>}
      {said && last.preview === "" ? <i>{S.words.gone(last.kind)}</i> : <bdi>{last.preview}</bdi>}
    </span>
  );
}

function typists(desk: Desk): string {
  desk.tick.value; // follow the room
  const names = (desk.room?.typing ?? []).map((who) => who.name);
  return names.length > 0 ? S.typing(names) : "";
}
