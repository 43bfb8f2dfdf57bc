// The two full pages: the door one enters by, and the friendly end of a link (expired, closed, unknown).
// The door names nobody and sends nothing until its button is pressed. An end must say how to reach the organization, if it may.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Alert, ArrowRight, Call, Chat, Check, ChevronRight, Eye, Mail } from "../../common/icon.tsx";
import type { Facts, Organization } from "./facts.ts";
import type { Guest } from "./guest.ts";
import { Logo } from "./logo.tsx";
import { S } from "./strings.ts";

function Band({ organization, low }: { organization: Organization | null; low?: boolean }) {
  return (
    <header class={low ? "band low" : "band"}>
      <svg
        class="lines"
        viewBox="0 0 390 200"
        preserveAspectRatio="xMaxYMax slice"
        fill="none"
        stroke="currentColor"
        stroke-width="1.25"
        aria-hidden="true"
      >
        <circle cx="316" cy="84" r="34" />
        <path d="M180 132c35-22 70-22 105 0s70 22 130 0M150 152c45-22 90-22 135 0s70 22 130 0M120 172c55-22 110-22 165 0s70 22 130 0M90 192c65-22 130-22 195 0s70 22 130 0" />
      </svg>
      {organization && (
        <>
          <Logo organization={organization} />
          <p>{organization.name}</p>
        </>
      )}
    </header>
  );
}

function Can({ when, children }: { when: boolean; children: ComponentChildren }) {
  return when ? <li>{children}</li> : null;
}

export function Door({ guest, busy }: { guest: Guest; busy: boolean }) {
  const { facts } = guest;
  const [name, setName] = useState(guest.name);
  const problem = guest.problem.value;
  return (
    <div class="app">
      <Band organization={facts.organization} />
      <main class="door">
        <h1>{S.doorTitle}</h1>
        {facts.expires_at && <p class="lead">{S.doorLead(facts.expires_at)}</p>}
        <ul class="can">
          <Can when={true}>
            <Eye />
            {S.canRead}
          </Can>
          <Can when={facts.permissions.includes("respond")}>
            <Chat />
            {S.canWrite}
          </Can>
          <Can when={facts.permissions.includes("select_options")}>
            <Check />
            {S.canChoose}
          </Can>
        </ul>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (!busy) void guest.enter(name);
          }}
        >
          <label class="field">
            <span>
              {S.nameLabel} <i>{S.optional}</i>
            </span>
            <input
              autocomplete="given-name"
              enterkeyhint="go"
              maxLength={80}
              placeholder={S.namePlaceholder}
              value={name}
              onInput={(event) => setName(event.currentTarget.value)}
            />
          </label>
          {problem && (
            <p class="trouble" role="alert">
              <Alert />
              {problem}
            </p>
          )}
          <button type="submit" class="btn primary" aria-busy={busy}>
            {busy ? <span class="spin" /> : null}
            {busy ? S.entering : S.enter}
            {busy ? null : <ArrowRight class="flip" />}
          </button>
        </form>
      </main>
    </div>
  );
}

interface EndedProps {
  facts: Facts;
  until: string | null;
  why: "expired" | "closed" | "unknown";
}

export function Ended({ facts, until, why }: EndedProps) {
  const { organization } = facts;
  const title = useRef<HTMLHeadingElement>(null);
  // Whoever cannot see it is told where they are now: the room they were in is gone.
  useEffect(() => title.current?.focus(), []);
  const known = why !== "unknown";
  const lead = why === "expired" ? S.endedLead(until) : why === "closed" ? S.revokedLead : S.unknownLead;
  return (
    <div class="app">
      <Band organization={organization} low />
      <main class="door">
        <h1 ref={title} tabIndex={-1}>
          {known ? S.endedTitle : S.unknownTitle}
        </h1>
        <p class="lead">{lead}</p>
        {known && <Ways organization={organization} />}
      </main>
    </div>
  );
}

function Ways({ organization }: { organization: Organization | null }) {
  const phone = organization?.contact_phone;
  const email = organization?.contact_email;
  if (!phone && !email) return <p class="lead after">{S.askWhoSent}</p>;
  return (
    <>
      <p class="lead after">{S.askAgain}</p>
      <div class="ways">
        {phone && (
          <a href={`tel:${phone.replace(/[^+\d]/g, "")}`}>
            <Call />
            <span>
              <b>{S.callUs}</b>
              <bdi>{phone}</bdi>
            </span>
            <ChevronRight class="flip" />
          </a>
        )}
        {email && (
          <a href={`mailto:${email}`}>
            <Mail />
            <span>
              <b>{S.email}</b>
              <bdi>{email}</bdi>
            </span>
            <ChevronRight class="flip" />
          </a>
        )}
      </div>
    </>
  );
}
