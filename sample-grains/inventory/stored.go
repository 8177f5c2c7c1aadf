package export_demo_inventory_inventory

import (
	"fmt"
	"iter"
	"strconv"
	"strings"

	"granary"
	"granary/state"

	. "wit_component/demo_inventory_inventory"
)

// Where goods and reservations are kept: a key for each, so that a change writes one of them and not all.
const (
	shelfPrefix = "stock/"
	holdPrefix  = "reservation/"
)

// How many reservations there have been.
var lastID = state.At[uint64]("reservations")

// shelf is what is kept of an article.
type shelf struct {
	OnHand   uint32 `json:"on-hand"`
	Reserved uint32 `json:"reserved"`
}

func shelfOf(article string) (shelf, bool) {
	kept, found, err := state.Get[shelf](shelfPrefix + article)
	granary.Check(err)
	return kept, found
}

func (s shelf) free() uint32 { return s.OnHand - s.Reserved }

func (s shelf) put(article string) Stock {
	granary.Check(state.Set(shelfPrefix+article, s))
	return s.shown(article)
}

func (s shelf) shown(article string) Stock {
	return Stock{Article: article, OnHand: s.OnHand, Reserved: s.Reserved}
}

func shelves() iter.Seq2[string, shelf] {
	return func(yield func(string, shelf) bool) {
		for entry, err := range state.ScanOf[shelf](shelfPrefix) {
			granary.Check(err)
			if !yield(strings.TrimPrefix(entry.Key, shelfPrefix), entry.Value) {
				return
			}
		}
	}
}

// hold is what is kept of a reservation.
type hold struct {
	Article string `json:"article"`
	Count   uint32 `json:"count"`
	Holder  string `json:"holder"`
	// Expires is in milliseconds since 1970.
	Expires uint64 `json:"expires"`
}

// Twenty digits, so that the order of the keys is that of the numbers.
func holdKey(id uint64) string { return fmt.Sprintf("%s%020d", holdPrefix, id) }

func holdOf(id uint64) (hold, bool) {
	kept, found, err := state.Get[hold](holdKey(id))
	granary.Check(err)
	return kept, found
}

func (h hold) over() bool { return h.Expires <= uint64(now().UnixMilli()) }

func (h hold) add() uint64 {
	id := lastID.Or(0) + 1
	lastID.Put(id)
	granary.Check(state.Set(holdKey(id), h))
	return id
}

// end removes the reservation; so many of its goods are gone, the others are free again.
func (h hold) end(id uint64, gone uint32) Stock {
	granary.Check(state.Delete(holdKey(id)))
	kept, _ := shelfOf(h.Article)
	kept.Reserved -= h.Count
	kept.OnHand -= gone
	return kept.put(h.Article)
}

func (h hold) shown(id uint64) Reservation {
	return Reservation{Id: id, Article: h.Article, Count: h.Count, Holder: h.Holder, Expires: h.Expires}
}

func holds() iter.Seq2[uint64, hold] {
	return func(yield func(uint64, hold) bool) {
		for entry, err := range state.ScanOf[hold](holdPrefix) {
			granary.Check(err)
			id := granary.Must(strconv.ParseUint(strings.TrimPrefix(entry.Key, holdPrefix), 10, 64))
			if !yield(id, entry.Value) {
				return
			}
		}
	}
}
