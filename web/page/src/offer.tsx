// A card in the log: options to choose from, the choice that stands, or the note that a newer version replaced it.
// It must never decide anything on a tap alone (confirm.tsx asks), and never show a choice before the log says it.
import type { CardOption, ParlourError, Room } from "@parlour/client";
import { useEffect, useRef, useState } from "preact/hooks";
import { announce } from "../../common/announce.ts";
import { fullStamp, isToday, money, time } from "../../common/format.ts";
import { Alert, Check, ChevronDown, WifiOff } from "../../common/icon.tsx";
import type { Decision, Line } from "../../common/transcript.ts";
import { Confirm } from "./confirm.tsx";
import type { Guest } from "./guest.ts";
import { useLook } from "./look.ts";
import { S } from "./strings.ts";

interface Props {
  line: Extract<Line, { kind: "card" }>;
  guest: Guest;
  room: Room;
  myId: string;
}

export function Offer(props: Props) {
  // Kept here, above the choice: when somebody else was faster, the card turns decided and the reason must stay readable.
  const [problem, setProblem] = useState<string | null>(null);
  const { card, reading } = props.line;
  const decision = reading.decisions.get(card.version);
  const id = `card-${card.id}-${card.version}`;
  const wasOpen = useRef(!decision);
  useRefusal(props, setProblem);
  const mine = decision?.by.id === props.myId;
  const article = useRef<HTMLElement>(null);
  useLook(article, props.guest, card, decision);
  return (
    <article class="offer" aria-labelledby={id} ref={article}>
      {decision && <Verdict decision={decision} mine={mine} isNews={mine && wasOpen.current} />}
      <header>
        <h2 id={id}>{card.title}</h2>
        {card.subtitle && <p>{card.subtitle}</p>}
      </header>
      {card.details && card.details.length > 0 && <Details details={card.details} />}
      {problem && (
        <p class="trouble" role="alert">
          <Alert />
          {problem}
        </p>
      )}
      {decision ? <Kept {...props} decision={decision} /> : <Choice {...props} onProblem={setProblem} />}
    </article>
  );
}

/** A choice that was refused, now or before a reload: the reason is told on its card, and the choice let go. */
function useRefusal({ line, guest, room }: Props, tell: (problem: string) => void): void {
  const { card } = line;
  const refused = room.pending.find(
    ({ command, state }) =>
      state === "failed" && command.type === "select" && command.card === card.id && command.version === card.version,
  );
  useEffect(() => {
    if (!refused) return;
    tell(explain(refused.error, card.options));
    guest.client?.discard(room.id, refused.command.client_id);
  }, [refused]);
}

function Verdict({ decision, mine, isNews }: { decision: Decision; mine: boolean; isNews: boolean }) {
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // The card folded above where its button was: the answer comes into sight and takes the focus the button had.
    if (isNews) element.current?.scrollIntoView({ block: "nearest" });
    if (isNews) element.current?.focus({ preventScroll: true });
  }, []);
  const { at } = decision;
  const when = isToday(at, Date.now()) ? `Today, ${time(at)}` : fullStamp(at);
  return (
    <div class="verdict" ref={element} tabIndex={-1}>
      <span class="seal">
        <Check />
      </span>
      <div>
        <p class="h">{S.chose(mine, decision.by.name, decision.labels.join(", "))}</p>
        <p>{S.choseAt(when)}</p>
      </div>
    </div>
  );
}

/** Label and price, journey, facts: what an option is, without the means to choose it. */
function OptionFace({ option }: { option: CardOption }) {
  const { label, price, description, price_note, route, facts } = option;
  return (
    <span class="face">
      <span class="head">
        <span class="name">{label}</span>
        {price ? <bdi class="price">{money(price)}</bdi> : <span />}
        {(description || price_note) && (
          <>
            <span class="small">{description}</span>
            <span class="small">{price_note}</span>
          </>
        )}
      </span>
      {route && (
        <span class="leg">
          <b>
            <bdi>{route.departs}</bdi>
          </b>
          <span class="way">
            <span>{route.duration}</span>
          </span>
          <b class="end">
            <bdi>{route.arrives}</bdi>
            {route.day_offset ? <sup>+{route.day_offset}</sup> : null}
          </b>
          <span class="place">{route.from}</span>
          <span class="place end">{route.to}</span>
        </span>
      )}
      {facts?.[0] && (
        <span class="bag">
          <Check class="sm" />
          {facts[0]}
        </span>
      )}
    </span>
  );
}

function MoreFacts({ facts }: { facts: string[] }) {
  if (facts.length < 2) return null;
  return (
    <details class="included">
      <summary>
        {S.included}
        <ChevronDown class="sm" />
      </summary>
      <ul class="incl">
        {facts.slice(1).map((fact) => (
          <li key={fact}>
            <Check class="sm" />
            {fact}
          </li>
        ))}
      </ul>
    </details>
  );
}

