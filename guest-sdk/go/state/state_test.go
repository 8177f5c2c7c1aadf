package state_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

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
	if found || !errors.As(err, &wrong) || wrong.Wanted != "uint64" || wrong.Stored != "text" {
		t.Fatalf("%v, %v", found, err)
	}
	const words = "state key 'count': at /: expected uint64, found text; revision 1 keeps uint64, stored is text"
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

// Changed is what item became in a later revision.
type Changed struct {
	Title string            `json:"title"`
	Count uint32            `json:"count"`
	Note  *string           `json:"note"`
	Tags  map[string]string `json:"tags"`
	Old   bool              `json:"old,omitempty"`
	Sizes []uint8           `json:"sizes,omitzero"`
}

func TestAnotherRevisionsTypeIsAnErrorAndNotALoss(t *testing.T) {
	host := granarytest.Start(t)
	host.Revision = 2
	for stored, why := range map[string]string{
		`{"article":"tea","count":3}`:                 "at /title: expected text, found nothing",
		`{"title":"tea","count":3,"price":1}`:         "at /price: expected no such field, found integer",
		`{"title":"tea","count":null}`:                "at /count: expected uint32, found null",
		`{"title":"tea","count":"many"}`:              "at /count: expected uint32, found text",
		`{"title":"tea","count":3,"tags":{"a":null}}`: "at /tags/a: expected text, found null",
		`[]`:       "at /: expected {title: text, count: uint32, note?: text | null, tags?: {text: text}, old?: boolean, sizes?: text of bytes}, found array",
		`{"title"`: "it is no JSON: unexpected end of JSON input",
	} {
		host.State["item"] = stored
		value, found, err := state.Get[Changed]("item")
		var wrong *state.TypeError
		if found || !errors.As(err, &wrong) || wrong.Revision != 2 || wrong.Err.Error() != why {
			t.Errorf("%s: %v, %v, %v", stored, value, found, err)
		}
		if host.State["item"] != stored {
			t.Errorf("%s is now %s", stored, host.State["item"])
		}
	}
	const stored = `{"title":"tea","count":3}`
	host.State["item"] = stored
	if value, found, err := state.Get[Changed]("item"); err != nil || !found || value.Title != "tea" {
		t.Errorf("what may be missing is missing: %v, %v, %v", value, found, err)
	}
	if _, _, err := state.Get[[2]uint8]("item"); err == nil {
		t.Error("a record is no array")
	}
	host.State["pair"] = "[1,2,3]"
	if _, _, err := state.Get[[2]uint8]("pair"); err == nil || !strings.Contains(err.Error(), "found 3 items") {
		t.Errorf("an array of another length: %v", err)
	}
}

type inner struct{ Deep []item }

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	granarytest.Start(t)
	type everything struct {
		inner
		*Changed
		Any     any
		Pointer *inner
		Nothing []string
		Long    int64 `json:",string"`
		Hidden  int   `json:"-"`
		Raw     json.RawMessage
		When    time.Time
		Pair    [2]bool
		Self    *everything
	}
	for _, value := range []everything{
		{Raw: json.RawMessage(`{"x":1}`)},
		{inner: inner{[]item{{"tea", 1}}}, Changed: &Changed{}, Any: 1.5, Pointer: &inner{}, Raw: json.RawMessage("1"), Self: &everything{Raw: json.RawMessage("2")}},
	} {
		if err := state.Set("all", value); err != nil {
			t.Fatal(err)
		}
		if _, found, err := state.Get[everything]("all"); err != nil || !found {
			t.Errorf("%v, %v", found, err)
		}
	}
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
