// Small things the console shows in many places: avatars, stages, the product's mark, a dialog's frame.
// People are circles, systems are squares; a stage is a pie beside its word, never a colour alone.
import type { ActorKind } from "@parlour/client";
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { initials } from "../../common/format.ts";
import {
  Close,
  Decided,
  Spark,
  StageBooked,
  StageLead,
  StageLost,
  StageQualified,
  StageQuoted,
} from "../../common/icon.tsx";
import { openModal } from "../../common/modal.ts";
import { S, stageName } from "./strings.ts";

interface AvatarProps {
  name: string;
  kind?: ActorKind;
  size?: "sm" | "xs" | "";
  online?: boolean;
  /** Perhaps online: an open ring instead of a dot. */
  unsure?: boolean;
  me?: boolean;
}

export function Avatar({ name, kind = "guest", size = "", online, unsure, me }: AvatarProps) {
  const system = kind === "service";
  const presence = online ? "on" : unsure ? "unsure" : "";
  return (
    <span class={`av ${size} ${presence} ${me ? "me" : ""} ${system ? "sys" : ""}`} aria-hidden="true">
      {system ? <Spark /> : initials(name)}
    </span>
  );
}

const PIES: Record<string, typeof StageLead> = {
  lead: StageLead,
  qualified: StageQualified,
  quoted: StageQuoted,
  booked: StageBooked,
  completed: Decided,
  lost: StageLost,
};

export function Stage({ stage }: { stage: string }) {
  const Pie = PIES[stage] ?? StageLead;
  return (
    <span class={`stage stage-${stage}`}>
      <Pie />
      {stageName(stage)}
    </span>
  );
}

export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" role="img" aria-label={S.brand}>
      <defs>
        <linearGradient id="mark-ground" x1="0" y1="0" x2="1" y2="1">
          <stop stop-color="#667eea" />
          <stop offset="1" stop-color="#764ba2" />
        </linearGradient>
      </defs>
      <rect width="32" height="32" rx="9" fill="url(#mark-ground)" />
      <path d="M9 24V14.5a7 7 0 0 1 14 0V24" fill="none" stroke="#fff" stroke-width="2.2" stroke-linecap="round" />
      <path d="M13.2 24v-8.7a2.8 2.8 0 0 1 5.6 0V24z" fill="#fff" />
    </svg>
  );
}

interface DialogProps {
  title: string;
  size: "wide" | "small";
  onClose(): void;
  children: ComponentChildren;
}

/** A native dialog: focus stays inside, Escape closes, focus goes back to what opened it. */
export function Dialog({ title, size, onClose, children }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => openModal(element.current), []);
  return (
    <dialog
      ref={element}
      class={`dialog ${size}`}
      aria-labelledby="dialog-title"
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <header>
        <h2 id="dialog-title" class="grow">
          {title}
        </h2>
        <button type="button" class="btn ghost icon" aria-label={S.close} onClick={onClose}>
          <Close />
        </button>
      </header>
      {children}
    </dialog>
  );
}

/** The time, renewed at an interval: for what is said about it. */
export function useNow(everyMs: number): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}
