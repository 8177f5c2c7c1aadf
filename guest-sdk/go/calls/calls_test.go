package calls_test

import (
	"errors"
	"math"
	"reflect"
	"testing"
	"time"

	"granary"
	"granary/calls"
	"granary/granarytest"
)

func answers(json string) func(granarytest.Message) (string, error) {
	return func(granarytest.Message) (string, error) { return json, nil }
}

func TestACallGoesOutWithItsOptionsAndComesBack(t *testing.T) {
	host := granarytest.Start(t)
	host.Answer = answers("4")
	stock := calls.Grain("stock", "sku-7").Timeout(2 * time.Second).IdempotencyKey("once")
	left, err := calls.Call[uint32](stock, "take", "<milk>", 3)
	if err != nil || left != 4 {
		t.Errorf("%d, %v", left, err)
	}
	want := granarytest.Message{
		To: granary.GrainID{Kind: "stock", Key: "sku-7"}, Method: "take", Arguments: `["<milk>",3]`,
		Timeout: 2 * time.Second, IdempotencyKey: "once",
	}
	if !reflect.DeepEqual(host.Called, []granarytest.Message{want}) {
		t.Errorf("called %v", host.Called)
	}
	host.Answer = answers("")
	if _, err := calls.Call[any](stock, "forget"); err != nil || host.Called[1].Arguments != "[]" {
		t.Errorf("%v, %v", err, host.Called[1])
	}
}

func TestASendLeavesWithItsDelay(t *testing.T) {
	host := granarytest.Start(t)
	audit := calls.Grain("audit", "2031")
	granary.Check(audit.Send("taken", "milk"))
	granary.Check(audit.SendAfter(time.Minute, "closed"))
	want := []granarytest.Message{
		{To: audit.ID(), Method: "taken", Arguments: `["milk"]`},
		{To: audit.ID(), Method: "closed", Arguments: "[]", Delay: time.Minute},
	}
	if !reflect.DeepEqual(host.Sent, want) {
		t.Errorf("sent %v", host.Sent)
	}
	if err := audit.Send("taken", math.Inf(1)); !errors.Is(err, calls.ErrArguments) || len(host.Sent) != 2 {
		t.Errorf("no JSON for it, yet %v", err)
	}
}

func TestIntegersBeyondDoublesAreRead(t *testing.T) {
	host := granarytest.Start(t)
	grain := calls.Grain("account", "ada")
	host.Answer = answers(`"18446744073709551615"`)
	if got, err := calls.Call[uint64](grain, "balance"); err != nil || got != math.MaxUint64 {
		t.Errorf("%d, %v", got, err)
	}
	type balance struct {
		InCents calls.U64 `json:"in-cents"`
		Change  calls.I64 `json:"change"`
	}
	host.Answer = answers(`{"in-cents":"18446744073709551615","change":-5}`)
	if got, err := calls.Call[balance](grain, "balance"); err != nil || got != (balance{math.MaxUint64, -5}) {
		t.Errorf("%v, %v", got, err)
	}
	host.Answer = answers(`"seven"`)
	if _, err := calls.Call[uint64](grain, "balance"); !errors.Is(err, calls.ErrAnswer) {
		t.Errorf("%v", err)
	}
}

func TestAFailedCallSaysWhatBecameOfIt(t *testing.T) {
	host := granarytest.Start(t)
	grain := calls.Grain("stock", "3")
	for c := calls.Overloaded; c <= calls.App; c++ {
		host.Answer = func(granarytest.Message) (string, error) { return "", &calls.Error{Code: c, Text: `{"too-few":2}`} }
		_, err := calls.Call[any](grain, "take", 3)
		var failed *calls.Error
		if !errors.As(err, &failed) || failed.Code != c {
			t.Fatalf("%v comes back as %v", c, err)
		}
		unclear := c == calls.Timeout || c == calls.UnknownOutcome || c == calls.App
		if failed.HadNoEffect() == unclear {
			t.Errorf("%v had no effect: %v", c, !unclear)
		}
		refusal, isApp := calls.AppError[map[string]int](err)
		if isApp != (c == calls.App) || isApp && refusal["too-few"] != 2 {
			t.Errorf("%v carries %v, %v", c, refusal, isApp)
		}
	}
	id := func(kind, key string) granary.GrainID { return granary.GrainID{Kind: kind, Key: key} }
	deadlock := &calls.Error{
		Code: calls.Deadlock, Text: "cart/7 → stock/3 → cart/7",
		Circle: []granary.GrainID{id("cart", "7"), id("stock", "3"), id("cart", "7")},
	}
	host.Answer = func(granarytest.Message) (string, error) { return "", deadlock }
	if _, err := calls.Call[any](grain, "take"); !reflect.DeepEqual(err, error(deadlock)) || err.Error() != "deadlock: cart/7 → stock/3 → cart/7" {
		t.Errorf("%v", err)
	}
}
