package state_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"granary/granarytest"
	"granary/state"
)

type item struct {
	Article string `json:"article"`
	Count   uint32 `json:"count"`
}

func TestValuesAreKeptAsJSONText(t *testing.T) {
	host := granarytest.Start(t)
	count := state.At[uint64]("count")
	if got := count.Or(7); got != 7 {
		t.Errorf("a missing value is %d", got)
	}
	count.Put(math.MaxUint64)
	if got := host.State["count"]; got != "18446744073709551615" {
		t.Errorf("count is kept as %s", got)
	}
	if got := count.Or(0); got != math.MaxUint64 {
		t.Errorf("count is read as %d", got)
	}
	if err := state.Set("items", []item{{"<milk> & more", 2}}); err != nil {
		t.Error(err)
	}
	if got := host.State["items"]; got != `[{"article":"<milk> & more","count":2}]` {
		t.Errorf("items are kept as %s", got)
	}
	items, found, err := state.Get[[]item]("items")
	if err != nil || !found || len(items) != 1 || items[0] != (item{"<milk> & more", 2}) {
		t.Errorf("items are read as %v, %v, %v", items, found, err)
	}
	if err := count.Delete(); err != nil {
		t.Error(err)
	}
	if _, found, err := count.Get(); found || err != nil {
		t.Errorf("a deleted value is found: %v, %v", found, err)
	}
}

func TestWhatAnotherLanguageWroteIsRead(t *testing.T) {
	host := granarytest.Start(t)
	for _, written := range []string{"5", " 5\n", `"5"`} {
		host.State["count"] = written
		if got := state.At[uint64]("count").Or(0); got != 5 {
			t.Errorf("%q is read as %d", written, got)
		}
	}
}

func TestAnotherTypeIsAnErrorThatShowsBoth(t *testing.T) {
	host := granarytest.Start(t)
	host.State["count"] = `"three"`
	_, found, err := state.Get[uint64]("count")
	var wrong *state.TypeError
	if found || !errors.As(err, &wrong) || wrong.Wanted != "uint64" || wrong.Stored != `"three"` {
		t.Fatalf("%v, %v", found, err)
	}
	const words = "the value under `count` is read as uint64, but was written as \"three\""
	if err.Error() != words {
		t.Errorf("%v", err)
	}
	defer func() {
		if said := recover(); said != words {
			t.Errorf("Or ends the turn with %v", said)
		}
		if host.State["count"] != `"three"` {
			t.Error("the value is not what it was")
		}
	}()
	state.At[uint64]("count").Or(0)
}

func TestRefusals(t *testing.T) {
	host := granarytest.Start(t)
	if err := state.SetBytes("", nil); !errors.Is(err, state.ErrBadKey) {
		t.Errorf("an empty key: %v", err)
	}
	if err := state.SetBytes("big", make([]byte, 1<<20+1)); !errors.Is(err, state.ErrTooLarge) {
		t.Errorf("a big value: %v", err)
	}
	host.ReadOnly = true
	if err := state.Set("count", 1); !errors.Is(err, state.ErrReadOnly) || !strings.HasPrefix(err.Error(), "state is read-only here: ") {
		t.Errorf("a read method writes: %v", err)
	}
	if err := state.Delete("count"); !errors.Is(err, state.ErrReadOnly) {
		t.Errorf("a read method deletes: %v", err)
	}
	if err := state.Set("odd", math.NaN()); err == nil || len(host.State) != 0 {
		t.Errorf("no JSON for it, yet %v, %v", err, host.State)
	}
}

func TestAScanGoesThroughAllPagesInOrder(t *testing.T) {
	host := granarytest.Start(t)
	for at := range 600 {
		state.At[int](key(at)).Put(at)
	}
	host.State["other"] = "1"
	next := 0
	for entry, err := range state.ScanOf[int]("item/") {
		if err != nil || entry.Key != key(next) || entry.Value != next {
			t.Fatalf("entry %d is %v, %v", next, entry, err)
		}
		next++
	}
	if next != 600 {
		t.Errorf("%d entries", next)
	}
	host.State[key(1)] = "null and void"
	var wrong *state.TypeError
	seen := 0
	for _, err := range state.ScanOf[int]("item/") {
		if seen++; seen == 2 && !errors.As(err, &wrong) {
			t.Errorf("a broken value is %v", err)
		}
		if seen == 3 {
			break
		}
	}
}

func key(at int) string {
	return "item/" + string([]byte{'0' + byte(at/100), '0' + byte(at/10%10), '0' + byte(at%10)})
}
