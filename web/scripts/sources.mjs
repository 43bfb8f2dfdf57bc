// One sha256 over everything dist/ is built from, kept in dist/.sources: whoever has no Node can still see that dist/ is fresh.
// The recipe (so that another program can do the same): for every file below, sorted by path with "/" between folders, feed
// "<path>\n<sha256 of its bytes in hex>\n" into one sha256. Line ends are taken as they are.
// Usage: node scripts/sources.mjs [--write | --check]; without either it prints the digest.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const FILES = [
  "console.html",
  "page.html",
  "vite.config.ts",
  "tsconfig.base.json",
  "tsconfig.json",
  "package.json",
  "package-lock.json",
];
const FOLDERS = ["client/src", "common", "console/src", "page/src"];

const sha = (bytes) => createHash("sha256").update(bytes).digest("hex");

export function digest() {
  const inside = FOLDERS.flatMap((folder) =>
    readdirSync(`${root}${folder}`, { recursive: true, withFileTypes: true })
      .filter((it) => it.isFile())
      .map((it) => `${it.parentPath ?? it.path}/${it.name}`.slice(root.length)),
  );
  const lines = [...FILES, ...inside].sort().map((path) => `${path}\n${sha(readFileSync(`${root}${path}`))}\n`);
  return sha(lines.join(""));
}

const kept = `${root}dist/.sources`;
if (process.argv[2] === "--write") writeFileSync(kept, `${digest()}\n`);
else if (process.argv[2] === "--check") {
  if (readFileSync(kept, "utf8").trim() !== digest()) {
    console.error("web/dist is older than its sources: run `npm run build` in web/ and commit the result");
    process.exit(1);
  }
} else if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(digest());
