// Puts the organization's colours on the page, through the style object: the page's policy allows no style attribute.
// Only three tokens change. Contrast was corrected by the server; without a brand the house colours stay.
import type { Organization } from "./facts.ts";

const dark = matchMedia("(prefers-color-scheme: dark)");

export function wear(organization: Organization | null): void {
  const apply = () => {
    document.documentElement.dataset.theme = dark.matches ? "dark" : "light";
    const brand = organization?.brand;
    if (!brand) return;
    const { style } = document.body;
    style.setProperty("--brand", brand.color);
    style.setProperty("--brand-ink", brand.ink);
    style.setProperty("--brand-text", dark.matches ? brand.text_dark : brand.text_light);
  };
  apply();
  dark.addEventListener("change", apply);
}

/** Safari does not shrink the page for its keyboard: the visible height is told to the style sheet. */
export function followKeyboard(): void {
  const view = window.visualViewport;
  if (!view) return;
  view.addEventListener("resize", () => {
    document.documentElement.style.setProperty("--app-height", `${Math.round(view.height * view.scale)}px`);
  });
}
