// Words in the log that can still change: the bubble, its mark "edited", its tombstone, and the small menu to edit or remove it.
// It must never draw a removed text, and never send anything itself: it calls the SDK, which shows the change at once and takes it back when
// the server refuses. Used by console/src/lines.tsx and page/src/log.tsx; what is said stands in their strings modules.
import type { ParlourClient, Room } from "@parlour/client";
import { useEffect, useRef, useState } from "preact/hooks";
import { time } from "./format.ts";
import { Alert, More, Stop } from "./icon.tsx";
import type { Bubble, StoredLine } from "./transcript.ts";

const EDIT_WITHIN_MS = 15 * 60_000;
const TEXT_MAX = 8000;

export interface WordStrings {
  more: string;
  edit: string;
  remove: string;
  removeAsk: string;
  keep: string;
  save: string;
  cancel: string;
  editLabel: string;
  edited: string;
  gone: (kind: string) => string;
  notChanged: string;
  refusals: Record<string, string>;
  dismiss: string;
  tooLong: (max: number) => string;
}

interface Props {
  bubble: Bubble;
  client: ParlourClient | null;
  room: Room;
  words: WordStrings;
  class: string;
  /** With a keyboard Enter saves; on a phone it makes a new line. */
  enterSaves: boolean;
}

function isMine(client: ParlourClient, line: StoredLine): boolean {
  const { author } = line.entry;
  return author.id === client.me?.id && author.kind === client.me.kind;
}

function mayEdit(client: ParlourClient, room: Room, line: StoredLine): boolean {
  const right = line.entry.kind === "note" ? "note" : "send";
  const recent = Date.now() - Date.parse(line.entry.at) < EDIT_WITHIN_MS;
  return isMine(client, line) && recent && room.permissions.includes(right);
}

function mayRemove(client: ParlourClient, room: Room, line: StoredLine): boolean {
  const right = line.entry.kind === "note" ? "note" : "send";
  return room.permissions.includes("redact") || (isMine(client, line) && room.permissions.includes(right));
}

export function Said({ bubble, client, room, words, class: name, enterSaves }: Props) {
  const [editing, setEditing] = useState(false);
  const [asked, setAsked] = useState(0);
  const { line, echo } = bubble;
  if (line?.redacted) return <Gone line={line} class={name} words={words} />;
  const may = client && line && !line.change ? mayRemove(client, room, line) || mayEdit(client, room, line) : false;
  if (editing && client && line) {
    const done = (text: string | null) => {
      setEditing(false);
      setAsked(asked + 1);
      if (text !== null && text !== bubble.text) client.edit(room.id, line, text);
    };
    return <Rewrite text={bubble.text} words={words} enterSaves={enterSaves} onDone={done} />;
  }
  const waits = echo || (line?.change && line.change.state !== "failed");
  return (
    <div class="said">
      <p class={`${name} ${waits ? "pending" : ""}`} dir="auto">
        {bubble.text}
        {line?.edited && <Edited at={line.edited.at} words={words} />}
      </p>
      {may && client && line && (
        <Menu
          key={asked}
          returning={asked > 0}
          words={words}
          text={bubble.text}
          mayEdit={() => mayEdit(client, room, line)}
          mayRemove={() => mayRemove(client, room, line)}
          onEdit={() => setEditing(true)}
          onRemove={() => client.redact(room.id, line)}
        />
      )}
      {line?.change?.state === "failed" && client && <Refused line={line} client={client} room={room} words={words} />}
    </div>
  );
}

function Edited({ at, words }: { at: string; words: WordStrings }) {
  return (
    <span class="edited" title={time(at)}>
      {" "}
      {words.edited}
    </span>
  );
}

function Gone({ line, class: name, words }: { line: StoredLine; class: string; words: WordStrings }) {
  return (
    <div class="said">
      <p class={`${name} gone`}>
        <Stop class="sm" />
        {words.gone(line.entry.kind)}
      </p>
    </div>
  );
}

function Refused({ line, client, room, words }: Pick<Props, "room" | "words"> & RefusedProps) {
  const { change } = line;
  if (!change) return null;
  const reason = String(change.error?.details.reason ?? change.error?.code);
  return (
    <p class="unchanged" role="alert">
      <Alert class="sm" />
      <span>
        {words.notChanged} {words.refusals[reason] ?? ""}
      </span>
      <button type="button" onClick={() => client.discard(room.id, change.command.client_id)}>
        {words.dismiss}
      </button>
    </p>
  );
}

interface RefusedProps {
  line: StoredLine;
  client: ParlourClient;
}

interface MenuProps {
  words: WordStrings;
  text: string;
  returning: boolean;
  mayEdit(): boolean;
  mayRemove(): boolean;
  onEdit(): void;
  onRemove(): void;
}

