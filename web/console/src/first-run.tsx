// The middle of the console when no conversation is open: the first steps, or a quiet word.
import { Chat, Plus } from "../../common/icon.tsx";
import { S } from "./strings.ts";

export function FirstRun({ onNew }: { onNew(): void }) {
  return (
    <main class="first">
      <div class="in">
        <div>
          <h2>{S.firstTitle}</h2>
          <p class="q words">{S.firstWords}</p>
          <ol class="steps">
            <li class="now" aria-current="step">
              <span class="num">1</span>
              <div>
                <h3>{S.step1}</h3>
                <p class="q">{S.step1Words}</p>
                <button type="button" class="btn primary" onClick={onNew}>
                  <Plus />
                  {S.newConversation}
                </button>
              </div>
            </li>
            <li>
              <span class="num">2</span>
              <div>
                <h3>{S.step2}</h3>
                <p class="small q">{S.step2Words}</p>
              </div>
            </li>
            <li>
              <span class="num">3</span>
              <div>
                <h3>{S.step3}</h3>
                <p class="small q">{S.step3Words}</p>
              </div>
            </li>
          </ol>
        </div>
        <Phone />
      </div>
    </main>
  );
}

export function PickOne() {
  return (
    <main class="first pick">
      <div>
        <Chat class="lg" />
        <h2>{S.pick}</h2>
        <p class="q">{S.pickWords}</p>
      </div>
    </main>
  );
}

/** A client's phone with an offer on it, in outline. */
function Phone() {
  return (
    <svg class="phone" viewBox="0 0 304 520" fill="none" aria-hidden="true">
      <rect class="shell" x="28" y="8" width="248" height="504" rx="34" />
      <path class="bar" d="M29 84V42A33 33 0 0 1 62 9h180a33 33 0 0 1 33 33v42z" />
      <circle class="dim" cx="66" cy="55" r="14" />
      <path class="words" d="M94 49h76M94 62h110" />
      <rect class="bubble" x="48" y="104" width="146" height="40" rx="14" />
      <path class="words" d="M66 119h100M66 130h62" />
      <rect class="sheet" x="48" y="160" width="208" height="226" rx="16" />
      <path class="words" d="M68 182h88" />
      {[202, 260, 318].map((y, index) => (
        <g key={y} class={index === 1 ? "option chosen" : "option"}>
          <rect x="60" y={y} width="184" height="50" rx="10" />
          <circle cx="78" cy={y + 25} r="7" />
          <path class="words" d={`M100 ${y + 18}h52M100 ${y + 33}h38M196 ${y + 18}h34`} />
        </g>
      ))}
      <rect class="own" x="118" y="402" width="138" height="28" rx="14" />
      <rect class="field" x="48" y="456" width="208" height="36" rx="18" />
    </svg>
  );
}
