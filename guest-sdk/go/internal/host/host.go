// Package host is the border to whatever runs the grain: a node, or the host in memory of package granarytest.
package host

// StateCode is a case of the enum "state-error-code", in its order.
type StateCode uint8

// The cases; wit/state.wit explains them.
const (
	BadKey StateCode = iota
	TooLarge
	ReadOnly
	StateUnavailable
)

// StateError is a refused state operation.
type StateError struct {
	Code StateCode
	Text string
}

// Entry is one key and its value.
type Entry struct {
	Key   string
	Value []byte
}

// GrainID is "kind/key".
type GrainID struct {
	Kind, Key string
}

// CallError is a call that gave no answer. Code is a case of the enum "call-error-code", in its order.
type CallError struct {
	Code   uint8
	Text   string
	Circle []GrainID
}

// CallOptions is what may be said about a call; zero values say nothing.
type CallOptions struct {
	TimeoutNanoseconds uint64
	IdempotencyKey     string
}

// Host is what a grain may use.
type Host interface {
	Get(key string) ([]byte, bool, *StateError)
	Set(key string, value []byte) *StateError
	Delete(key string) *StateError
	// Scan gives one page and the cursor of the next one, if there is one.
	Scan(prefix, cursor string, begun bool, limit uint32) (entries []Entry, next string, more bool, failed *StateError)
	Version() uint64

	Call(target GrainID, method, json string, options CallOptions) (string, *CallError)
	Send(target GrainID, method, json string, delayNanoseconds uint64) *CallError

	SelfID() GrainID
	Revision() uint64
	ActivationEpoch() uint64
	Caller() (GrainID, bool)
	CallChain() []GrainID
	Principal() (string, bool)
	DeadlineRemaining() uint64
	IdempotencyKey() (string, bool)
	Baggage(name string) (string, bool)
	SetBaggage(name, value string) (refused string, ok bool)
	IsCancelled() bool
}
