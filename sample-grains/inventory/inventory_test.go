package export_demo_inventory_inventory

import (
	"reflect"
	"testing"
	"time"

	"granary"
	"granary/calls"
	"granary/granarytest"

	. "wit_component/demo_inventory_inventory"
)

// noon is when every test begins.
var noon = time.Date(2031, 5, 1, 12, 0, 0, 0, time.UTC)

func start(t *testing.T) *granarytest.Host {
	host := granarytest.Start(t)
	host.Self = granary.GrainID{Kind: "inventory", Key: "berlin"}
	now = func() time.Time { return noon }
	t.Cleanup(func() { now = time.Now })
	if got := Restock("milk", 10); got.IsErr() {
		t.Fatal(got.Err())
	}
	return host
}

func later(by time.Duration) {
	now = func() time.Time { return noon.Add(by) }
}

func want(t *testing.T, onHand, reserved uint32) {
	t.Helper()
	if got := Check("milk").Ok(); got != (Stock{Article: "milk", OnHand: onHand, Reserved: reserved}) {
		t.Errorf("%+v, not %d on hand and %d reserved", got, onHand, reserved)
	}
}

func TestWhatIsReservedIsNotFree(t *testing.T) {
	host := start(t)
	made := Reserve("milk", 7, "ada", 60)
	expires := uint64(noon.Add(time.Minute).UnixMilli())
	if made.IsErr() || made.Ok() != (Reservation{Id: 1, Article: "milk", Count: 7, Holder: "ada", Expires: expires}) {
		t.Errorf("made %+v", made)
	}
	want(t, 10, 7)
	if again := Reserve("milk", 4, "bob", 60); !again.IsErr() || again.Err().Tag() != RefusalTooFew || again.Err().TooFew() != 3 {
		t.Errorf("there are only 3, yet %+v", again)
	}
	note := granarytest.Message{To: host.Self, Method: "expire", Arguments: "[]", Delay: time.Minute}
	if !reflect.DeepEqual(host.Sent, []granarytest.Message{note}) {
		t.Errorf("it reminds itself with %+v", host.Sent)
	}
	if got := Release(1); got.IsErr() {
		t.Errorf("not released: %+v", got.Err())
	}
	want(t, 10, 0)
	if got := Release(1); !got.IsErr() || got.Err().UnknownReservation() != 1 {
		t.Errorf("released twice: %+v", got)
	}
}

func TestAReservationEndsByItself(t *testing.T) {
	start(t)
	Reserve("milk", 2, "ada", 60)
	Reserve("milk", 3, "bob", 120)
	later(59 * time.Second)
	if ended := Expire(); ended != 0 {
		t.Errorf("%d ended early", ended)
	}
	later(60 * time.Second)
	if got := Buy(1, 5); !got.IsErr() || got.Err().Tag() != RefusalUnknownReservation {
		t.Errorf("bought too late: %+v", got)
	}
	if ended := Expire(); ended != 1 {
		t.Errorf("%d ended", ended)
	}
	want(t, 10, 3)
	if left := Reservations(); len(left) != 1 || left[0].Holder != "bob" {
		t.Errorf("left are %+v", left)
	}
}

func TestASaleIsPaidFor(t *testing.T) {
	host := start(t)
	host.Answer = func(granarytest.Message) (string, error) { return "95", nil }
	host.IdempotencyKey = "sale-7"
	Reserve("milk", 4, "ada", 60)
	if got := Buy(1, 5); got.IsErr() {
		t.Fatalf("not sold: %+v", got.Err())
	}
	want(t, 6, 0)
	drawn := granarytest.Message{
		To: granary.GrainID{Kind: "account", Key: "ada"}, Method: "withdraw", Arguments: "[5]",
		Timeout: 5 * time.Second, IdempotencyKey: "inventory/berlin/sale-7",
	}
	if !reflect.DeepEqual(host.Called, []granarytest.Message{drawn}) {
		t.Errorf("called %+v", host.Called)
	}
	paid := granarytest.Message{To: granary.GrainID{Kind: "account", Key: "berlin"}, Method: "deposit", Arguments: "[5]"}
	if len(host.Sent) != 2 || !reflect.DeepEqual(host.Sent[1], paid) {
		t.Errorf("sent %+v", host.Sent)
	}
}

func TestWithoutPaymentNothingIsSold(t *testing.T) {
	host := start(t)
	Reserve("milk", 4, "ada", 60)
	answers := []struct {
		said  calls.Error
		words string
	}{
		{calls.Error{Code: calls.App, Text: `{"insufficient":3}`}, "there are only 3 on the account"},
		{calls.Error{Code: calls.App, Text: `{"insufficient":"18446744073709551615"}`}, "there are only 18446744073709551615 on the account"},
		{calls.Error{Code: calls.App, Text: `"frozen"`}, "the account is frozen"},
		{calls.Error{Code: calls.Timeout, Text: "5 s"}, "timeout: 5 s"},
	}
	for _, answer := range answers {
		host.Answer = func(granarytest.Message) (string, error) { return "", &answer.said }
		if got := Buy(1, 5); !got.IsErr() || got.Err().Tag() != RefusalUnpaid || got.Err().Unpaid() != answer.words {
			t.Errorf("%v: %+v", answer.said, got)
		}
	}
	want(t, 10, 4)
	if len(host.Sent) != 1 {
		t.Errorf("sent %+v", host.Sent)
	}
}

func TestNonsenseIsRefused(t *testing.T) {
	host := start(t)
	before := len(host.State)
	refusals := map[uint8]Refusal{
		RefusalBadArticle:         Restock("", 1).Err(),
		RefusalBadCount:           Restock("milk", 999_991).Err(),
		RefusalUnknownArticle:     Check("bread").Err(),
		RefusalBadDuration:        Reserve("milk", 1, "ada", 0).Err(),
		RefusalTooFew:             Reserve("milk", 11, "ada", 60).Err(),
		RefusalUnknownReservation: Buy(7, 5).Err(),
	}
	for tag, refusal := range refusals {
		if refusal.Tag() != tag {
			t.Errorf("%d instead of %d", refusal.Tag(), tag)
		}
	}
	if len(host.State) != before || len(host.Sent) != 0 {
		t.Errorf("left behind: %v, %v", host.State, host.Sent)
	}
}
