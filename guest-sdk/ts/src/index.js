import "./globals.js";

export { AnswerError, CallError, calls } from "./calls.js";
export { context } from "./context.js";
export { Err, grain } from "./grain.js";
export { anything, boolean, dictionary, integer, list, Misfit, nullable, number, oneOf, optional, record, text } from "./shapes.js";
export { state, StateError, StateTypeError, Table, Value } from "./state.js";
