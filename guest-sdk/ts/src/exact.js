// Integers that the runtime would change on their way: mended where that can be, else refused, never changed in silence. `granary build` wraps
// in this what a module exports, and the interfaces that it imports.
//
// Without it a `u32` from 2^31 on comes in as a negative number and goes out as 2^31 - 1. A `u64` or `s64` beyond 2^53 comes in rounded, but
// never as a number below 2^53 (and a `u64` from 2^63 on as a negative one), so that each of them is seen. What goes out is rounded to a whole
// number and cut to the bits of its type, and a `bigint` is taken in the typed arrays only that stand for a list.
//
// A function is described by the places of its integers: `{ parameters: [["by", "u64"]], result: ["result.ok", "u64"], error: ["result.err", …] }`,
// with `async` if it is. What a place holds is the type of an integer, `{ each }` for a list, `{ map: [key, value] }`, `{ fields }` for a record or
// a tuple, `{ cases }` for what has a tag, or null where there is no such integer. A result may be `{ items }`, for a stream.
import { trap } from "./grain.js";

// What a number may be, and the typed array that stands for a list.
const INTEGERS = {
  u8: unsigned(8, Uint8Array),
  u16: unsigned(16, Uint16Array),
  u32: unsigned(32, Uint32Array),
  u64: unsigned(64, BigUint64Array),
  s8: signed(8, Int8Array),
  s16: signed(16, Int16Array),
  s32: signed(32, Int32Array),
  s64: signed(64, BigInt64Array),
};

function unsigned(bits, list) {
  return { least: 0, most: Math.min(2 ** bits - 1, Number.MAX_SAFE_INTEGER), holds: (value) => BigInt.asUintN(bits, value) === value, list };
}

function signed(bits, list) {
  const most = Math.min(2 ** (bits - 1) - 1, Number.MAX_SAFE_INTEGER);
  return { least: Math.max(-(2 ** (bits - 1)), -Number.MAX_SAFE_INTEGER), most, holds: (value) => BigInt.asIntN(bits, value) === value, list };
}

/** Wraps the methods of an interface that the module exports. What does not fit ends the turn. */
export function exported(methods, functions) {
  if (methods === null || typeof methods !== "object") return methods;
  const guarded = Object.create(methods);
  for (const [name, described] of Object.entries(functions)) {
    define(guarded, name, checked(name, described, EXPORTED, (_, values) => methods[name].apply(methods, values)));
  }
  return guarded;
}

/** Wraps an interface that is imported. What does not fit is thrown: arguments before the call, its answer after it. */
export function imported(module, real, { functions, classes }) {
  const all = { ...real };
  const wrap = (holder, path, described) => {
    for (const [name, one] of Object.entries(described)) {
      const own = holder[name];
      define(holder, name, checked(`${module} ${path}${name}`, one, IMPORTED, (self, values) => own.apply(self, values)));
    }
  };
  wrap(all, "", functions);
  for (const [name, { create, methods = {}, statics = {} }] of Object.entries(classes)) {
    // In place: whatever hands out such a resource, it is of this class.
    wrap(real[name].prototype, `${name}.`, methods);
    wrap(real[name], `${name}.`, statics);
    if (create) all[name] = constructing(real[name], `${module} ${name}`, create);
  }
  return Object.freeze(all);
}

function constructing(own, name, described) {
  const construct = (target, values, self) => checked(name, described, IMPORTED, (_, passed) => Reflect.construct(target, passed, self))(...values);
  return new Proxy(own, { construct });
}

// What is done in each call is plain loops over what was prepared: the engine interprets, and iterators cost more than the call itself.
function checked(name, { parameters, result, error, async: isAsync }, { there, back, refuse }, call) {
  const guard = (place, way) => (place && place[1] !== null ? guarded(name, place, way, refuse) : null);
  const guards = parameters.map((parameter) => guard(parameter, there));
  const after = guard(result, back) ?? ((answer) => answer);
  const payload = guard(error, back);
  const before = (values) => {
    for (let at = 0; at < guards.length; at++) if (guards[at] !== null) values[at] = guards[at](values[at]);
    return values;
  };
  // The value of an `err` is the error's `payload`, or what was thrown if that is no error.
  const failed = (failure) => {
    if (payload === null) return failure;
    if (!Object.hasOwn(Object(failure), "payload")) return failure instanceof Error ? failure : payload(failure);
    const passed = payload(failure.payload);
    return passed === failure.payload ? failure : Object.assign(new Error(`${passed} (see error.payload)`), { payload: passed });
  };
  if (isAsync) {
    return async function (...values) {
      let answer;
      before(values);
      try {
        answer = await call(this, values);
      } catch (failure) {
        throw failed(failure);
      }
      return after(answer);
    };
  }
  return function (...values) {
    let answer;
    before(values);
    try {
      answer = call(this, values);
    } catch (failure) {
      throw failed(failure);
    }
    return after(answer);
  };
}

function guarded(name, [place, shape], way, refuse) {
  const told = (refused) => {
    if (!(refused instanceof Refused)) throw refused;
    return refuse(new RangeError(`${name}: '${place}${refused.path}' ${refused.why}`));
  };
  if (shape.items) return stream(shape.items, way, told);
  const pass = passing(shape, way);
  return (value) => {
    try {
      return pass(value);
    } catch (refused) {
      return told(refused);
    }
  };
}

// Of a stream that is given as something to iterate over: each item when it is taken. What is written to a `wit.Stream` does not come by here.
function stream(shape, way, told) {
  const pass = passing(shape, way);
  const batch = INTEGERS[shape]?.list;
  async function* checkedItems(items) {
    let at = 0;
    for await (const item of items) {
      let passed = item;
      try {
        if (batch === undefined || !(item instanceof batch)) passed = pass(item);
      } catch (refused) {
        told(within(refused, `[${at}]`));
      }
      yield passed;
      at++;
    }
  }
  const isIterable = (value) => typeof (value?.[Symbol.asyncIterator] ?? value?.[Symbol.iterator]) === "function";
  return (value) => (isIterable(value) && typeof value.read !== "function" ? checkedItems(value) : value);
}

