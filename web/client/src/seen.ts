// How long the options of a card were visible on this device: counted here, reported sparingly.
// VisibilityTracker only counts: no socket, no DOM; an IntersectionObserver of the page calls show and hide. A total never goes down.
// What the server makes of it: protocol/SPEC.md §7.1. client.ts makes the trackers.
import { asParlourError } from "./errors.ts";
import type { SeenOption } from "./types.ts";
import type { Clock, Timer } from "./world.ts";

/** At most one report in this time, and one when the page is hidden. */
export const SEEN_EVERY_MS = 5000;
const TOTAL_MAX_MS = 86_400_000;

export class VisibilityTracker {
  readonly #clock: Pick<Clock, "now">;
  readonly #totals = new Map<string, number>();
  /** Options on the screen, with the time they are counted up to. */
  readonly #showing = new Map<string, number>();
  #hidden = false;

  /** `before`: totals of an earlier visit on this device, so that a reload goes on counting. */
  constructor(clock: Pick<Clock, "now">, before: readonly SeenOption[] = []) {
    this.#clock = clock;
    for (const { id, visible_ms } of before) this.#totals.set(id, visible_ms);
  }

  /** The option is on the screen. */
  show(option: string): void {
    if (!this.#showing.has(option)) this.#showing.set(option, this.#clock.now());
  }

  hide(option: string): void {
    this.#count();
    this.#showing.delete(option);
  }

  /** The page itself is hidden, or visible again: what is on a hidden page is seen by nobody. */
  setHidden(hidden: boolean): void {
    this.#count();
    this.#hidden = hidden;
  }

  get counting(): boolean {
    return !this.#hidden && this.#showing.size > 0;
  }

  /** Options that were visible at all, with their totals up to now. */
  totals(): SeenOption[] {
    this.#count();
    return [...this.#totals].map(([id, ms]) => ({ id, visible_ms: Math.min(TOTAL_MAX_MS, Math.round(ms)) }));
  }

  #count(): void {
    const now = this.#clock.now();
    for (const [option, since] of this.#showing) {
      // A clock that was set back counts nothing.
      if (!this.#hidden) this.#totals.set(option, (this.#totals.get(option) ?? 0) + Math.max(0, now - since));
      this.#showing.set(option, now);
    }
  }
}

/** One version of a card on this page. Call `stop` when it leaves the page. */
export interface SeenCard {
  show(option: string): void;
  hide(option: string): void;
  totals(): SeenOption[];
  stop(): void;
}

export interface SeenTarget {
  conversation: string;
  card: string;
  version: number;
}

interface Tracked {
  target: SeenTarget;
  tracker: VisibilityTracker;
  /** The sum that was told last. */
  told: number;
}

const sum = (options: readonly SeenOption[]): number => options.reduce((all, it) => all + it.visible_ms, 0);

/** Sums up what all trackers count and sends it: the card told longest ago first, one at a time. */
export class SeenReports {
  readonly #clock: Clock;
  readonly #send: (target: SeenTarget, options: SeenOption[]) => Promise<unknown>;
  readonly #hidden: () => boolean;
  #cards: Tracked[] = [];
  #timer: Timer = null;

  constructor(
    clock: Clock,
    hidden: () => boolean,
    send: (target: SeenTarget, options: SeenOption[]) => Promise<unknown>,
  ) {
    this.#clock = clock;
    this.#hidden = hidden;
    this.#send = send;
  }

  track(target: SeenTarget, before: readonly SeenOption[] = []): SeenCard {
    const tracker = new VisibilityTracker(this.#clock, before);
    const card: Tracked = { target, tracker, told: sum(before) };
    tracker.setHidden(this.#hidden());
    this.#cards.push(card);
    return {
      show: (option) => {
        tracker.show(option);
        this.#arm();
      },
      hide: (option) => tracker.hide(option),
      totals: () => tracker.totals(),
      stop: () => {
        void this.#tell(card);
        this.#cards = this.#cards.filter((it) => it !== card);
      },
    };
  }

  /** The page is hidden: what is not told yet is told now, because there may be no later. */
  hide(): void {
    for (const card of this.#cards) {
      card.tracker.setHidden(true);
      void this.#tell(card);
    }
    this.#clock.cancel(this.#timer);
    this.#timer = null;
  }

  show(): void {
    for (const card of this.#cards) card.tracker.setHidden(false);
    this.#arm();
  }

  close(): void {
    this.#clock.cancel(this.#timer);
    this.#timer = null;
    this.#cards = [];
  }

  /** Runs while something is counted or untold. */
  #arm(): void {
    this.#timer ??= this.#clock.after(SEEN_EVERY_MS, () => {
      this.#timer = null;
      const next = this.#cards.find((it) => sum(it.tracker.totals()) > it.told);
      if (next) {
        this.#cards = [...this.#cards.filter((it) => it !== next), next];
        void this.#tell(next);
      }
      if (next || this.#cards.some((it) => it.tracker.counting)) this.#arm();
    });
  }

  async #tell(card: Tracked): Promise<void> {
    const options = card.tracker.totals();
    const total = sum(options);
    if (total <= card.told) return;
    const before = card.told;
    card.told = total;
    try {
      await this.#send(card.target, options);
    } catch (reason) {
      // Not told: the next report carries it. Refused for good (a right that ended, a card that is gone): no more of this card.
      if (asParlourError(reason).retryable) card.told = Math.min(card.told, before);
      else this.#cards = this.#cards.filter((it) => it !== card);
    }
  }
}
