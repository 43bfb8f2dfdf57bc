// What /docs is made of: elements without innerHTML, and a JSON Schema in words, as rows of fields and as an example.
// Nothing here knows which documents there are; docs.js does.

/** An element: its name with classes ("p.quiet"), its attributes, its children (text, elements, lists; nothing is skipped over). */
export function el(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const made = document.createElement(tag);
  if (classes.length > 0) made.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined) made.setAttribute(key, value);
  made.append(
    ...children.flat(Number.POSITIVE_INFINITY).filter((child) => child !== undefined && child !== null && child !== ""),
  );
  return made;
}

/** A sentence whose `words` in back-quotes become code. */
export function prose(text, name = "p") {
  if (!text) return undefined;
  return el(
    name,
    {},
    text.split("`").map((part, at) => (at % 2 === 1 ? el("code", {}, part) : part)),
  );
}

export const named = (schema) => schema?.$ref?.split("/").pop();
const isNull = (schema) => schema.type === "null";

/** A type in a few words; what has a name is a link to it. */
export function type(schema, id) {
  const name = named(schema);
  if (name) return [el("a", { href: `#${id(name)}` }, name)];
  if (schema === true) return ["anything"];
  if (schema.const !== undefined) return [JSON.stringify(schema.const)];
  if (schema.enum) return [schema.enum.map((one) => JSON.stringify(one)).join(" | ")];
  const choice = schema.anyOf ?? schema.oneOf;
  if (choice) return choice.flatMap((one, at) => [at > 0 ? " | " : "", ...(isNull(one) ? ["null"] : type(one, id))]);
  if (schema.items) return ["[", ...type(schema.items, id), "]", size(schema)];
  const types = [schema.type ?? "object"].flat().join(" | ");
  return [types, schema.format && !/int/.test(schema.format) ? ` (${schema.format})` : "", size(schema)];
}

/** The limits of a value, as a range. */
function size(schema) {
  for (const [low, high, unit] of [
    [schema.minLength, schema.maxLength, " characters"],
    [schema.minItems, schema.maxItems, " items"],
    [schema.minimum, schema.maximum, ""],
  ]) {
    if (high !== undefined) return ` ${low ?? 0} … ${high.toLocaleString("en")}${unit}`;
    if (low) return ` ≥ ${low}${unit}`;
  }
  return schema.pattern ? ` ${schema.pattern}` : "";
}

/** The fields of an object, required ones first and in the order of the contract. */
export function fields(schema, id) {
  const properties = schema.properties ?? {};
  const required = (schema.required ?? []).filter((name) => properties[name]);
  const rest = Object.keys(properties).filter((name) => !required.includes(name));
  return [...required, ...rest].map((name) => row(name, properties[name], required.includes(name), id));
}

/** What is optional may always be `null`, which means absent: not worth a word in every line. */
function withoutNull(schema) {
  const rest = (choice) => choice?.filter((one) => one !== "null" && one.type !== "null");
  if (Array.isArray(schema.type)) return { ...schema, type: rest(schema.type) };
  return schema.anyOf ? { ...schema, anyOf: rest(schema.anyOf) } : schema;
}

export function row(name, schema, isRequired, id, note = schema.description) {
  const title = el("dt", {}, name, isRequired ? "" : el("span", {}, " optional"));
  return el(
    "div.field",
    {},
    title,
    el("dd", {}, el("div.type", {}, type(isRequired ? schema : withoutNull(schema), id)), prose(note)),
  );
}

export const list = (rows) => (rows.length > 0 ? el("dl.fields", {}, rows) : undefined);

/** What a definition says of itself: its fields, its words, or its variants. */
export function body(schema, id) {
  const parts = [list(fields(schema, id))];
  const choice = schema.oneOf ?? schema.anyOf;
  if (choice?.every((one) => one.const !== undefined)) {
    parts.push(
      list(choice.map((one) => el("div.field", {}, el("dt", {}, one.const), el("dd", {}, prose(one.description))))),
    );
  } else if (choice) {
    for (const [at, one] of choice.entries()) {
      parts.push(
        el(
          "h4",
          {},
          at === 0 ? "Either" : "or",
          ": ",
          one.description ?? "",
          named(one) ? " " : "",
          named(one) ? type(one, id) : "",
        ),
      );
      parts.push(list(fields(one, id)));
    }
  } else if (!schema.properties) parts.push(el("div.type", {}, type(schema, id)));
  return parts;
}

/** A message with a plausible value in every required field. */
export function sample(schema, find, depth = 0) {
  const name = named(schema);
  if (name) return sample(find(name), find, depth + 1);
  if (schema === true) return {};
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[0];
  const choice = schema.oneOf ?? schema.anyOf;
  if (choice && !schema.properties) return sample(choice[0], find, depth);
  const kind = [schema.type].flat()[0];
  if (kind === "array") return depth > 3 ? [] : [sample(schema.items, find, depth + 1)];
  if (kind === "integer" || kind === "number") return Math.max(1, schema.minimum ?? 1);
  if (kind === "boolean") return true;
  if (kind === "string")
    return (
      { uuid: "01934a5e-7b00-7000-8000-000000000001", "date-time": "2026-11-21T12:00:00.000Z" }[schema.format] ?? "…"
    );
  const whole = choice
    ? {
        properties: { ...schema.properties, ...choice[0].properties },
        required: [...(schema.required ?? []), ...(choice[0].required ?? [])],
      }
    : schema;
  return Object.fromEntries(
    (whole.required ?? []).map((field) => [field, sample(whole.properties[field], find, depth + 1)]),
  );
}

export const example = (value) => el("pre", {}, el("code", {}, JSON.stringify(value, null, 2)));
