// What was thrown, in words: with the stack in the author's own files, and with its causes.

/** Where `granary build` leaves the bundler's source map: `{ bundle, sources, mappings }`. */
export const MAP = Symbol.for("granary.source-map");

// Frames of the SDK say nothing to the author of a grain.
const OWN = "@granary/sdk/src/";
// An error may be its own cause.
const CAUSES_MAX = 8;

/** An error with its stack and causes; any other value as JSON. */
export function trace(error) {
  const parts = [];
  for (let at = error; parts.length < CAUSES_MAX; at = at.cause) {
    parts.push(words(at));
    if (!(at instanceof Error) || at.cause === undefined) break;
  }
  return parts.join("\nCaused by: ");
}

function words(value) {
  if (value instanceof Error) return `${value.name}: ${value.message}${value.stack ? `\n${located(value.stack.trimEnd())}` : ""}`;
  if (typeof value === "string") return value;
  try {
    return JSON.stringify(value, (_, part) => (typeof part === "bigint" ? `${part}` : part)) ?? String(value);
  } catch {
    return String(value);
  }
}

/** A stack whose places in the bundle are those in the sources. */
export function located(stack) {
  const map = globalThis[MAP];
  if (map === undefined) return stack;
  const lines = decoded(map);
  const place = new RegExp(`[^ (]*${map.bundle.replaceAll(".", "\\.")}:(\\d+):(\\d+)`);
  const frames = stack.split("\n").map((frame) => {
    const found = place.exec(frame);
    const source = found && sourceOf(lines, Number(found[1]) - 1, Number(found[2]) - 1);
    return source ? frame.replace(found[0], `${map.sources[source.file]}:${source.line + 1}:${source.column + 1}`) : frame;
  });
  return frames.filter((frame) => !frame.includes(OWN)).join("\n");
}

// The last mapping at or before a place.
function sourceOf(lines, line, column) {
  return lines[line]?.findLast((mapping) => mapping.from <= column) ?? lines[line]?.[0];
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// The mappings of each line of the bundle: numbers relative to the one before, in base 64, five bits each and the sign in the lowest.
function decoded({ mappings }) {
  let [file, line, column] = [0, 0, 0];
  return mappings.split(";").map((text) => {
    let from = 0;
    const found = [];
    for (const segment of text === "" ? [] : text.split(",")) {
      const deltas = numbers(segment);
      from += deltas[0];
      if (deltas.length < 4) continue;
      [file, line, column] = [file + deltas[1], line + deltas[2], column + deltas[3]];
      found.push({ from, file, line, column });
    }
    return found;
  });
}

function numbers(segment) {
  const found = [];
  let [value, shift] = [0, 0];
  for (const character of segment) {
    const digit = DIGITS.indexOf(character);
    value += (digit & 31) << shift;
    shift += 5;
    if (digit < 32) {
      found.push(value & 1 ? -(value >> 1) : value >> 1);
      [value, shift] = [0, 0];
    }
  }
  return found;
}
