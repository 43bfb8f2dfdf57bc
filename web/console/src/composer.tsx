// Where staff write: to the client, or a note to colleagues. Enter sends, Shift+Enter makes a new line; a draft is kept for each.
// The mode must be unmistakable: a note turns the whole field amber and says who will not see it. A half-composed character never sends.
import type { Room } from "@parlour/client";
import { useEffect, useRef, useState } from "preact/hooks";
import { Lock, Send } from "../../common/icon.tsx";
import { KEYS, recall, remember } from "../../common/storage.ts";
import type { Desk } from "./desk.ts";
import { S } from "./strings.ts";

const MAX = 8000;
type Mode = "reply" | "note";

interface Props {
  desk: Desk;
  room: Room;
  to: string;
}

const draftKey = (room: Room, mode: Mode) => KEYS.draft(mode === "note" ? `${room.id}.note` : room.id);

export function Composer({ desk, room, to }: Props) {
  desk.tick.value; // follow the room
  const [mode, setMode] = useState<Mode>("reply");
  const [text, setText] = useState(() => recall(draftKey(room, "reply")) ?? "");
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => grow(field.current), [text, mode]);
  const live = room.phase === "live";
  if (live && !room.permissions.includes("send") && !room.permissions.includes("note")) {
    return <p class="composer-off q">{S.readOnly}</p>;
  }
  const write = (value: string) => {
    setText(value);
    remember(draftKey(room, mode), value);
    if (mode === "reply" && value.trim() !== "") desk.client.typing(room.id);
    else desk.client.stopTyping(room.id);
  };
  const turn = (next: Mode) => {
    setMode(next);
    setText(recall(draftKey(room, next)) ?? "");
    desk.client.stopTyping(room.id);
    field.current?.focus();
  };
  const words = text.trim();
  const tooLong = [...words].length > MAX;
  const send = () => {
    if (words === "" || tooLong) return;
    if (mode === "note") desk.client.note(room.id, words);
    else desk.client.send(room.id, words);
    write("");
    field.current?.focus();
  };
  const label = mode === "note" ? S.noteTo : S.replyTo(to);
  return (
    <form
      class={mode === "note" ? "composer noting" : "composer"}
      aria-label={S.write}
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        ref={field}
        rows={1}
        aria-label={label}
        placeholder={label}
        value={text}
        onInput={(event) => write(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
          event.preventDefault();
          send();
        }}
      />
      <div class="tools">
        <Modes mode={mode} onTurn={turn} />
        <Hint mode={mode} to={to} tooLong={tooLong} />
        <button
          type="submit"
          class={words === "" ? "btn slim icon" : "btn slim icon ready"}
          disabled={words === "" || tooLong}
          aria-label={S.send}
        >
          <Send />
        </button>
      </div>
    </form>
  );
}

function Hint({ mode, to, tooLong }: { mode: Mode; to: string; tooLong: boolean }) {
  return (
    <span class="small end" role="status">
      {tooLong ? (
        S.tooLong(MAX)
      ) : mode === "note" ? (
        <>
          <Lock class="sm" />
          {S.wontSee(to)}
        </>
      ) : (
        <>
          <kbd>Enter</kbd> {S.enterSends}
        </>
      )}
    </span>
  );
}

function Modes({ mode, onTurn }: { mode: Mode; onTurn(mode: Mode): void }) {
  return (
    <fieldset class="seg">
      <legend class="vh">{S.audience}</legend>
      <label>
        <input type="radio" name="mode" checked={mode === "reply"} onChange={() => onTurn("reply")} />
        {S.reply}
      </label>
      <label class="n">
        <input type="radio" name="mode" checked={mode === "note"} onChange={() => onTurn("note")} />
        <Lock class="sm" />
        {S.noteTab}
      </label>
    </fieldset>
  );
}

/** As tall as its words, up to eight lines. */
function grow(field: HTMLTextAreaElement | null): void {
  if (!field) return;
  field.style.blockSize = "auto";
  field.style.blockSize = `${Math.min(field.scrollHeight, 180)}px`;
}
