// Where a guest writes. Enter makes a new line on a phone and sends with a keyboard; the button always sends.
// Words are never lost: the draft stays in the field until the SDK took them, and the SDK keeps them until they are stored.
import type { Room } from "@parlour/client";
import { useEffect, useRef, useState } from "preact/hooks";
import { Send } from "../../common/icon.tsx";
import { KEYS, recall, remember } from "../../common/storage.ts";
import type { Guest } from "./guest.ts";
import { S } from "./strings.ts";

const MAX = 8000;
const touch = matchMedia("(pointer: coarse)");

interface Props {
  guest: Guest;
  room: Room;
  to: string;
}

export function Composer({ guest, room, to }: Props) {
  guest.tick.value; // follow the room
  const [text, setText] = useState(() => recall(KEYS.draft(room.id)) ?? "");
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => grow(field.current), [text]);

  if (room.phase === "live" && !room.permissions.includes("send")) return <p class="readonly">{S.mayOnlyRead}</p>;

  const write = (value: string) => {
    setText(value);
    remember(KEYS.draft(room.id), value);
    if (value.trim() !== "" && room.permissions.includes("typing")) guest.client?.typing(room.id);
    else guest.client?.stopTyping(room.id);
  };
  const words = text.trim();
  const tooLong = [...words].length > MAX;
  const send = () => {
    if (words === "" || tooLong) return;
    guest.client?.send(room.id, words);
    write("");
    field.current?.focus();
  };
  const label = S.write(to);
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      {tooLong && (
        <p class="trouble" role="alert">
          {S.tooLong(MAX)}
        </p>
      )}
      <textarea
        ref={field}
        rows={1}
        aria-label={label}
        placeholder={label}
        value={text}
        onInput={(event) => write(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key !== "Enter" || event.shiftKey || event.isComposing || touch.matches) return;
          event.preventDefault();
          send();
        }}
      />
      <button
        type="submit"
        class={words === "" ? "send" : "send ready"}
        aria-label={guest.line.value === "connected" ? S.send : S.sendLater}
      >
        <Send />
      </button>
    </form>
  );
}

/** As tall as its words, up to five lines. */
function grow(field: HTMLTextAreaElement | null): void {
  if (!field) return;
  field.style.blockSize = "auto";
  field.style.blockSize = `${Math.min(field.scrollHeight + 2, 140)}px`;
}
