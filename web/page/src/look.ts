// Tells how long the options of a card were on the screen: the browser watches, the SDK counts and reports.
// It must never watch anything but options of cards. Totals are kept on this device, so that a reload goes on counting.
import type { SeenOption } from "@parlour/client";
import type { RefObject } from "preact";
import { useEffect } from "preact/hooks";
import { KEYS, recall, remember } from "../../common/storage.ts";
import type { Guest } from "./guest.ts";

/** Half of an option, or half of the screen when an option is taller than that. */
const HALF = 0.5;
const STEPS = [0, 0.1, 0.25, HALF, 0.75, 1];

/** Watches every `[data-option]` inside. `drawn` changes when other elements stand for the options. */
export function useLook(
  element: RefObject<HTMLElement | null>,
  guest: Guest,
  card: { id: string; version: number },
  drawn: unknown,
): void {
  useEffect(() => {
    const { client, room } = guest;
    const options = element.current?.querySelectorAll<HTMLElement>("[data-option]") ?? [];
    if (!client || !room || options.length === 0) return;
    const key = KEYS.seen(card.id, card.version);
    const seen = client.trackSeen({ conversation: room.id, card: card.id, version: card.version }, before(key));
    const observer = new IntersectionObserver(
      (entries) => {
        for (const { target, intersectionRatio, intersectionRect } of entries) {
          const option = (target as HTMLElement).dataset.option ?? "";
          const visible = intersectionRatio >= HALF || intersectionRect.height >= innerHeight * HALF;
          if (visible) seen.show(option);
          else seen.hide(option);
        }
      },
      { threshold: STEPS },
    );
    for (const option of options) observer.observe(option);
    const keep = () => remember(key, JSON.stringify(seen.totals()));
    addEventListener("pagehide", keep);
    return () => {
      removeEventListener("pagehide", keep);
      observer.disconnect();
      seen.stop();
      keep();
    };
  }, [guest, card.id, card.version, drawn]);
}

function before(key: string): SeenOption[] {
  try {
    return JSON.parse(recall(key) ?? "[]");
  } catch {
    return [];
  }
}
