// A card in the thread: its options as a table with journey and price, and its last line: open, chosen by whom and when, or replaced.
// A decision is a sentence on the card itself; what was not chosen stays legible but steps back.
import type { CardOption } from "@parlour/client";
import { callName, money, time } from "../../common/format.ts";
import { CardIcon, Check, ChevronDown, Decided, Eye, Retry } from "../../common/icon.tsx";
import type { Line } from "../../common/transcript.ts";
import { S } from "./strings.ts";

export function Offer({ line }: { line: Extract<Line, { kind: "card" }> }) {
  const { card, reading, entry } = line;
  const decision = reading.decisions.get(card.version);
  const replaced = reading.latest > card.version;
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
      </article>
    </li>
  );
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
