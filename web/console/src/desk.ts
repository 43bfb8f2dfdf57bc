// The state of the console while somebody is signed in: the inbox, the open conversation, its links, and the line.
// Components read signals and call methods here; they never touch a socket. Unread is what the server says, except for what is being read.

import {
  asParlourError,
  type ConnectionState,
  type ConversationRow,
  ParlourClient,
  type Positioned,
  type Room,
  type Share,
} from "@parlour/client";
import { computed, effect, signal } from "@preact/signals";
import { announce } from "../../common/announce.ts";
import { socketUrl } from "../../common/socket-url.ts";
import { KEYS, kept } from "../../common/storage.ts";
import type { Arrival } from "../../common/transcript.ts";
import { type Filter, route, show } from "./route.ts";
import type { Session } from "./session.ts";
import { S } from "./strings.ts";

const PAGE = 50;
const CENSUS = 100;

export class Desk {
  readonly session: Session;
  readonly client: ParlourClient;
  readonly line = signal<ConnectionState>("initialized");
  /** Counts changes of the open room: reading it makes a component follow them. */
  readonly tick = signal(0);
  readonly rows = signal<ConversationRow[] | null>(null);
  /** Every row seen, also those a filter hides: unread is counted over all of them. */
  readonly #known = signal<ReadonlyMap<string, ConversationRow>>(new Map());
  readonly total = signal(0);
  readonly problem = signal<string | null>(null);
  readonly shares = signal<Share[]>([]);
  readonly arrivals = signal<Arrival[]>([]);
  /** The open conversation is on a visible, focused page and read to its end. */
  readonly reading = signal(false);
  #room: Room | null = null;
  #page = 1;
  #asked = 0;
  readonly #stops: (() => void)[] = [];

