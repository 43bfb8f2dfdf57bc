// The confirm sheet: what is chosen and what it costs, then one yes. The only modal of the client page.
// Nothing is sent before "yes"; Escape, the ground beside the sheet and "Go back" all leave everything as it was.
import type { CardOption } from "@parlour/client";
import { useEffect, useRef } from "preact/hooks";
import { money } from "../../common/format.ts";
import { Info } from "../../common/icon.tsx";
import { openModal } from "../../common/modal.ts";
import { S } from "./strings.ts";

interface Props {
  option: CardOption;
  onYes(): void;
  onBack(): void;
}

export function Confirm({ option, onYes, onBack }: Props) {
  const sheet = useRef<HTMLDialogElement>(null);
  useEffect(() => openModal(sheet.current), []);
  const { label, description, price } = option;
  return (
    <dialog
      ref={sheet}
      class="sheet"
      aria-labelledby="sheet-title"
      onCancel={(event) => {
        event.preventDefault();
        onBack();
      }}
      onClick={(event) => {
        if (event.target === event.currentTarget) onBack();
      }}
      onKeyDown={() => undefined}
    >
      <div class="sheet-in">
        <h2 id="sheet-title">{S.sheetTitle}</h2>
        <p class="plain-words">
          {S.sheetYouChoose}
          <b class="s">{label}</b>
          {description ? `, ${description}` : ""}
          {price && (
            <>
              , <bdi class="s nw">{money(price)}</bdi>
            </>
          )}
          .
        </p>
        <Bill option={option} />
        <p class="soft">
          <Info />
          <span>{S.sheetNote}</span>
        </p>
        <button type="button" class="btn primary" onClick={onYes}>
          {S.sheetYes}
        </button>
        <button type="button" class="btn plain" onClick={onBack}>
          {S.goBack}
        </button>
      </div>
    </dialog>
  );
}

/** What it is and what it costs, line by line. */
function Bill({ option }: { option: CardOption }) {
  const { price, price_note, route } = option;
  return (
    <dl class="bill">
      {route && (
        <>
          <div>
            <dt>{S.journey}</dt>
            <dd>
              <bdi>
                {route.departs} {route.from} → {route.arrives} {route.to}
              </bdi>
              {route.day_offset ? <sup> +{route.day_offset}</sup> : null}
            </dd>
          </div>
          <div>
            <dt>{S.duration}</dt>
            <dd>{route.duration}</dd>
          </div>
        </>
      )}
      {price_note && (
        <div>
          <dt>{S.price}</dt>
          <dd>{price_note}</dd>
        </div>
      )}
      {price && (
        <div class="total">
          <dt>{S.total}</dt>
          <dd>
            <bdi class="nw">{money(price)}</bdi>
          </dd>
        </div>
      )}
    </dl>
  );
}
