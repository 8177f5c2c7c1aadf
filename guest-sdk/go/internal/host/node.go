//go:build wasm

package host

import (
	witTypes "go.bytecodealliance.org/pkg/wit/types"

	"wit_component/granary_grain_calls"
	"wit_component/granary_grain_context"
	"wit_component/granary_grain_state"
	"wit_component/granary_grain_types"
)

// Current is the node, reached by the bindings that are generated from wit/.
var Current Host = node{}

type node struct{}

func stateError(failed granary_grain_state.StateError) *StateError {
	return &StateError{StateCode(failed.Code), failed.Text}
}

func (node) Get(key string) ([]byte, bool, *StateError) {
	result := granary_grain_state.Get(key)
	if result.IsErr() {
		return nil, false, stateError(result.Err())
	}
	value := result.Ok()
	return value.SomeOr(nil), value.IsSome(), nil
}

func (node) Set(key string, value []byte) *StateError {
	if result := granary_grain_state.Set(key, value); result.IsErr() {
		return stateError(result.Err())
	}
	return nil
}

func (node) Delete(key string) *StateError {
	if result := granary_grain_state.Delete(key); result.IsErr() {
		return stateError(result.Err())
	}
	return nil
}

func (node) Scan(prefix, cursor string, begun bool, limit uint32) ([]Entry, string, bool, *StateError) {
	from := witTypes.None[string]()
	if begun {
		from = witTypes.Some(cursor)
	}
	result := granary_grain_state.Scan(prefix, from, limit)
	if result.IsErr() {
		return nil, "", false, stateError(result.Err())
	}
	page := result.Ok()
	entries := make([]Entry, 0, len(page.Entries))
	for _, entry := range page.Entries {
		entries = append(entries, Entry{entry.Key, entry.Value})
	}
	return entries, page.Cursor.SomeOr(""), page.Cursor.IsSome(), nil
}

func (node) Version() uint64 { return granary_grain_state.Version() }

func callError(failed granary_grain_types.CallError) *CallError {
	made := &CallError{Code: uint8(failed.Code), Text: failed.Text}
	for _, id := range failed.Circle {
		made.Circle = append(made.Circle, GrainID{id.Kind, id.Key})
	}
	return made
}

func (node) Call(target GrainID, method, json string, options CallOptions) (string, *CallError) {
	// An option's zero value is none.
	var said granary_grain_calls.CallOptions
	if options.TimeoutNanoseconds != 0 {
		said.Timeout = witTypes.Some(options.TimeoutNanoseconds)
	}
	if options.IdempotencyKey != "" {
		said.IdempotencyKey = witTypes.Some(options.IdempotencyKey)
	}
	id := granary_grain_types.GrainId{Kind: target.Kind, Key: target.Key}
	result := granary_grain_calls.Call(id, method, granary_grain_calls.MakePayloadJson(json), said)
	if result.IsErr() {
		return "", callError(result.Err())
	}
	// The answer comes in the encoding of the arguments.
	return result.Ok().Json(), nil
}

func (node) Send(target GrainID, method, json string, delayNanoseconds uint64) *CallError {
	var said granary_grain_calls.SendOptions
	if delayNanoseconds != 0 {
		said.Delay = witTypes.Some(delayNanoseconds)
	}
	id := granary_grain_types.GrainId{Kind: target.Kind, Key: target.Key}
	result := granary_grain_calls.Send(id, method, granary_grain_calls.MakePayloadJson(json), said)
	if result.IsErr() {
		return callError(result.Err())
	}
	return nil
}

func some(text witTypes.Option[string]) (string, bool) { return text.SomeOr(""), text.IsSome() }

func (node) SelfID() GrainID {
	id := granary_grain_context.SelfId()
	return GrainID{id.Kind, id.Key}
}

func (node) Revision() uint64 { return granary_grain_context.Revision() }

func (node) ActivationEpoch() uint64 { return granary_grain_context.ActivationEpoch() }

func (node) Caller() (GrainID, bool) {
	caller := granary_grain_context.Caller()
	if caller.IsNone() {
		return GrainID{}, false
	}
	return GrainID{caller.Some().Kind, caller.Some().Key}, true
}

func (node) CallChain() []GrainID {
	var chain []GrainID
	for _, id := range granary_grain_context.CallChain() {
		chain = append(chain, GrainID{id.Kind, id.Key})
	}
	return chain
}

func (node) Principal() (string, bool) { return some(granary_grain_context.Principal()) }

func (node) DeadlineRemaining() uint64 { return granary_grain_context.DeadlineRemaining() }

func (node) IdempotencyKey() (string, bool) { return some(granary_grain_context.IdempotencyKey()) }

func (node) Baggage(name string) (string, bool) { return some(granary_grain_context.Baggage(name)) }

func (node) SetBaggage(name, value string) (string, bool) {
	if result := granary_grain_context.SetBaggage(name, value); result.IsErr() {
		return result.Err(), false
	}
	return "", true
}

func (node) IsCancelled() bool { return granary_grain_context.IsCancelled() }
