// Package state is the grain's own durable state: keys of text, values of anything that encoding/json can write.
//
// A turn sees its own writes at once. All of them are committed when it ends, or none.
//
//	var stock = state.At[map[string]int]("stock")
//
//	func Take(article string) int {
//		all := stock.Or(map[string]int{})
//		all[article]--
//		stock.Put(all)
//		return all[article]
//	}
//
// Values are kept as JSON text, so that a kind can be written anew in another language and keep its state.
//
// # When a type changes
//
// What is stored must be what the type writes: a field that is stored and unknown, or known and not stored, is a [*TypeError] and never
// a loss. A new field may be missing in old values if it is a pointer or a map, or has "omitempty" or "omitzero". Anything else is for
// the hook "migrate", which reads with the old type and writes with the new one.
package state

import (
	"errors"
	"fmt"
	"iter"
	"reflect"

	"granary/internal/host"
	"granary/internal/text"
)

// pageEntries is how many entries one request to the host asks for.
const pageEntries = 256

// Why the host refused; ask with errors.Is. The turn goes on; nothing was changed.
var (
	// ErrBadKey: the key is empty or longer than 512 bytes.
	ErrBadKey = errors.New("bad state key")
	// ErrTooLarge: the value, or the state as a whole, would be larger than its limit.
	ErrTooLarge = errors.New("state too large")
	// ErrReadOnly: the running method is a read method: it may not write.
	ErrReadOnly = errors.New("state is read-only here")
	// ErrUnavailable: the store could not be read just now.
	ErrUnavailable = errors.New("state unavailable")
)

// A TypeError says that a value does not fit the type that this code keeps under its key: of another revision, or of another kind of
// grain. The value stays as it is. A kind whose types change exports "granary:grain/migration" and rewrites the value there.
type TypeError struct {
	// Key is the value's.
	Key string
	// Revision is the one that is running.
	Revision uint64
	// Wanted is what the Go type of its code looks like in JSON.
	Wanted string
	// Stored is what the state holds, in the same words.
	Stored string
	// Err says what does not fit, and where.
	Err error
}

// Error names the key, the place and both types.
func (e *TypeError) Error() string {
	return fmt.Sprintf("state key '%s': %v; revision %d keeps %s, stored is %s", e.Key, e.Err, e.Revision, e.Wanted, e.Stored)
}

// Unwrap gives what does not fit.
func (e *TypeError) Unwrap() error { return e.Err }

func refused(failed *host.StateError) error {
	if failed == nil {
		return nil
	}
	why := ErrUnavailable
	switch failed.Code {
	case host.BadKey:
		why = ErrBadKey
	case host.TooLarge:
		why = ErrTooLarge
	case host.ReadOnly:
		why = ErrReadOnly
	case host.StateUnavailable:
	}
	return fmt.Errorf("%w: %s", why, failed.Text)
}

// GetBytes gives the bytes under a key, and whether there are some.
func GetBytes(key string) ([]byte, bool, error) {
	value, found, failed := host.Current.Get(key)
	return value, found, refused(failed)
}

// SetBytes puts bytes under a key.
func SetBytes(key string, value []byte) error {
	return refused(host.Current.Set(key, value))
}

// Delete removes a key. Removing one that is not there is no error.
func Delete(key string) error {
	return refused(host.Current.Delete(key))
}

// Version is how many commits have changed this grain's state.
func Version() uint64 {
	return host.Current.Version()
}

// Get gives the value under a key, and whether there is one. A value that is not one of the type is a [*TypeError].
func Get[T any](key string) (value T, found bool, err error) {
	data, found, err := GetBytes(key)
	if err != nil || !found {
		return value, false, err
	}
	value, err = read[T](key, data)
	return value, err == nil, err
}

func read[T any](key string, data []byte) (T, error) {
	var value, none T
	of := reflect.TypeFor[T]()
	err := text.Read(data, &value)
	if err != nil {
		err = text.Why(err)
	} else {
		err = text.Fit(data, of)
	}
	if err != nil {
		return none, &TypeError{key, host.Current.Revision(), text.Describe(of), text.Found(data), err}
	}
	return value, nil
}

// Set puts a value under a key, as JSON. It fails without an effect if the value cannot be written as JSON.
func Set[T any](key string, value T) error {
	data, err := text.Write(value)
	if err != nil {
		return fmt.Errorf("the value for `%s`: %w", key, err)
	}
	return SetBytes(key, data)
}

// Entry is one key and its value.
type Entry[T any] struct {
	Key   string
	Value T
}

// Scan goes through every key that starts with a prefix, in the order of the keys, with its bytes. Pages are fetched as they are
// needed. After an error it ends.
//
//	for entry, err := range state.Scan("item/") { … }
func Scan(prefix string) iter.Seq2[Entry[[]byte], error] {
	return func(yield func(Entry[[]byte], error) bool) {
		cursor, begun := "", false
		for {
			entries, next, more, failed := host.Current.Scan(prefix, cursor, begun, pageEntries)
			if failed != nil {
				yield(Entry[[]byte]{}, refused(failed))
				return
			}
			for _, entry := range entries {
				if !yield(Entry[[]byte]{entry.Key, entry.Value}, nil) {
					return
				}
			}
			if !more {
				return
			}
			cursor, begun = next, true
		}
	}
}

// ScanOf is Scan for values that Set has written. A value that does not fit is a *TypeError; the scan goes on after it.
func ScanOf[T any](prefix string) iter.Seq2[Entry[T], error] {
	return func(yield func(Entry[T], error) bool) {
		for entry, err := range Scan(prefix) {
			var value T
			if err == nil {
				value, err = read[T](entry.Key, entry.Value)
			}
			if !yield(Entry[T]{entry.Key, value}, err) {
				return
			}
		}
	}
}

// Value is one key of the state and the type of its value, named once.
type Value[T any] struct {
	key string
}

// At is the value under a key.
func At[T any](key string) Value[T] {
	return Value[T]{key}
}

// Get gives the value, and whether there is one.
func (v Value[T]) Get() (T, bool, error) {
	return Get[T](v.key)
}

// Set puts the value.
func (v Value[T]) Set(value T) error {
	return Set(v.key, value)
}

// Delete removes the value.
func (v Value[T]) Delete() error {
	return Delete(v.key)
}

// Or gives the value, or missing if it was never set. A value that cannot be read ends the turn.
func (v Value[T]) Or(missing T) T {
	value, found, err := v.Get()
	if err != nil {
		panic(err.Error())
	}
	if !found {
		return missing
	}
	return value
}

// Put puts the value. A refusal ends the turn.
func (v Value[T]) Put(value T) {
	if err := v.Set(value); err != nil {
		panic(err.Error())
	}
}
