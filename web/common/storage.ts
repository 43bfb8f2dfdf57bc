// localStorage that may be absent, full or forbidden: then everything works and nothing is remembered.
// It must never hold an access token. Keys are listed here, so that one place tells what a browser keeps.

export const KEYS = {
  /** "1" while a sign-in may still be alive in the cookie: asking without it only makes noise. */
  session: "parlour.session",
  theme: "parlour.theme",
  draft: (conversation: string) => `parlour.draft.${conversation}`,
  device: (link: string) => `parlour.device.${link}`,
  name: (organization: string) => `parlour.name.${organization}`,
  /** Words not sent yet, of a guest on a link or of a member of staff. */
  outbox: (whose: string) => `parlour.outbox.${whose}`,
  /** How long the options of a card were visible on this device. */
  seen: (card: string, version: number) => `parlour.seen.${card}.${version}`,
};

/** For the SDK's queue of words on their way. */
export const kept = {
  get: (key: string) => recall(key),
  set: (key: string, value: string) => remember(key, value),
  remove: (key: string) => remember(key, ""),
};

export function recall(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** Keeps a value; an empty one is forgotten. */
export function remember(key: string, value: string): void {
  try {
    if (value === "") localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    // full or forbidden: not remembered
  }
}
