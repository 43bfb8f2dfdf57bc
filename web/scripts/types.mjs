// Makes client/src/schema.ts from the committed JSON Schema of the socket, and tells when it is stale.
// It must invent nothing: names and sentences are those of protocol/schema/socket.json. Run: npm run types (writes), npm run types:check.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { compile } from "json-schema-to-typescript";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const target = here("../client/src/schema.ts");
const HEADER = `// The words of the Parlour protocol, version 1, as TypeScript types. Made from protocol/schema/socket.json by web/scripts/types.mjs.
// It must never be edited by hand: change the contract, then \`npm run types\`. What the SDK calls these words: types.ts.
`;

/** The generator reads \`oneOf\` beside \`properties\` as one or the other; in JSON Schema both hold. */
function together(schema) {
  if (Array.isArray(schema)) return schema.map(together);
  if (typeof schema !== "object" || schema === null) return schema;
  const node = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, together(value)]));
  // A reference with a sentence of its own is still the same type.
  if (node.$ref && Object.keys(node).length > 1) return { description: node.description, allOf: [{ $ref: node.$ref }] };
  if (!node.oneOf || !node.properties) return node;
  const { oneOf, properties, required = [], type, ...rest } = node;
  return { ...rest, allOf: [{ type: "object", properties, required }, { oneOf }] };
}

export async function generate() {
  const { $defs } = together(JSON.parse(readFileSync(here("../../protocol/schema/socket.json"), "utf8")));
  // Only what is referred to from the top is written: the three kinds of frames, and the tables of words.
  const tops = ["Command", "Reply", "Push", "Commands", "Replies", "Pushes"];
  const properties = Object.fromEntries(tops.map((name) => [name, { $ref: `#/$defs/${name}` }]));
  const root = { title: "Contract", type: "object", properties, required: tops, $defs };
  const source = await compile(root, "Contract", {
    additionalProperties: false,
    bannerComment: HEADER,
    ignoreMinAndMaxItems: true,
    format: false,
  });
  // One sentence takes one line.
  const words = source.replace(/\/\*\*\n *\* (.*)\n *\*\//g, "/** $1 */");
  const biome = here("../node_modules/.bin/biome");
  return execFileSync(biome, ["format", "--stdin-file-path=client/src/schema.ts"], {
    cwd: here(".."),
    encoding: "utf8",
    input: words,
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const fresh = await generate();
  if (process.argv.includes("--check")) {
    if (readFileSync(target, "utf8") !== fresh) {
      console.error("client/src/schema.ts is not what protocol/schema/socket.json says: npm run types");
      process.exit(1);
    }
    console.log("client/src/schema.ts is what the schema says");
  } else writeFileSync(target, fresh);
}