  constructor(session: Session) {
    this.session = session;
    this.client = new ParlourClient({
      url: socketUrl(),
      credentials: { renewal: "hand-in", token: (stale) => session.token(stale) },
      queue: { storage: kept, key: KEYS.outbox(session.me.peek()?.user.id ?? "") },
    });
    this.client.on("state", ({ current, reason }) => {
      this.line.value = current;
      if (current === "failed" && (!reason || reason.code === "UNAUTHENTICATED")) session.end();
    });
    this.client.on("room", (room) => {
      if (room === this.#room) this.tick.value += 1;
    });
    this.client.on("ready", () => {
      void this.list();
      void this.#census();
      if (this.#room) void this.#loadShares(this.#room.id);
    });
    this.client.on("inbox", (row) => this.#hearRow(row));
    this.client.on("entry", ({ at }) => this.#tell(at));
    this.client.on("share", ({ conversation, share }) => {
      if (conversation === this.#room?.id) this.putShare(share);
    });
    this.client.on("presence", ({ room, who, state, before }) => {
      if (room !== this.#room || who.kind !== "guest" || state !== "online" || before !== "offline") return;
      const arrival = { after: room.last, who, at: new Date().toISOString() };
      this.arrivals.value = [...this.arrivals.value, arrival];
    });
    this.client.subscribeInbox();
    this.client.connect();
    const filter = computed(() => route.value.filter);
    this.#stops.push(
      effect(() => this.#enter(route.value.conversation)),
      effect(() => {
        filter.value; // list anew when a filter changes
        void this.list();
      }),
      effect(() => {
        document.title = S.title(this.unread);
      }),
    );
  }

  close(): void {
    for (const stop of this.#stops) stop();
    this.client.close();
    document.title = S.brand;
  }

  /** The open room. Read `tick` to follow it. */
  get room(): Room | null {
    return this.#room;
  }

  get unread(): number {
    return [...this.#known.value.values()].reduce((sum, row) => sum + this.unreadOf(row), 0);
  }

  row(id: string | null): ConversationRow | undefined {
    return id === null ? undefined : this.#known.value.get(id);
  }

  unreadOf(row: ConversationRow): number {
    return this.reading.value && row.id === route.value.conversation ? 0 : row.unread;
  }

  // --- inbox -------------------------------------------------------------------------------------------------------

  async list(more = false): Promise<void> {
    this.#asked += 1;
    const asked = this.#asked;
    const { filter } = route.peek();
    const page = more ? this.#page + 1 : 1;
    try {
      const { items, total } = await this.session.api.conversations({
        page,
        limit: PAGE,
        sort: filter.oldest ? "last_entry_at" : "-last_entry_at",
        ...(filter.status !== "all" && { status: filter.status }),
        ...(filter.stage && { stage: filter.stage }),
        ...(filter.q && { q: filter.q }),
      });
      if (asked !== this.#asked) return;
      const held = more ? (this.rows.peek() ?? []) : [];
      this.#page = page;
      this.rows.value = [...held, ...items.filter((it) => !held.some((row) => row.id === it.id))];
      this.#know(items);
      this.total.value = total;
      this.problem.value = null;
    } catch (reason) {
      if (asked === this.#asked) this.problem.value = asParlourError(reason).requestId ?? "";
    }
  }

  /** The newest conversations whatever the filter, for the count of unread words. */
  async #census(): Promise<void> {
    try {
      this.#know((await this.session.api.conversations({ limit: CENSUS })).items);
    } catch {
      // The count is then that of the list; the next `ready` asks again.
    }
  }

  #know(rows: ConversationRow[]): void {
    this.#known.value = new Map([...this.#known.peek(), ...rows.map((row) => [row.id, row] as const)]);
  }

  #hearRow(row: ConversationRow): void {
    this.#know([row]);
    const rows = this.rows.peek();
    if (rows === null) return;
    const { filter } = route.peek();
    if (filter.q) {
      void this.list(); // what matches is the server's to say
      return;
    }
    const others = rows.filter((it) => it.id !== row.id);
    const fits = matches(row, filter);
    if (fits && others.length === rows.length) this.total.value += 1;
    this.rows.value = (fits ? [...others, row] : others).sort(order(filter));
  }

  // --- the open conversation ---------------------------------------------------------------------------------------

  #enter(conversation: string | null): void {
    if (conversation === (this.#room?.id ?? null)) return;
    if (this.#room) this.client.leave(this.#room.id);
    this.#room = conversation ? this.client.join(conversation) : null;
    if (conversation) this.client.view(conversation, "auto");
    this.arrivals.value = [];
    this.shares.value = [];
    this.reading.value = false;
    this.tick.value = this.tick.peek() + 1;
    if (conversation) void this.#loadShares(conversation);
  }

  async #loadShares(conversation: string): Promise<void> {
    try {
      const shares = await this.session.api.shares(conversation);
      if (this.#room?.id === conversation)
        this.shares.value = shares.sort((a, b) => b.created_at.localeCompare(a.created_at));
    } catch {
      // The panel then shows no link; the dialog asks again when it is opened.
    }
  }

  reloadShares(): void {
    if (this.#room) void this.#loadShares(this.#room.id);
  }

  putShare(share: Share): void {
    const shares = this.shares.peek();
    const known = shares.some((it) => it.id === share.id);
    this.shares.value = known ? shares.map((it) => (it.id === share.id ? share : it)) : [share, ...shares];
  }

  async create(title: string, key: string): Promise<void> {
    const row = await this.session.api.createConversation(title, key);
    this.#hearRow(row);
    show(row.id);
  }

  #tell({ entry }: Positioned): void {
    if (entry.author.id === this.client.me?.id) return;
    if (entry.kind === "redaction") announce(S.removed);
    else if ((entry.kind === "message" || entry.kind === "note") && !entry.body.redacted)
      announce(S.said(entry.author.name, entry.body.text));
    else if (entry.kind === "selection") announce(`${entry.author.name} ${S.chose(entry.body.labels.join(", "))}`);
  }
}

function matches(row: ConversationRow, filter: Filter): boolean {
  return (filter.status === "all" || row.status === filter.status) && (!filter.stage || row.stage === filter.stage);
}

function order(filter: Filter): (a: ConversationRow, b: ConversationRow) => number {
  const at = (row: ConversationRow) => row.last_entry_at ?? row.created_at;
  return (a, b) => (filter.oldest ? at(a).localeCompare(at(b)) : at(b).localeCompare(at(a)));
}
