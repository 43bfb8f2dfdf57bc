// What the server put into the page, and what the address says. Read once, before anything is drawn.
// It must never send anything: a link that is only looked at stays unopened and unclaimed. See protocol/SPEC.md §6.
import type { SharePermission } from "@parlour/client";

export interface Organization {
  name: string;
  logo: string | null;
  brand: { color: string; ink: string; text_light: string; text_dark: string } | null;
  contact_email: string | null;
  contact_phone: string | null;
}

export interface Facts {
  state: "live" | "expired" | "unknown";
  organization: Organization | null;
  expires_at: string | null;
  permissions: SharePermission[];
  /** The link's secret: the last segment of the address. */
  token: string;
  /** Names this link in the browser's storage without being its secret. */
  link: string;
}

export function readFacts(): Facts {
  const token = decodeURIComponent(location.pathname.split("/").at(-1) ?? "");
  const given = parse(document.getElementById("parlour-state")?.textContent);
  return {
    state: given.state ?? "unknown",
    organization: given.organization ?? null,
    expires_at: given.expires_at ?? null,
    permissions: given.permissions ?? [],
    token,
    link: fingerprint(token),
  };
}

function parse(text: string | null | undefined): Partial<Facts> {
  try {
    return JSON.parse(text ?? "{}") as Partial<Facts>;
  } catch {
    return {};
  }
}

/** FNV-1a: not a secret's guard, only a short name for a key in this browser. */
function fingerprint(text: string): string {
  let hash = 0x811c9dc5;
  for (const char of text) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193);
  return (hash >>> 0).toString(36);
}
