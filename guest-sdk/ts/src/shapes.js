// What a value looks like in JSON: checked when it is read, and before it is written. TypeScript's types are gone by then.

/** A value that does not fit a shape. */
export class Misfit extends TypeError {
  constructor(path, expected, found) {
    super(`at ${path || "/"}: expected ${expected}, found ${found}`);
    this.name = "Misfit";
    this.path = path;
    this.expected = expected;
    this.found = found;
  }
}

/** A value in the words of the shapes: what somebody has written. */
export function describe(value, depth = 3) {
  if (value === null) return "null";
  if (typeof value === "string") return "text";
  if (typeof value === "number") return sortOf(value);
  if (typeof value !== "object") return typeof value;
  if (depth === 0) return "…";
  if (Array.isArray(value)) return value.length === 0 ? "[]" : `[${describe(value[0], depth - 1)}]`;
  return `{${Object.entries(value).map(([name, part]) => `${name}: ${describe(part, depth - 1)}`).join(", ")}}`;
}

function sortOf(value) {
  if (!Number.isInteger(value)) return "number";
  return Number.isSafeInteger(value) ? "integer" : "integer beyond 2^53";
}

const shape = (words, check) => ({
  words,
  check: (value, path = "") => check(value, path),
});

const refuse = (path, expected, value) => {
  throw new Misfit(path, expected, describe(value));
};

const plain = (words, fits) => shape(words, (value, path) => (fits(value) ? value : refuse(path, words, value)));

export const text = plain("text", (value) => typeof value === "string");
export const boolean = plain("boolean", (value) => typeof value === "boolean");
export const number = plain("number", (value) => typeof value === "number" && Number.isFinite(value));
/** Whole numbers that JavaScript holds exactly, up to 2^53. */
export const integer = plain("integer", Number.isSafeInteger);
/** Anything that JSON can hold. */
export const anything = plain("anything", (value) => value !== undefined);

/** One of these texts. */
export const oneOf = (...names) =>
  plain(names.map((name) => `"${name}"`).join(" | "), (value) => names.includes(value));

/** The shape, or null. */
export const nullable = (inner) =>
  shape(`${inner.words} | null`, (value, path) => (value === null ? null : inner.check(value, path)));

/** Marks a field of a record that may be missing. */
export const optional = (inner) => ({ ...inner, mayMiss: true });

/** An array. */
export const list = (inner) =>
  shape(`[${inner.words}]`, (value, path) => {
    if (!Array.isArray(value)) refuse(path, `[${inner.words}]`, value);
    value.forEach((part, at) => inner.check(part, `${path}/${at}`));
    return value;
  });

/** An object with any names, and values of one shape. */
export const dictionary = (inner) =>
  shape(`{text: ${inner.words}}`, (value, path) => {
    if (!isObject(value)) refuse(path, `{text: ${inner.words}}`, value);
    for (const [name, part] of Object.entries(value)) inner.check(part, `${path}/${name}`);
    return value;
  });

/** An object with these fields and no others. */
export const record = (fields) => {
  const words = `{${Object.entries(fields).map(([name, inner]) => `${name}${inner.mayMiss ? "?" : ""}: ${inner.words}`).join(", ")}}`;
  return shape(words, (value, path) => {
    if (!isObject(value)) refuse(path, words, value);
    for (const [name, inner] of Object.entries(fields)) {
      if (value[name] !== undefined) inner.check(value[name], `${path}/${name}`);
      else if (!inner.mayMiss) throw new Misfit(`${path}/${name}`, inner.words, "nothing");
    }
    const stranger = Object.keys(value).find((name) => !(name in fields));
    if (stranger !== undefined) throw new Misfit(`${path}/${stranger}`, "no such field", describe(value[stranger]));
    return value;
  });
};

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
