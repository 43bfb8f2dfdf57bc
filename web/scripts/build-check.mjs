// Builds the pages anew beside dist/ and fails when a byte differs: what is committed is what the sources say.
// It must leave dist/ untouched. Used by `npm run build:check`.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { digest } from "./sources.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const fresh = mkdtempSync(join(tmpdir(), "parlour-web-"));

function files(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((it) => it.isFile() && it.name !== ".sources")
    .map((it) => relative(folder, join(it.parentPath ?? it.path, it.name)))
    .sort();
}

try {
  execFileSync(
    join(root, "node_modules/.bin/vite"),
    ["build", "--outDir", fresh, "--emptyOutDir", "--logLevel", "error"],
    { cwd: root, stdio: "inherit" },
  );
  const dist = join(root, "dist");
  const all = [...new Set([...files(dist), ...files(fresh)])];
  const read = (folder, name) => {
    try {
      return readFileSync(join(folder, name));
    } catch {
      return Buffer.from("absent");
    }
  };
  const different = all.filter((name) => !read(dist, name).equals(read(fresh, name)));
  if (readFileSync(join(dist, ".sources"), "utf8").trim() !== digest()) different.push(".sources");
  if (different.length > 0) {
    console.error(
      `web/dist is not what the sources say:\n  ${different.join("\n  ")}\nRun \`npm run build\` and commit the result.`,
    );
    process.exitCode = 1;
  } else console.log("web/dist is what the sources say");
} finally {
  rmSync(fresh, { recursive: true });
}
