// One polite voice for screen readers: what arrives is said once, what is loaded from the past is not said at all.
// It must never be used for what a person did themselves and can see.

let region: HTMLElement | null = null;

/** Says a sentence. Two at once are said one after the other. */
export function announce(words: string): void {
  if (!region) {
    region = document.createElement("div");
    region.className = "vh";
    region.setAttribute("role", "status");
    region.setAttribute("aria-live", "polite");
    document.body.append(region);
  }
  const line = document.createElement("p");
  line.textContent = words;
  region.append(line);
  while (region.childElementCount > 5) region.firstElementChild?.remove();
}
