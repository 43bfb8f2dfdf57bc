// Builds the two pages of Parlour into dist/, with names that carry a hash of their content.
// It must stay reproducible byte for byte (dist/ is committed and checked) and must never put script or style into the HTML:
// the server's policy refuses both. Sources of truth: scripts/sources.mjs and scripts/build-check.mjs.
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
/** `vite` with PARLOUR_SERVER=http://127.0.0.1:8080 serves the console against a running server. */
const server = process.env.PARLOUR_SERVER ?? "http://127.0.0.1:8080";

export default defineConfig({
  base: "/",
  publicDir: false,
  resolve: { alias: { "@parlour/client": here("client/src/index.ts") } },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  server: { proxy: { "/api": { target: server, ws: true } } },
  build: {
    target: ["chrome111", "firefox114", "safari16.4"],
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rollupOptions: { input: { console: here("console.html"), page: here("page.html") } },
  },
});
