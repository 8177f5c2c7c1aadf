package runtime

// Changed for Granary: this file, and the two calls of settle in runtime.go.
//
// The collector of the Go runtime asks for the time. While the host asks a component for memory (`cabi_realloc`), no call out of
// the component is allowed, and a collection that is then under way ends the component with a trap. So collections do not begin by
// themselves: they run, from begin to end, at places where a call out is allowed, before memory for a call out is taken and after
// the arguments of a call in have been read.

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// A collection is worth its time when so much has been allocated since the last one, or as much as had survived it.
	collectBytesMin = 4 << 20
	// A turn that never comes to such a place is collected by the runtime itself when it has this much more than half again what was alive.
	ownBytesMin = 24 << 20
)

var (
	allocated = []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	live      = []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	// The bytes allocated so far at which the next collection is due.
	due uint64 = collectBytesMin
)

func init() {
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(ownBytesMin)
}

// settle runs where all that the host has put into memory has been read: it belongs to the collector from then on.
func settle() {
	pinner.Unpin()
	metrics.Read(allocated)
	if allocated[0].Value.Uint64() < due {
		return
	}
	runtime.GC()
	// Whatever else the collection has woken runs now, not when the host asks for memory.
	runtime.Gosched()
	metrics.Read(live)
	metrics.Read(allocated)
	alive := live[0].Value.Uint64()
	due = allocated[0].Value.Uint64() + max(collectBytesMin, alive)
	debug.SetMemoryLimit(int64(min(ownBytesMin+alive+alive/2, math.MaxInt64)))
}
