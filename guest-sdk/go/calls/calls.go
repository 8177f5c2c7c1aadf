// Package calls is calls to other grains by name.
//
//	func take(article string, count uint32) (uint32, error) {
//		// Leaves only if this turn commits, and is handled once.
//		if err := calls.Grain("audit", "2031").Send("taken", article, count); err != nil {
//			return 0, err
//		}
//		// Arguments in the order of the parameters. The answer is the method's result, or the value of its ok.
//		stock := calls.Grain("stock", article).Timeout(2 * time.Second)
//		return calls.Call[uint32](stock, "take", count)
//	}
//
// # Types in an answer
//
// encoding/json reads what the host writes: names are as they are in the WIT, so a field says `json:"kebab-case"`; an option is null or
// its value; a variant is "case" or {"case": payload}. An integer beyond 2^53 comes as a string of its digits: where the answer is
// that integer, Call reads it; where it is a part of the answer, give the field the type [U64] or [I64]. Bytes come as base64, as
// encoding/json has them.
package calls

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"granary"
	"granary/internal/host"
	"granary/internal/text"
)

// Code is what went wrong with a call: each case says whether the called grain was changed.
type Code uint8

// The cases, in the order of wit/types.wit.
const (
	// Overloaded: a queue or the node is full. The call did not start; repeat it later.
	Overloaded Code = iota
	// Deadlock: the call would have waited in a circle. It did not start.
	Deadlock
	// Timeout: the deadline passed. If the call had started, its outcome is unknown.
	Timeout
	// Cancelled: the caller or an operator cancelled the call. It had no effect.
	Cancelled
	// Denied: the caller lacks the right, or a read method tried to write. The call had no effect.
	Denied
	// NotFound: there is no such kind or method. The call did not start.
	NotFound
	// Invalid: an argument does not fit the method's type. The call did not start.
	Invalid
	// GuestTrap: the called grain trapped. Its turn was dropped without effect.
	GuestTrap
	// LimitExceeded: the called grain used up a limit. Its turn was dropped without effect.
	LimitExceeded
	// Conflict: another commit came first. The turn was dropped without effect; repeat it.
	Conflict
	// Unavailable: the node cannot serve just now. The call did not start.
	Unavailable
	// UnknownOutcome: the answer was lost. The call may or may not have had its effect.
	UnknownOutcome
	// App: the method itself answered err. Its turn was committed, unless the manifest says otherwise.
	App
)

var names = [...]string{
	"overloaded", "deadlock", "timeout", "cancelled", "denied", "not found", "invalid",
	"guest trap", "limit exceeded", "conflict", "unavailable", "unknown outcome", "answered",
}

// String is the case in words.
func (c Code) String() string {
	if int(c) < len(names) {
		return names[c]
	}
	return fmt.Sprintf("code %d", uint8(c))
}

// Error is why a call gave no answer.
type Error struct {
	Code Code
	// Text is why, in words; with App it is the JSON of the err value.
	Text string
	// Circle is the grains of a Deadlock; the first is also the last.
	Circle []granary.GrainID
}

// Error is the code and the text: "deadlock: cart/7 → stock/3 → cart/7".
func (e *Error) Error() string {
	return e.Code.String() + ": " + e.Text
}

// HadNoEffect says whether the called grain is certainly unchanged, so that the call may simply be repeated.
func (e *Error) HadNoEffect() bool {
	switch e.Code {
	case Timeout, UnknownOutcome, App:
		return false
	default:
		return true
	}
}

// AppError gives the value of the method's err, if that is what came back and it fits the type.
func AppError[E any](err error) (E, bool) {
	var value E
	var failed *Error
	if !errors.As(err, &failed) || failed.Code != App {
		return value, false
	}
	return value, text.Read([]byte(failed.Text), &value) == nil
}

// ErrAnswer: the method ran, but its answer does not fit the Go type.
var ErrAnswer = errors.New("the answer does not fit its type")

// ErrArguments: the arguments cannot be written as JSON. Nothing was called.
var ErrArguments = errors.New("the arguments cannot be written as JSON")

// Remote is another grain, and how to call it.
type Remote struct {
	id      granary.GrainID
	options host.CallOptions
}

// Grain is the grain kind/key. It need not exist yet: a first message makes it.
func Grain(kind, key string) Remote {
	return Remote{id: granary.GrainID{Kind: kind, Key: key}}
}

// ID says which grain it is.
func (r Remote) ID() granary.GrainID {
	return r.id
}

// Timeout waits no longer than this. No call outlives the deadline of the turn that makes it.
func (r Remote) Timeout(most time.Duration) Remote {
	r.options.TimeoutNanoseconds = nanoseconds(most)
	return r
}

// IdempotencyKey makes a repeated call harmless: a second one of the same method with the same key gets the first one's answer.
func (r Remote) IdempotencyKey(key string) Remote {
	r.options.IdempotencyKey = key
	return r
}

func nanoseconds(duration time.Duration) uint64 {
	// A time that has passed is as short as can be said: zero would say nothing.
	return uint64(max(duration, 1))
}

// Call calls a method and waits for its answer: the method's result, or the value of its ok. The method's err is an *[Error] with the
// code App; see [AppError]. A method without a result is called as Call[any].
func Call[R any](grain Remote, method string, arguments ...any) (R, error) {
	var answer R
	json, err := write(arguments)
	if err != nil {
		return answer, err
	}
	result, failed := host.Current.Call(host.GrainID(grain.id), method, json, grain.options)
	if failed != nil {
		return answer, wrap(failed)
	}
	if result == "" {
		// A method without a result answers with nothing at all.
		result = "null"
	}
	if err := text.Read([]byte(result), &answer); err != nil {
		var none R
		return none, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return answer, nil
}

// Send sends a message without waiting. It leaves only if this turn commits, and is handled once.
func (r Remote) Send(method string, arguments ...any) error {
	return r.send(0, method, arguments)
}

// SendAfter is Send, held back for a while after the commit.
func (r Remote) SendAfter(delay time.Duration, method string, arguments ...any) error {
	return r.send(nanoseconds(delay), method, arguments)
}

func (r Remote) send(delay uint64, method string, arguments []any) error {
	json, err := write(arguments)
	if err != nil {
		return err
	}
	return wrap(host.Current.Send(host.GrainID(r.id), method, json, delay))
}

func wrap(failed *host.CallError) error {
	if failed == nil {
		return nil
	}
	made := &Error{Code: Code(failed.Code), Text: failed.Text}
	for _, id := range failed.Circle {
		made.Circle = append(made.Circle, granary.GrainID(id))
	}
	return made
}

func write(arguments []any) (string, error) {
	if arguments == nil {
		arguments = []any{}
	}
	data, err := text.Write(arguments)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrArguments, err)
	}
	return string(data), nil
}

// U64 is an unsigned 64-bit integer within an answer: a number or, beyond 2^53, a string of digits.
type U64 uint64

// UnmarshalJSON reads both.
func (n *U64) UnmarshalJSON(data []byte) error {
	return text.Read(data, (*uint64)(n))
}

// I64 is a signed 64-bit integer within an answer: a number or, beyond 2^53, a string of digits.
type I64 int64

// UnmarshalJSON reads both.
func (n *I64) UnmarshalJSON(data []byte) error {
	return text.Read(data, (*int64)(n))
}

var (
	_ json.Unmarshaler = (*U64)(nil)
	_ json.Unmarshaler = (*I64)(nil)
)
