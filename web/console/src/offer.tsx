// A card in the thread: its options as a table with journey and price, and its last line: open, chosen by whom and when, or replaced.
// A decision is a sentence on the card itself; what was not chosen stays legible but steps back.
import type { Card, CardOption, Room, Seen } from "@parlour/client";
import { callName, lookedFor, money, time } from "../../common/format.ts";
import { CardIcon, Check, ChevronDown, Decided, Eye, Retry } from "../../common/icon.tsx";
import type { Line } from "../../common/transcript.ts";
import { S } from "./strings.ts";

export function Offer({ line, room }: { line: Extract<Line, { kind: "card" }>; room: Room }) {
  const { card, reading, entry } = line;
  const decision = reading.decisions.get(card.version);
  const replaced = reading.latest > card.version;
  const seen = room.seen.filter((it) => it.card === card.id && it.version === card.version);
  return (
    <li>
      <article class={`offer ${decision ? "decided" : ""}`} aria-label={S.card(card.title, card.version)}>
        <header>
          <CardIcon />
          <h3>{card.title}</h3>
          <span class="q ell grow">{card.subtitle}</span>
          <span class="small f nw">
            {callName(entry.author)} <time dateTime={entry.at}>{time(entry.at)}</time>
          </span>
          <span class="ver">v{card.version}</span>
        </header>
        {card.details && card.details.length > 0 && (
          <details class="days">
            <summary>
              {S.details(card.details.length)}
              <ChevronDown class="sm" />
            </summary>
            <dl>
              {card.details.map((detail) => (
                <div key={`${detail.label}-${detail.title}`}>
                  <dt>{detail.label}</dt>
                  <dd>
                    <b>{detail.title}</b>
                    {detail.text && <p class="q">{detail.text}</p>}
                  </dd>
                </div>
              ))}
            </dl>
          </details>
        )}
        <ul class={card.options.some((it) => it.route) ? "opts" : "opts plain"} aria-label={S.options}>
          {card.options.map((option) => (
            <Option key={option.id} option={option} chosen={decision?.options.includes(option.id) ?? false} />
          ))}
        </ul>
        <footer>
          {decision ? (
            <span class="decision">
              <Decided />
              {S.chosenBy(decision.by.name)}
              <span class="q">
                · <time dateTime={decision.at}>{time(decision.at)}</time> · v{decision.version}
              </span>
            </span>
          ) : (
            <span class="decision open">
              {replaced ? <Retry /> : <Eye />}
              {replaced ? S.replaced : S.openCard}
              <span class="q">{replaced ? S.replacedBy(reading.latest) : S.nobodyChose}</span>
            </span>
          )}
        </footer>
        {seen.length > 0 && <Looked card={card} seen={seen} />}
      </article>
    </li>
  );
}

/** The longest that one option was on their screen: what they certainly looked. */
const longest = (seen: Seen): number => Math.max(0, ...seen.options.map((it) => it.visible_ms));

/** Who looked at the card, and for how long at which option. */
function Looked({ card, seen }: { card: Card; seen: Seen[] }) {
  return (
    <details class="looked">
      <summary>
        <Eye class="sm" />
        <span>{S.seenBy(seen.map((it) => `${callName(it.who)} · ${lookedFor(longest(it))}`))}</span>
        <ChevronDown class="sm" />
      </summary>
      {seen.map((it) => (
        <dl key={it.who.id} aria-label={it.who.name}>
          <div class="who">
            <dt>{it.who.name}</dt>
            <dd>
              {S.seenLast} <time dateTime={it.last_at}>{time(it.last_at)}</time>
            </dd>
          </div>
          {card.options.map((option) => (
            <div key={option.id}>
              <dt>{option.label}</dt>
              <dd>{lookedAt(it, option.id)}</dd>
            </div>
          ))}
        </dl>
      ))}
    </details>
  );
}

function lookedAt(seen: Seen, option: string): string {
  const ms = seen.options.find((it) => it.id === option)?.visible_ms;
  return ms === undefined ? S.notSeen : lookedFor(ms);
}

function Option({ option, chosen }: { option: CardOption; chosen: boolean }) {
  const { label, description, route, facts, price, price_note } = option;
  return (
    <li class={chosen ? "chosen" : ""}>
      <span class="dot">{chosen && <Check />}</span>
      <div class="c">
        <b class="ell">{label}</b>
        {description && <div class="two ell">{description}</div>}
      </div>
      {route && (
        <div class="t">
          <bdi>
            <b>
              {route.departs} → {route.arrives}
            </b>
            {route.day_offset ? <span class="two"> +{route.day_offset}</span> : null}
          </bdi>
          <span class="two nw"> · {route.duration}</span>
          <div class="two ell" title={S.way(route.from, route.to)}>
            {S.way(route.from, route.to)}
          </div>
        </div>
      )}
      <div class="fact">
        <div class="ell" title={facts?.[0]}>
          {facts?.[0]}
        </div>
        <div class="two ell" title={facts?.slice(1).join(" · ")}>
          {facts?.slice(1).join(" · ")}
        </div>
      </div>
      <div class="price">
        {price && (
          <b>
            <bdi>{money(price)}</bdi>
          </b>
        )}
        <div class="two">{price_note}</div>
      </div>
    </li>
  );
}
