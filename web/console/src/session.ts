// Who is signed in: an access token in memory, a refresh token in a cookie this code cannot read.
// A refresh token works once: never two refreshes at a time, in this window (one promise) or beside it (one lock).
// Used by desk.ts (socket and HTTP) and login.tsx.

import { Api, asParlourError, type Me, type Tokens } from "@parlour/client";
import { signal } from "@preact/signals";
import { KEYS, recall, remember } from "../../common/storage.ts";

const MARGIN = 5000;
/** Endings of a session: nothing but a new sign-in helps. */
const OVER = ["UNAUTHENTICATED", "FORBIDDEN", "NOT_FOUND", "INVALID", "MALFORMED"];

export class Session {
  readonly state = signal<"restoring" | "out" | "in">("restoring");
  readonly me = signal<Me | null>(null);
  readonly problem = signal<string | null>(null);
  readonly api = new Api({ token: () => this.token(false) });
  #token = "";
  #ends = 0;
  #refreshing: Promise<string> | null = null;

  /** On load: the cookie may still be good. */
  async restore(): Promise<void> {
    if (recall(KEYS.session) === null) {
      this.state.value = "out";
      return;
    }
    try {
      await this.token(true);
      await this.#enter();
    } catch (reason) {
      const error = asParlourError(reason);
      if (OVER.includes(error.code)) remember(KEYS.session, "");
      else this.problem.value = error.code;
      this.state.value = "out";
    }
  }

  async signIn(email: string, password: string): Promise<void> {
    this.#keep(await this.api.login(email, password, "cookie"));
    await this.#enter();
  }

  async signOut(): Promise<void> {
    const waiting = KEYS.outbox(this.me.peek()?.user.id ?? "");
    await this.api.logout().catch(() => undefined);
    this.end();
    // Whoever signs out leaves no words of theirs in this browser.
    remember(waiting, "");
  }

  end(): void {
    this.#token = "";
    this.#ends = 0;
    this.me.value = null;
    remember(KEYS.session, "");
    this.state.value = "out";
  }

  async token(stale: boolean): Promise<string> {
    if (!stale && Date.now() < this.#ends - MARGIN) return this.#token;
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  async #refresh(): Promise<string> {
    const ask = () => this.api.refresh();
    // `locks` is there in secure contexts only; without it two windows refreshing at one moment may cost one of them its session.
    const tokens = navigator.locks ? await navigator.locks.request("parlour.refresh", ask) : await ask();
    this.#keep(tokens);
    return this.#token;
  }

  #keep(tokens: Tokens): void {
    this.#token = tokens.access_token;
    this.#ends = Date.now() + tokens.expires_in * 1000;
  }

  async #enter(): Promise<void> {
    this.me.value = await this.api.me();
    this.problem.value = null;
    remember(KEYS.session, "1");
    this.state.value = "in";
  }
}