/** A disclosure, not an ARIA menu: two buttons in reading order, Escape and a step outside close it. */
function Menu({ words, text, returning, mayEdit: canEdit, mayRemove: canRemove, onEdit, onRemove }: MenuProps) {
  const [open, setOpen] = useState<"closed" | "menu" | "sure">("closed");
  const [above, setAbove] = useState(true);
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (returning) button.current?.focus();
  }, []);
  useEffect(() => watchOutside(box.current, open !== "closed", () => setOpen("closed")), [open]);
  useEffect(() => {
    if (open !== "closed") box.current?.querySelector<HTMLElement>(".word-menu button")?.focus();
  }, [open]);
  useLongPress(box, () => reveal());

  const reveal = () => {
    const log = box.current?.closest("[role=log]")?.getBoundingClientRect();
    const here = button.current?.getBoundingClientRect();
    setAbove(!log || !here || here.top - log.top > 140);
    setOpen("menu");
  };
  const close = () => {
    setOpen("closed");
    button.current?.focus();
  };
  const remove = () => {
    // The button goes with the words: the log takes the focus it had.
    box.current?.closest<HTMLElement>("[role=log]")?.focus({ preventScroll: true });
    onRemove();
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Escape is heard for the buttons inside
    <div
      class="word-tools"
      ref={box}
      onKeyDown={(event) => {
        if (event.key !== "Escape" || open === "closed") return;
        event.stopPropagation();
        close();
      }}
    >
      <button
        type="button"
        class="word-more"
        ref={button}
        aria-expanded={open !== "closed"}
        aria-label={`${words.more}: ${text.slice(0, 40)}`}
        onClick={() => (open === "closed" ? reveal() : close())}
      >
        <More />
      </button>
      {open !== "closed" && (
        <div class={above ? "word-menu above" : "word-menu"}>
          {open === "menu" && canEdit() && (
            <button type="button" onClick={onEdit}>
              {words.edit}
            </button>
          )}
          {open === "menu" && canRemove() && (
            <button type="button" class="bad" onClick={() => setOpen("sure")}>
              {words.remove}
            </button>
          )}
          {open === "sure" && <Sure words={words} onYes={remove} onNo={close} />}
        </div>
      )}
    </div>
  );
}

function Sure({ words, onYes, onNo }: { words: WordStrings; onYes(): void; onNo(): void }) {
  return (
    <>
      <p>{words.removeAsk}</p>
      <button type="button" class="bad" onClick={onYes}>
        {words.remove}
      </button>
      <button type="button" onClick={onNo}>
        {words.keep}
      </button>
    </>
  );
}

function watchOutside(box: HTMLElement | null, active: boolean, leave: () => void): (() => void) | undefined {
  if (!active || !box) return undefined;
  const look = (event: Event) => {
    if (!box.contains(event.target as Node)) leave();
  };
  document.addEventListener("pointerdown", look);
  document.addEventListener("focusin", look);
  return () => {
    document.removeEventListener("pointerdown", look);
    document.removeEventListener("focusin", look);
  };
}

/** A long press on the words opens their menu where there is no pointer to hover; selecting text with a mouse stays as it is. */
function useLongPress(box: { current: HTMLElement | null }, open: () => void): void {
  useEffect(() => {
    const said = box.current?.closest(".said");
    if (!said || !matchMedia("(pointer: coarse)").matches) return;
    const press = (event: Event) => {
      event.preventDefault();
      open();
    };
    said.addEventListener("contextmenu", press);
    return () => said.removeEventListener("contextmenu", press);
  }, []);
}

interface RewriteProps {
  text: string;
  words: WordStrings;
  enterSaves: boolean;
  /** `null`: nothing changes. */
  onDone(text: string | null): void;
}

/** The same words in a field, in the place where they stand. */
function Rewrite({ text, words, enterSaves, onDone }: RewriteProps) {
  const [now, setNow] = useState(text);
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    field.current?.focus();
    field.current?.setSelectionRange(text.length, text.length);
  }, []);
  const trimmed = now.trim();
  const tooLong = [...trimmed].length > TEXT_MAX;
  const may = trimmed !== "" && !tooLong;
  return (
    <form
      class="rewrite"
      onSubmit={(event) => {
        event.preventDefault();
        if (may) onDone(trimmed);
      }}
    >
      <textarea
        ref={field}
        aria-label={words.editLabel}
        rows={Math.min(8, now.split("\n").length + 1)}
        value={now}
        onInput={(event) => setNow(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") {
            event.stopPropagation();
            onDone(null);
          }
          if (event.key !== "Enter" || event.shiftKey || event.isComposing || !enterSaves) return;
          event.preventDefault();
          if (may) onDone(trimmed);
        }}
      />
      {tooLong && <p role="alert">{words.tooLong(TEXT_MAX)}</p>}
      <div>
        <button type="button" onClick={() => onDone(null)}>
          {words.cancel}
        </button>
        <button type="submit" class="yes" disabled={!may}>
          {words.save}
        </button>
      </div>
    </form>
  );
}
