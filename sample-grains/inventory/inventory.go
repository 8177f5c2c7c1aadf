// Calls, sends and time: a stock that keeps goods for a while, and sells them when another grain has paid.
//
// `wit/inventory.wit` is the API. Three things happen outside of the stock, each in its own way: the buyer's account is called, because
// its answer decides; the seller's account is sent a message, which leaves only if the sale is committed; and the end of a reservation
// is a message of the stock to itself, held back until then.
package export_demo_inventory_inventory

import (
	"errors"
	"fmt"
	"time"

	"granary"
	"granary/calls"
	"granary/context"

	. "wit_component/demo_inventory_inventory"

	. "go.bytecodealliance.org/pkg/wit/types"
)

const (
	articleBytesMax = 200
	countMax        = 1_000_000
	secondsMax      = 7 * 24 * 60 * 60
)

// now is a variable for the tests.
var now = time.Now

func refuse[T any](why Refusal) Result[T, Refusal] {
	return Err[T](why)
}

func Restock(article string, count uint32) Result[Stock, Refusal] {
	if len(article) == 0 || articleBytesMax < len(article) {
		return refuse[Stock](MakeRefusalBadArticle())
	}
	shelf, _ := shelfOf(article)
	if count < 1 || countMax < count || countMax < shelf.OnHand+count {
		return refuse[Stock](MakeRefusalBadCount(shelf.OnHand))
	}
	shelf.OnHand += count
	return Ok[Stock, Refusal](shelf.put(article))
}

func Reserve(article string, count uint32, holder string, seconds uint32) Result[Reservation, Refusal] {
	if seconds < 1 || secondsMax < seconds {
		return refuse[Reservation](MakeRefusalBadDuration(seconds))
	}
	shelf, found := shelfOf(article)
	if !found {
		return refuse[Reservation](MakeRefusalUnknownArticle(article))
	}
	if count < 1 || countMax < count {
		return refuse[Reservation](MakeRefusalBadCount(shelf.OnHand))
	}
	if shelf.free() < count {
		return refuse[Reservation](MakeRefusalTooFew(shelf.free()))
	}
	lasts := time.Duration(seconds) * time.Second
	made := hold{
		Article: article,
		Count:   count,
		Holder:  holder,
		Expires: uint64(now().Add(lasts).UnixMilli()),
	}
	id := made.add()
	shelf.Reserved += count
	shelf.put(article)
	// Kept durably, and delivered even if the node or the grain sleeps until then.
	self := context.Self()
	granary.Check(calls.Grain(self.Kind, self.Key).SendAfter(lasts, "expire"))
	return Ok[Reservation, Refusal](made.shown(id))
}

func Release(id uint64) Result[Stock, Refusal] {
	held, found := holdOf(id)
	if !found {
		return refuse[Stock](MakeRefusalUnknownReservation(id))
	}
	return Ok[Stock, Refusal](held.end(id, 0))
}

func Buy(id uint64, price uint64) Result[Stock, Refusal] {
	held, found := holdOf(id)
	// The message that ends it may be a moment late.
	if !found || held.over() {
		return refuse[Stock](MakeRefusalUnknownReservation(id))
	}
	if err := pay(held, price); err != nil {
		return refuse[Stock](MakeRefusalUnpaid(err.Error()))
	}
	return Ok[Stock, Refusal](held.end(id, held.Count))
}

// pay moves the price from the holder's account to the stock's own.
func pay(held hold, price uint64) error {
	self := context.Self()
	buyer := calls.Grain("account", held.Holder).Timeout(5 * time.Second)
	// Should this turn be lost after the account has paid, whoever repeats the sale under its key does not pay twice.
	if key, found := context.IdempotencyKey(); found {
		buyer = buyer.IdempotencyKey(self.String() + "/" + key)
	}
	if _, err := calls.Call[calls.U64](buyer, "withdraw", price); err != nil {
		return explained(err)
	}
	return calls.Grain("account", self.Key).Send("deposit", price)
}

// explained makes words of the account's own errors. The others have words.
func explained(err error) error {
	if missing, ok := calls.AppError[struct{ Insufficient *calls.U64 }](err); ok && missing.Insufficient != nil {
		return fmt.Errorf("there are only %d on the account", *missing.Insufficient)
	}
	if word, ok := calls.AppError[string](err); ok {
		return errors.New("the account is " + word)
	}
	return err
}

func Expire() uint32 {
	var ended uint32
	for id, held := range holds() {
		if held.over() {
			held.end(id, 0)
			ended++
		}
	}
	return ended
}

func Check(article string) Result[Stock, Refusal] {
	shelf, found := shelfOf(article)
	if !found {
		return refuse[Stock](MakeRefusalUnknownArticle(article))
	}
	return Ok[Stock, Refusal](shelf.shown(article))
}

func Overview() []Stock {
	var all []Stock
	for article, shelf := range shelves() {
		all = append(all, shelf.shown(article))
	}
	return all
}

func Reservations() []Reservation {
	var all []Reservation
	for id, held := range holds() {
		all = append(all, held.shown(id))
	}
	return all
}
