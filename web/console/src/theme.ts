// Dark or light: what was chosen here, else what the system prefers, else dark.
import { signal } from "@preact/signals";
import { KEYS, recall, remember } from "../../common/storage.ts";

export type Theme = "dark" | "light";

function preferred(): Theme {
  const kept = recall(KEYS.theme);
  if (kept === "dark" || kept === "light") return kept;
  return matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
}

export const theme = signal<Theme>(preferred());

export function wearTheme(): void {
  document.documentElement.dataset.theme = theme.value;
}

export function switchTheme(): void {
  theme.value = theme.value === "dark" ? "light" : "dark";
  remember(KEYS.theme, theme.value);
  wearTheme();
}
