// Package granary and those below it are what a grain written in Go uses of its host: state, calls, context.
//
// A grain is an actor with a name, "kind/key", and a state that survives. Its code is a WebAssembly component; its interface is the
// component's own WIT. These packages are comfort over the bindings that "granary build" generates from WIT; a component that is
// written with those alone is a grain, too.
//
// # A first grain
//
// The interface, in wit/counter.wit:
//
//	package demo:counter@0.1.0;
//
//	interface counter {
//	  increment: func(by: u64) -> u64;
//	  get: func() -> u64;
//	}
//
//	world grain {
//	  include granary:grain/imports@0.1.0;
//	  export counter;
//	}
//
// The code, in counter.go. The package's name says which exported interface it implements; each function is one of the interface's,
// with a capital letter:
//
//	package export_demo_counter_counter
//
//	import "granary/state"
//
//	var count = state.At[uint64]("count")
//
//	func Increment(by uint64) uint64 {
//		n := count.Or(0) + by
//		count.Put(n)
//		return n
//	}
//
//	func Get() uint64 {
//		return count.Or(0)
//	}
//
// The types of the interface are in the package "wit_component/demo_counter_counter"; options, results and tuples are those of
// "go.bytecodealliance.org/pkg/wit/types".
//
// granary.toml makes a kind of it. Get is a read method: it may not write, and can be called with GET.
//
//	[kinds.counter]
//	build = "."
//	language = "go"
//
//	[kinds.counter.methods.get]
//	mode = "read"
//
// "granary dev" builds it, runs it, and builds it again when a file changes:
//
//	$ curl -d 5 localhost:7420/g/counter/visits/increment
//	5
//
// # What a turn is
//
// One call is one turn, and a grain has one turn at a time, so plain code without locks is right. What the turn writes to the state and
// the messages that it sends are committed together when it ends, and the answer leaves after that. When it panics, nothing of it
// is left, and the caller is told the words and where it happened. So [Must] is a fair answer to an error that leaves nothing to do.
//
// Package variables are the activation's own: fast, and gone when the grain goes to rest. What is printed goes to the grain's log.
//
// # State, calls, context
//
//   - [granary/state]: durable values of any type, kept as JSON.
//   - [granary/calls]: other grains by name, with typed arguments and answers.
//   - [granary/context]: who calls, until when, in which chain.
//   - [granary/granarytest]: a host in memory, for "go test" on the machine itself.
//
// # Hooks
//
// Code around an activation needs a line in the world, "include granary:grain/with-lifecycle@0.1.0;", and a file that implements it:
//
//	package export_granary_grain_lifecycle
//
//	import (
//		"granary/state"
//
//		witTypes "go.bytecodealliance.org/pkg/wit/types"
//		"wit_component/granary_grain_lifecycle"
//	)
//
//	func Activate(reason uint8) witTypes.Result[witTypes.Unit, string] {
//		if reason == granary_grain_lifecycle.ActivateReasonRecovery {
//			println("back again")
//		}
//		if state.At[bool]("locked").Or(false) {
//			return witTypes.Err[witTypes.Unit, string]("the grain is locked")
//		}
//		return witTypes.Ok[witTypes.Unit, string](witTypes.Unit{})
//	}
//
//	func Deactivate(reason uint8) {}
//
// State of older revisions is taken over the same way: "include granary:grain/with-migration@0.1.0;", and
// func Migrate(fromRevision uint64) in package export_granary_grain_migration.
package granary

// GrainID is the identity of a grain.
type GrainID struct {
	// Kind is a lower-case name.
	Kind string
	// Key is the identity within the kind.
	Key string
}

// String is "kind/key".
func (id GrainID) String() string {
	return id.Kind + "/" + id.Key
}

// Must gives the value, or ends the turn with the words of the error: it leaves no trace, and the caller is told.
func Must[T any](value T, err error) T {
	Check(err)
	return value
}

// Check ends the turn if there is an error.
func Check(err error) {
	if err != nil {
		panic(err.Error())
	}
}
