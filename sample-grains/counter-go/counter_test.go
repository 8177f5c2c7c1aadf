package export_demo_counter_counter

import (
	"math"
	"testing"

	"granary/granarytest"
)

func TestTheNumberIsKeptAsJSON(t *testing.T) {
	host := granarytest.Start(t)
	if got := Get(); got != 0 {
		t.Errorf("a new grain has %d", got)
	}
	if got := Increment(5); got != 5 || host.State["count"] != "5" {
		t.Errorf("%d, kept as %s", got, host.State["count"])
	}
	if got := Increment(math.MaxUint64); got != math.MaxUint64 || Get() != math.MaxUint64 {
		t.Errorf("%d at the end", got)
	}
}

func TestTheNumberInMemoryIsNotKept(t *testing.T) {
	host := granarytest.Start(t)
	before := IncrementMemory(0)
	if got := IncrementMemory(2); got != before+2 || len(host.State) != 0 {
		t.Errorf("%d, %v", got, host.State)
	}
}
