// State: a number that survives, in Go.
//
// "counter-go/visits" and "counter-go/sales" are two grains with a number each. Whatever a turn writes is committed before its answer
// leaves; a turn that panics leaves no trace.
package export_demo_counter_counter

import (
	"math"

	"granary/state"
)

// The number's place in the state.
var count = state.At[uint64]("count")

// The memory of one activation: fast, and gone when the grain goes to rest.
var inMemory uint64

func Increment(by uint64) uint64 {
	// As large as it can be, rather than small again.
	sum := count.Or(0)
	sum += min(by, math.MaxUint64-sum)
	count.Put(sum)
	return sum
}

func Get() uint64 {
	return count.Or(0)
}

func IncrementMemory(by uint64) uint64 {
	inMemory += by
	return inMemory
}
