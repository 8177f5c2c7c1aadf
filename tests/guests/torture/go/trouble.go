// Ways to fail, and limits to run into.
package export_test_torture_trouble

import (
	"fmt"
	"os"
	"sync"

	"granary"
	"granary/state"

	witTypes "go.bytecodealliance.org/pkg/wit/types"
)

var hoarded [][]byte

func Fail(words string) witTypes.Result[uint32, string] {
	granary.Check(state.Set("failed", true))
	return witTypes.Err[uint32](words)
}

func Throw(words string) {
	granary.Check(state.Set("thrown", true))
	panic(words)
}

func Exit(status uint8) {
	os.Exit(int(status))
}

// Abort fails in a way that no `recover` catches.
func Abort() {
	granary.Check(state.Set("aborted", true))
	new(sync.Mutex).Unlock()
}

// Check panics: the language has no assertion.
func Check(words string) {
	granary.Check(state.Set("checked", true))
	if words != "" {
		panic("assertion failed: " + words)
	}
}

func Spin() {
	for {
	}
}

func Hoard() {
	for {
		block := make([]byte, 1<<20)
		for at := 0; at < len(block); at += 4096 {
			block[at] = 1
		}
		hoarded = append(hoarded, block)
	}
}

func Speak(line string) {
	fmt.Println(line)
	fmt.Fprintln(os.Stderr, line)
}

func Has(key string) bool {
	_, found, err := state.GetBytes(key)
	granary.Check(err)
	return found
}
