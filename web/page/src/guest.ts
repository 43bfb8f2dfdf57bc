// One guest on one link: entering, staying, and being told that it ended. The state of the page, as signals.
// It must never claim before the person asks for it (or did so earlier on this device), and keeps tokens in memory only.
// Network code is the SDK's; drawing is app.tsx and below.

import {
  Api,
  asParlourError,
  type Claim,
  type ConnectionState,
  LINK_ENDED,
  ParlourClient,
  type ParlourError,
  type Positioned,
  type Room,
} from "@parlour/client";
import { type Signal, signal } from "@preact/signals";
import { announce } from "../../common/announce.ts";
import { socketUrl } from "../../common/socket-url.ts";
import { KEYS, kept, recall, remember } from "../../common/storage.ts";
import type { Facts } from "./facts.ts";
import { S } from "./strings.ts";

export type Place = "door" | "entering" | "room" | "expired" | "closed" | "unknown";

/** A token with less life than this is renewed before it is used. */
const MARGIN = 5000;

export class Guest {
  readonly facts: Facts;
  readonly place = signal<Place>("door");
  /** When the link ends: staff may move it while the page is open. */
  readonly ends: Signal<string | null>;
  readonly problem = signal<string | null>(null);
  readonly line = signal<ConnectionState>("initialized");
  /** Counts changes of `room`: reading it makes a component follow them. */
  readonly tick = signal(0);
  /** Nobody entered by this link on this device before. */
  readonly firstVisit: boolean;
  room: Room | null = null;
  client: ParlourClient | null = null;
  readonly #api = new Api();
  #token = "";
  #tokenEnds = 0;
  #name: string;

  constructor(facts: Facts) {
    this.facts = facts;
    this.ends = signal(facts.expires_at);
    this.firstVisit = this.#deviceKey === undefined;
    this.#name = recall(KEYS.name(facts.organization?.name ?? "")) ?? "";
    if (facts.state === "expired") this.place.value = "expired";
    else if (facts.state === "unknown") this.place.value = "unknown";
    else if (this.#deviceKey) void this.enter(this.#name);
  }

  get name(): string {
    return this.#name;
  }

  get #deviceKey(): string | undefined {
    return recall(KEYS.device(this.facts.link)) ?? undefined;
  }

  /** Told once, when a person really sees the page: link previews and prerenderers never do. */
  reportOpen(): void {
    if (this.facts.state !== "live") return;
    const tell = () => {
      if (document.visibilityState !== "visible") return;
      document.removeEventListener("visibilitychange", tell);
      this.#api.opened(this.facts.token).catch(() => undefined);
    };
    document.addEventListener("visibilitychange", tell);
    tell();
  }

  async enter(name: string): Promise<void> {
    this.place.value = "entering";
    this.problem.value = null;
    this.#name = name.trim();
    try {
      const claim = await this.#claim();
      remember(KEYS.name(this.facts.organization?.name ?? ""), this.#name);
      this.#meet(claim.conversation_id);
    } catch (reason) {
      this.#refused(asParlourError(reason));
    }
  }

  async #claim(): Promise<Claim> {
    const claim = await this.#api.claim(this.facts.token, this.#name, this.#deviceKey);
    remember(KEYS.device(this.facts.link), claim.device_key);
    this.#keep(claim.guest_token, claim.expires_in * 1000);
    return claim;
  }

  #keep(token: string, lifeMs: number): void {
    this.#token = token;
    this.#tokenEnds = Date.now() + lifeMs;
  }

  /** The end of the link as it is now; told by nobody, so it is looked up whenever the token is renewed. */
  async #lookAgain(): Promise<void> {
    try {
      this.ends.value = (await this.#api.link(this.facts.token)).expires_at;
    } catch {
      // Looked up again at the next renewal; an end is told by the socket.
    }
  }

  #refused(error: ParlourError): void {
    if (error.code === "GONE") this.place.value = "expired";
    else if (error.code === "NOT_FOUND") this.place.value = "unknown";
    else {
      this.place.value = "door";
      if (error.code === "SEATS_FULL") this.problem.value = S.seatsFull;
      else if (error.code === "RATE_LIMITED") this.problem.value = S.tooFast;
      else this.problem.value = error.status === undefined ? S.noConnection : error.message;
    }
  }

  #meet(conversation: string): void {
    const client = new ParlourClient({
      url: socketUrl(),
      credentials: {
        renewal: "re-read",
        token: async (stale) => {
          if (stale || Date.now() > this.#tokenEnds - MARGIN) await this.#claim();
          return this.#token;
        },
        keep: (token, lifeMs) => {
          this.#keep(token, lifeMs);
          void this.#lookAgain();
        },
      },
      queue: { storage: kept, key: KEYS.outbox(this.facts.link) },
    });
    this.client = client;
    client.on("state", ({ current, code, reason }) => {
      this.line.value = current;
      if (current !== "failed") return;
      if (code === LINK_ENDED || reason?.code === "GONE") {
        const ends = this.ends.peek();
        const over = ends !== null && Date.parse(ends) <= Date.now() + 1000;
        this.place.value = over ? "expired" : "closed";
      } else this.place.value = "closed";
    });
    client.on("room", (room) => {
      if (room.phase === "gone") this.place.value = "closed";
      this.tick.value += 1;
    });
    client.on("entry", ({ at }) => this.#tell(at));
    this.room = client.join(conversation);
    client.connect();
    this.place.value = "room";
  }

  #tell({ entry }: Positioned): void {
    if (entry.author.id === this.client?.me?.id) return;
    if (entry.kind === "redaction") announce(S.removed);
    else if (entry.kind === "message" && !entry.body.redacted) announce(S.said(entry.author.name, entry.body.text));
    else if (entry.kind === "card") announce(S.said(entry.author.name, entry.body.card.title));
    else if (entry.kind === "selection") announce(S.chose(false, entry.author.name, entry.body.labels.join(", ")));
  }
}