// Why a value does not pass, and where in it. The place is put together on the way up, so that a value that passes costs nothing for it.
class Refused {
  path = "";
  constructor(why) {
    this.why = why;
  }
}

function within(refused, step) {
  if (refused instanceof Refused) refused.path = step + refused.path;
  return refused;
}

// What comes in: an integer of the type, or what the runtime has made of it.
function comesIn(value, type) {
  if (type === "u32") return value >>> 0;
  if (Number.isSafeInteger(value) && value >= INTEGERS[type].least) return value;
  throw new Refused("is an integer beyond 2^53, which JavaScript's numbers do not hold exactly");
}

// What goes out: whatever the author gave.
function goesOut(value, type, isItem) {
  if (typeof value !== "number" && typeof value !== "bigint") throw new Refused(`is of the type ${typeName(value)}, and no integer`);
  // A number that is safe is the `bigint` that it was made of. QuickJS compares a negative `bigint` with a number wrongly.
  const number = Number(value);
  const fits = Number.isInteger(number) && number >= INTEGERS[type].least && number <= INTEGERS[type].most;
  if (fits) return type === "u32" ? number | 0 : number;
  if (typeof value === "bigint" && isItem && INTEGERS[type].holds(value)) return value;
  throw new Refused(`is ${value}, ${whyNot(value, type)}`);
}

function whyNot(value, type) {
  if (typeof value === "number" && !Number.isInteger(value)) return "and no whole number";
  if (!INTEGERS[type].holds(BigInt(value))) return `outside of ${type}`;
  return typeof value === "bigint" ? "and beyond 2^53 a bigint goes out in a list only" : "and beyond 2^53 JavaScript's numbers are rounded";
}

function typeName(value) {
  return typeof value === "object" ? (value.constructor?.name ?? "object") : typeof value;
}

const EXPORTED = { there: comesIn, back: goesOut, refuse: trap };
const IMPORTED = {
  there: goesOut,
  back: comesIn,
  refuse(error) {
    throw error;
  },
};

// A function that gives the value which the runtime does not change. What is not there has no tag, no fields and no items.
function passing(shape, way) {
  const pass = typeof shape === "string" ? integer(shape, way) : parts(shape, way);
  return (value) => (value === null || value === undefined ? value : pass(value));
}

function parts(shape, way) {
  if (shape.each) return list(shape.each, way);
  if (shape.map) return map(shape.map, way);
  return shape.fields ? fields(shape.fields, way) : cases(shape.cases, way);
}

// An integer of 32 bits with a sign is the same for everybody, if it is one of the type.
function integer(type, way) {
  const { least, most } = INTEGERS[type];
  return (value) => (typeof value === "number" && (value | 0) === value && value >= least && value <= most ? value : way(value, type, false));
}

function fields(shapes, way) {
  const names = Object.keys(shapes);
  const passes = names.map((name) => passing(shapes[name], way));
  return (value) => {
    let mended = value;
    let at = 0;
    try {
      for (; at < names.length; at++) mended = put(mended, value, names[at], passes[at](value[names[at]]), way);
    } catch (refused) {
      throw within(refused, `.${names[at]}`);
    }
    return mended;
  };
}

function cases(shapes, way) {
  const passes = new Map(Object.entries(shapes).map(([tag, shape]) => [tag, passing(shape, way)]));
  return (value) => {
    const pass = passes.get(value.tag);
    if (pass === undefined) return value;
    try {
      return put(value, value, "val", pass(value.val), way);
    } catch (refused) {
      throw within(refused, `.${value.tag}`);
    }
  };
}

function list(shape, way) {
  const type = INTEGERS[shape];
  const [least, most] = type ? [type.least, type.most] : [Infinity, -Infinity];
  const pass = type ? (item) => way(item, shape, true) : passing(shape, way);
  return (items) => {
    if (type && items instanceof type.list) return items;
    if (!Array.isArray(items)) throw new Refused(`is of the type ${typeName(items)}, and no array`);
    const length = items.length;
    let mended = items;
    let isWide = false;
    let at = 0;
    try {
      for (; at < length; at++) {
        const item = items[at];
        if (typeof item === "number" && (item | 0) === item && item >= least && item <= most) continue;
        const passed = pass(item);
        isWide ||= typeof passed === "bigint";
        mended = put(mended, items, at, passed, way);
      }
    } catch (refused) {
      throw within(refused, `[${at}]`);
    }
    return isWide ? type.list.from(mended, BigInt) : mended;
  };
}

function map([key, inner], way) {
  const [passKey, pass] = [key, inner].map((shape) => (shape === null ? (value) => value : passing(shape, way)));
  return (value) => {
    if (!(value instanceof Map)) throw new Refused(`is of the type ${typeName(value)}, and no Map`);
    const mended = new Map();
    for (const [name, item] of value) {
      try {
        mended.set(passKey(name), pass(item));
      } catch (refused) {
        throw within(refused, `[${name}]`);
      }
    }
    return mended;
  };
}

// What came in is new, and is mended where it stands. What goes out is the author's, and stays as it is.
function put(mended, value, name, part, way) {
  if (part === mended[name]) return mended;
  if (mended === value && way === goesOut) mended = Array.isArray(value) ? [...value] : Object.create(value);
  define(mended, name, part);
  return mended;
}

function define(holder, name, value) {
  Object.defineProperty(holder, name, { value, enumerable: true, configurable: true, writable: true });
}
