//go:build !wasm

// Package granarytest is a host in memory, so that the code of a grain runs under "go test" on the machine itself.
//
//	func TestIncrement(t *testing.T) {
//		host := granarytest.Start(t)
//		Increment(5)
//		if got := host.State["count"]; got != "5" {
//			t.Errorf("count is %s", got)
//		}
//	}
//
// It knows no turns: what is written stays, also after a panic. "granary test" runs the same project on a real node.
package granarytest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"granary"
	"granary/calls"
	"granary/internal/host"
)

// Message is a call or a send that the grain has made.
type Message struct {
	To     granary.GrainID
	Method string
	// Arguments is a JSON array.
	Arguments string
	// Timeout of a call; zero if it has none.
	Timeout time.Duration
	// IdempotencyKey of a call.
	IdempotencyKey string
	// Delay of a send.
	Delay time.Duration
}

// Host is the host of one test. Its fields may be changed at any time.
type Host struct {
	// State is the grain's: JSON text, or bytes, by key.
	State map[string]string
	// ReadOnly says that the running method is a read method: writing is refused.
	ReadOnly bool
	// Revision is the one that runs; it begins as 1.
	Revision uint64
	// Self is the grain.
	Self granary.GrainID
	// Caller is the grain that calls, if one does. Callers before it are in Chain.
	Caller *granary.GrainID
	Chain  []granary.GrainID
	// Principal and IdempotencyKey are those of the call; empty: none.
	Principal      string
	IdempotencyKey string
	// Deadline is how long the caller still waits.
	Deadline time.Duration
	// Cancelled says that the caller has given up.
	Cancelled bool
	// Baggage of the call.
	Baggage map[string]string

	// Answer answers the grain's calls: with JSON, or with a *calls.Error. Without it every call is NotFound.
	Answer func(Message) (string, error)
	// Called and Sent are what the grain has called and sent, in order.
	Called []Message
	Sent   []Message
}

// Start gives the grain a fresh host until the test ends. Tests that use one do not run in parallel.
func Start(t testing.TB) *Host {
	t.Helper()
	made := &Host{
		State:    map[string]string{},
		Self:     granary.GrainID{Kind: "test", Key: t.Name()},
		Revision: 1,
		Deadline: 30 * time.Second,
		Baggage:  map[string]string{},
	}
	before := host.Current
	host.Current = inner{made}
	t.Cleanup(func() { host.Current = before })
	return made
}

// inner keeps the methods of a host out of the way of those who write tests.
type inner struct{ *Host }

func badKey(key string) *host.StateError {
	if len(key) == 0 || 512 < len(key) {
		return &host.StateError{Code: host.BadKey, Text: fmt.Sprintf("a key has 1 to 512 bytes, this one has %d", len(key))}
	}
	return nil
}

func (h inner) mayWrite(key string) *host.StateError {
	if h.ReadOnly {
		return &host.StateError{Code: host.ReadOnly, Text: "the method is a read method"}
	}
	return badKey(key)
}

func (h inner) Get(key string) ([]byte, bool, *host.StateError) {
	if failed := badKey(key); failed != nil {
		return nil, false, failed
	}
	value, found := h.State[key]
	return []byte(value), found, nil
}

func (h inner) Set(key string, value []byte) *host.StateError {
	if failed := h.mayWrite(key); failed != nil {
		return failed
	}
	if 1<<20 < len(value) {
		return &host.StateError{Code: host.TooLarge, Text: "a value has at most 1 MiB"}
	}
	h.State[key] = string(value)
	return nil
}

func (h inner) Delete(key string) *host.StateError {
	if failed := h.mayWrite(key); failed != nil {
		return failed
	}
	delete(h.State, key)
	return nil
}

func (h inner) Scan(prefix, cursor string, begun bool, limit uint32) ([]host.Entry, string, bool, *host.StateError) {
	var keys []string
	for key := range h.State {
		if strings.HasPrefix(key, prefix) && (!begun || cursor < key) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	more := int(limit) < len(keys)
	if more {
		keys = keys[:limit]
	}
	var entries []host.Entry
	for _, key := range keys {
		entries = append(entries, host.Entry{Key: key, Value: []byte(h.State[key])})
	}
	if more {
		cursor = keys[len(keys)-1]
	}
	return entries, cursor, more, nil
}

func (h inner) Version() uint64 { return 0 }

func (h inner) Call(to host.GrainID, method, json string, options host.CallOptions) (string, *host.CallError) {
	message := Message{
		To:             granary.GrainID(to),
		Method:         method,
		Arguments:      json,
		Timeout:        time.Duration(min(options.TimeoutNanoseconds, math.MaxInt64)),
		IdempotencyKey: options.IdempotencyKey,
	}
	h.Called = append(h.Called, message)
	if h.Answer == nil {
		return "", &host.CallError{Code: uint8(calls.NotFound), Text: "the test answers no calls"}
	}
	answer, err := h.Answer(message)
	if err == nil {
		return answer, nil
	}
	var failed *calls.Error
	if !errors.As(err, &failed) {
		failed = &calls.Error{Code: calls.Unavailable, Text: err.Error()}
	}
	made := &host.CallError{Code: uint8(failed.Code), Text: failed.Text}
	for _, id := range failed.Circle {
		made.Circle = append(made.Circle, host.GrainID(id))
	}
	return "", made
}

func (h inner) Send(to host.GrainID, method, json string, delay uint64) *host.CallError {
	h.Sent = append(h.Sent, Message{
		To:        granary.GrainID(to),
		Method:    method,
		Arguments: json,
		Delay:     time.Duration(min(delay, math.MaxInt64)),
	})
	return nil
}

func (h inner) SelfID() host.GrainID { return host.GrainID(h.Self) }

func (h inner) Revision() uint64 { return h.Host.Revision }

func (h inner) ActivationEpoch() uint64 { return 1 }

func (h inner) Caller() (host.GrainID, bool) {
	if h.Host.Caller == nil {
		return host.GrainID{}, false
	}
	return host.GrainID(*h.Host.Caller), true
}

func (h inner) CallChain() []host.GrainID {
	var chain []host.GrainID
	for _, id := range h.Chain {
		chain = append(chain, host.GrainID(id))
	}
	if caller, found := h.Caller(); found {
		chain = append(chain, caller)
	}
	return chain
}

func (h inner) Principal() (string, bool) { return h.Host.Principal, h.Host.Principal != "" }

func (h inner) DeadlineRemaining() uint64 { return uint64(max(h.Deadline, 0)) }

func (h inner) IdempotencyKey() (string, bool) {
	return h.Host.IdempotencyKey, h.Host.IdempotencyKey != ""
}

func (h inner) Baggage(name string) (string, bool) {
	value, found := h.Host.Baggage[name]
	return value, found
}

func (h inner) SetBaggage(name, value string) (string, bool) {
	size := len(name) + len(value)
	for name, value := range h.Host.Baggage {
		size += len(name) + len(value)
	}
	if 8192 < size {
		return "the baggage of the call would be over 8 KiB", false
	}
	h.Host.Baggage[name] = value
	return "", true
}

func (h inner) IsCancelled() bool { return h.Cancelled }
