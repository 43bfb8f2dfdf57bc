// Signing in. It must not say which of the two was wrong, keeps what was typed, and never stores the password.
import { asParlourError } from "@parlour/client";
import { useState } from "preact/hooks";
import { Alert } from "../../common/icon.tsx";
import { Mark } from "./bits.tsx";
import type { Session } from "./session.ts";
import { S } from "./strings.ts";

export function Login({ session }: { session: Session }) {
  return (
    <div class="signin">
      <div class="pane">
        <div class="row">
          <Mark />
          <span class="s">{S.brand}</span>
        </div>
        <main>
          <SignInForm session={session} />
        </main>
        <p class="small f">{S.recorded}</p>
      </div>
      <Art />
    </div>
  );
}

function SignInForm({ session }: { session: Session }) {
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(session.problem.value === null ? null : S.offline);
  const signIn = async () => {
    if (busy) return;
    setBusy(true);
    setProblem(null);
    try {
      await session.signIn(email, password);
    } catch (reason) {
      const error = asParlourError(reason);
      setBusy(false);
      if (error.status === 401 || error.status === 422) setProblem(S.wrong);
      else setProblem(error.status === undefined ? S.offline : error.message);
    }
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void signIn();
      }}
    >
      <h1>{S.signIn}</h1>
      <p class="q to">{S.signInTo}</p>
      <label class="field">
        <span class="lab">{S.email}</span>
        <input
          class="input"
          type="email"
          autocomplete="username"
          required
          value={email}
          onInput={(event) => setEmail(event.currentTarget.value)}
        />
      </label>
      <label class="field">
        <span class="lab">{S.password}</span>
        <input
          class="input"
          type="password"
          autocomplete="current-password"
          required
          value={password}
          onInput={(event) => setPassword(event.currentTarget.value)}
        />
      </label>
      {problem && (
        <p class="hint bad" role="alert">
          <Alert class="sm" />
          {problem}
        </p>
      )}
      <button type="submit" class="btn primary" aria-busy={busy}>
        {busy && <span class="spin" />}
        {busy ? S.signingIn : S.signIn}
      </button>
      <p class="hint">{S.travelling}</p>
    </form>
  );
}

/** The doorway of the mark, with a sea behind it. */
function Art() {
  return (
    <div class="art" aria-hidden="true">
      <svg viewBox="0 0 720 900" preserveAspectRatio="xMidYMid slice" fill="none" stroke-width="1.5" aria-hidden="true">
        <defs>
          <linearGradient id="sun" x1="0" y1="0" x2="1" y2="1">
            <stop stop-color="#667eea" />
            <stop offset="1" stop-color="#764ba2" />
          </linearGradient>
          <clipPath id="door">
            <path d="M216 652V410a144 144 0 0 1 288 0v242z" />
          </clipPath>
        </defs>
        <path class="arch" opacity=".45" d="M96 652V386a264 264 0 0 1 528 0v266" />
        <path class="arch" opacity=".65" d="M136 652V394a224 224 0 0 1 448 0v258" />
        <path class="arch" opacity=".85" d="M176 652V402a184 184 0 0 1 368 0v250" />
        <g clip-path="url(#door)">
          <rect class="night" x="216" y="266" width="288" height="386" />
          <circle cx="404" cy="446" r="42" fill="url(#sun)" />
          {[560, 588, 616, 644].map((y) => (
            <path class="arch" key={y} d={`M200 ${y}c52-30 104-30 156 0s104 30 160 0`} />
          ))}
          <path class="shore" d="M216 534c46-10 62-34 92-38 26-4 40 26 74 30 40 6 84-8 122 2" />
        </g>
        <path class="frame-line" d="M216 652V410a144 144 0 0 1 288 0v242M40 652h640" />
      </svg>
    </div>
  );
}