function Details({ details }: { details: { label: string; title: string; text?: string }[] }) {
  return (
    <div class="days">
      {details.map((detail, index) => (
        <details class="dayx" key={`${detail.label}-${detail.title}`} open={index === 0}>
          <summary>
            <span class="date">{detail.label}</span>
            <span class="h">{detail.title}</span>
            {detail.text ? <ChevronDown /> : null}
          </summary>
          {detail.text && <p class="plan">{detail.text}</p>}
        </details>
      ))}
    </div>
  );
}

function Choice({ line, guest, room, onProblem }: Props & { onProblem(problem: string | null): void }) {
  const { card, reading } = line;
  const [chosen, setChosen] = useState<string | null>(null);
  const [asking, setAsking] = useState(false);
  const replaced = reading.latest > card.version;
  const may = room.permissions.includes("select");
  const online = guest.line.value === "connected";
  const busy = room.pending.some(
    (it) => it.command.type === "select" && it.command.card === card.id && it.state !== "failed",
  );
  const option = card.options.find((it) => it.id === chosen);

  const choose = async () => {
    setAsking(false);
    onProblem(null);
    const { client } = guest;
    if (!client || !option) return;
    const { done } = client.select(room.id, card.id, card.version, [option.id]);
    // A refusal is told by Offer, which also hears one of an earlier load of the page.
    await done.then(
      () => announce(S.chose(true, "", option.label)),
      () => undefined,
    );
  };
  const name = `choice-${card.id}-${card.version}`;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (option && may && online && !busy) setAsking(true);
      }}
    >
      <fieldset disabled={replaced || !may || busy}>
        <legend class="vh">{S.chooseOne}</legend>
        {card.options.map((it) => (
          <div class="opt" key={it.id} data-option={it.id}>
            <label>
              <input
                type="radio"
                name={name}
                value={it.id}
                checked={chosen === it.id}
                onChange={() => setChosen(it.id)}
              />
              <OptionFace option={it} />
            </label>
            <MoreFacts facts={it.facts ?? []} />
          </div>
        ))}
      </fieldset>
      <footer>
        <Continue replaced={replaced} may={may} online={online} busy={busy} label={option?.label} />
        {card.note && <p class="small q fine">{card.note}</p>}
      </footer>
      {asking && option && <Confirm option={option} onYes={choose} onBack={() => setAsking(false)} />}
    </form>
  );
}

interface ContinueProps {
  replaced: boolean;
  may: boolean;
  online: boolean;
  busy: boolean;
  label: string | undefined;
}

/** The one button of a card; disabled, it says why. */
function Continue({ replaced, may, online, busy, label }: ContinueProps) {
  if (replaced) return <p class="small q fine">{S.replaced}</p>;
  if (!may) return <p class="small q fine">{S.mayNotChoose}</p>;
  if (busy) {
    return (
      <button type="button" class="btn" disabled aria-busy="true">
        <span class="spin" />
        {S.choosing}
      </button>
    );
  }
  if (!online) {
    return (
      <button type="button" class="btn" disabled>
        <WifiOff />
        {S.needsConnection}
      </button>
    );
  }
  if (!label) {
    return (
      <button type="button" class="btn" disabled>
        {S.chooseFirst}
      </button>
    );
  }
  return (
    <button type="submit" class="btn primary">
      {S.confirm(label)}
    </button>
  );
}

function Kept({ line, decision }: Props & { decision: Decision }) {
  const { options, note } = line.card;
  const chosen = options.filter((it) => decision.options.includes(it.id));
  const rest = options.filter((it) => !decision.options.includes(it.id));
  return (
    <>
      <div class="kept">
        {chosen.map((option) => (
          <div key={option.id} data-option={option.id}>
            <OptionFace option={option} />
            <MoreFacts facts={option.facts ?? []} />
          </div>
        ))}
      </div>
      {rest.length > 0 && (
        <details class="rest">
          <summary>
            {S.others(rest.length)}
            <ChevronDown class="sm" />
          </summary>
          <div class="kept">
            {rest.map((option) => (
              <OptionFace key={option.id} option={option} />
            ))}
          </div>
        </details>
      )}
      {note && <p class="small q fine under">{note}</p>}
    </>
  );
}

/** A refused choice in plain words: who was first, or that the offer moved on. */
function explain(error: ParlourError | undefined, options: CardOption[]): string {
  if (error?.code !== "CONFLICT") return S.choiceFailed;
  const holder = error.details.holder as { who?: { name: string }; options?: string[] } | null | undefined;
  const label = options.find((it) => holder?.options?.includes(it.id))?.label;
  return holder?.who && label ? S.conflictChosen(holder.who.name, label) : S.conflictChanged;
}
