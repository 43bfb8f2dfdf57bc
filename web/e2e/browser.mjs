// Chromium for the end-to-end runs: Debian's own, or the one PARLOUR_CHROMIUM names. Nothing is downloaded.
import { chromium } from "playwright-core";

export const ARTIFACTS = new URL("./artifacts/", import.meta.url).pathname;
export const DESKTOP = { viewport: { width: 1440, height: 900 }, locale: "en-GB" };
export const PHONE = {
  viewport: { width: 390, height: 844 },
  locale: "fr-FR",
  timezoneId: "Europe/Paris",
  hasTouch: true,
  isMobile: true,
  deviceScaleFactor: 2,
};

export function launch() {
  return chromium.launch({
    executablePath: process.env.PARLOUR_CHROMIUM ?? "/usr/bin/chromium",
    args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
  });
}
