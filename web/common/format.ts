// Numbers, money, days and times in the words of the page's language and the reader's own time zone.
// It must never do arithmetic on money beyond placing the decimal point, and never guess a zone: the browser knows it.
// English only for now; a second language changes LOCALE and the two strings modules.
import type { Money } from "@parlour/client";

export const LOCALE = "en-GB";

const DAY = 86_400_000;
const zone = new Intl.DateTimeFormat(LOCALE).resolvedOptions().timeZone;
const format = (options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat(LOCALE, options);

const clock = format({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const dayLong = format({ weekday: "long", day: "numeric", month: "long" });
const dayShort = format({ weekday: "short", day: "numeric", month: "short" });
const weekdayLong = format({ weekday: "long" });
const weekdayShort = format({ weekday: "short" });
const dateShort = format({ day: "numeric", month: "short" });
const zoneShort = format({ timeZoneName: "short" });
const isoDay = format({ year: "numeric", month: "2-digit", day: "2-digit" });

/** `EUR 1,284.00`, with a space that does not break. */
export function money({ amount, currency }: Money): string {
  const number = new Intl.NumberFormat(LOCALE, { style: "currency", currency, currencyDisplay: "code" });
  const digits = number.resolvedOptions().maximumFractionDigits ?? 2;
  return number.format(amount / 10 ** digits);
}

export const time = (at: string | number | Date): string => clock.format(new Date(at));

/** "Paris time": the zone as people call it. */
export function zoneName(): string {
  const city = zone.split("/").at(-1)?.replaceAll("_", " ");
  return zone.includes("/") && city ? `${city} time` : zone;
}

/** "CET" or "GMT+4". */
export function zoneCode(at: string | number | Date): string {
  return zoneShort.formatToParts(new Date(at)).find((part) => part.type === "timeZoneName")?.value ?? zone;
}

/** A key that is equal for two times of one day. */
export const dayKey = (at: string | number | Date): string => isoDay.format(new Date(at));

export function isToday(at: string, now: number): boolean {
  return dayKey(at) === dayKey(now);
}

/** "Today", "Yesterday", or "Thursday 19 November". */
export function dayName(at: string, now: number): string {
  if (isToday(at, now)) return "Today";
  if (dayKey(at) === dayKey(now - DAY)) return "Yesterday";
  return dayLong.format(new Date(at));
}

/** For a list: the hour today, the weekday this week, else the date. */
export function shortWhen(at: string, now: number): string {
  const then = new Date(at);
  if (isToday(at, now)) return time(then);
  return now - then.getTime() < 6 * DAY ? weekdayShort.format(then) : dateShort.format(then);
}

/** "Sat 21 Nov, 14:03" */
export const stamp = (at: string): string => `${dayShort.format(new Date(at))}, ${time(at)}`;

/** "Saturday 21 November, 04:21" */
export const fullStamp = (at: string | number): string => `${dayLong.format(new Date(at))}, ${time(at)}`;

/** "today at 18:00", "tomorrow at 04:21", "Saturday at 04:21", else the full date. */
export function comingWhen(at: string, now: number): string {
  const then = new Date(at);
  if (isToday(at, now)) return `today at ${time(then)}`;
  if (dayKey(at) === dayKey(now + DAY)) return `tomorrow at ${time(then)}`;
  if (then.getTime() - now < 6 * DAY) return `${weekdayLong.format(then)} at ${time(then)}`;
  return fullStamp(at);
}

/** "6 d 4 h", "41 h 18 min", "9 min" */
export function span(ms: number): string {
  const minutes = Math.max(0, Math.floor(ms / 60_000));
  const hours = Math.floor(minutes / 60);
  if (hours >= 72) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  return hours > 0 ? `${hours} h ${minutes % 60} min` : `${minutes} min`;
}

/** How long somebody looked: "40 s", "3 min", "2 h 5 min". */
export function lookedFor(ms: number): string {
  return ms < 60_000 ? `${Math.max(1, Math.round(ms / 1000))} s` : span(ms);
}

/** Up to two letters that stand for a name. */
export function initials(name: string): string {
  const words = name.split(/[\s·,&]+/u).filter((word) => /^\p{L}|\p{N}/u.test(word));
  const [first, second] = words;
  if (!first) return "?";
  const letters = second ? [first, second].map((word) => [...word][0] ?? "") : [...first].slice(0, 2);
  return letters.join("").toLocaleUpperCase(LOCALE);
}

/** What somebody is called in passing: "Maria" of "Maria Fernandes"; a service keeps its whole name. */
export const callName = (who: { kind: string; name: string }): string =>
  who.kind === "service" ? who.name : firstName(who.name);

/** "Maria" of "Maria Fernandes". */
export const firstName = (name: string): string => name.split(" ")[0] ?? name;
