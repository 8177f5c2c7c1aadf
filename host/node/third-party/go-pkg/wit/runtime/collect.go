package runtime

// Changed for Granary: this file, and its uses in runtime.go.
//
// The collector of the Go runtime asks for the time, and waits. While the host asks a component for memory (`cabi_realloc`), no call
// out of the component is allowed: it would end with a trap. So no collection begins there, it waits for the next piece of memory that
// the program itself takes; and wherever one begins, it runs to its end, as GODEBUG=gcstoptheworld=2 has it, so that none is under way
// when the host comes back. A component has no such environment, and on one thread nothing is lost by it.

import (
	"runtime"
	"unsafe"
)

// setting is how the Go runtime keeps what GODEBUG may say.
type setting struct {
	name  string
	value *int32
	// What follows is not looked at.
	_ unsafe.Pointer
	_ int32
}

//go:linkname settings runtime.dbgvars
var settings []*setting

func init() {
	for _, setting := range settings {
		if setting.name == "gcstoptheworld" && setting.value != nil {
			*setting.value = 2
			return
		}
	}
	panic("this version of Go has no gcstoptheworld: " + runtime.Version())
}

// Between these two no collection begins: the goroutine keeps its thread.

//go:linkname procPin runtime.procPin
func procPin() int

//go:linkname procUnpin runtime.procUnpin
func procUnpin()

// The runtime looks whether a collection is due when a piece of this size is taken.
const largeBytes = 64 << 10

var (
	// How much the host has asked for since the last look.
	taken uintptr
	large []byte
)

// release lets the collector have what the host has put into memory for earlier calls: all of it has been read by now. It also makes up
// for the collections that did not begin while the host asked: a program that takes little itself would never begin one.
func release() {
	pinner.Unpin()
	if taken < 16*largeBytes {
		return
	}
	taken = 0
	large = make([]byte, largeBytes)
	large = nil
}
