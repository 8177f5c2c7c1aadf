package context_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"granary"
	"granary/context"
	"granary/granarytest"
)

func TestATurnKnowsWhoAndForWhomItRuns(t *testing.T) {
	host := granarytest.Start(t)
	host.Self = granary.GrainID{Kind: "cart", Key: "7"}
	if context.Self() != host.Self || context.Key() != "7" {
		t.Errorf("it is %v", context.Self())
	}
	if _, found := context.Caller(); found || context.CallChain() != nil {
		t.Error("nobody calls, and yet somebody does")
	}
	shop, till := granary.GrainID{Kind: "shop", Key: "a"}, granary.GrainID{Kind: "till", Key: "1"}
	host.Caller, host.Chain = &till, []granary.GrainID{shop}
	if caller, found := context.Caller(); !found || caller != till {
		t.Errorf("%v calls, %v", caller, found)
	}
	if chain := context.CallChain(); !slices.Equal(chain, []granary.GrainID{shop, till}) {
		t.Errorf("%v wait", chain)
	}
	if _, found := context.Principal(); found {
		t.Error("there is a principal")
	}
	host.Principal, host.IdempotencyKey = "ada", "once"
	if principal, found := context.Principal(); !found || principal != "ada" {
		t.Errorf("%s asks", principal)
	}
	if key, found := context.IdempotencyKey(); !found || key != "once" {
		t.Errorf("with the key %s", key)
	}
}

func TestADeadlineIsADuration(t *testing.T) {
	host := granarytest.Start(t)
	host.Deadline = 3 * time.Second
	if left := context.DeadlineRemaining(); left != 3*time.Second {
		t.Errorf("%v are left", left)
	}
	host.Deadline = math.MaxInt64
	if left := context.DeadlineRemaining(); left != math.MaxInt64 {
		t.Errorf("%v are left", left)
	}
	if context.IsCancelled() {
		t.Error("nobody has given up")
	}
}

func TestBaggageIsReadAndBounded(t *testing.T) {
	granarytest.Start(t)
	if err := context.SetBaggage("tenant", "blue"); err != nil {
		t.Error(err)
	}
	if tenant, found := context.Baggage("tenant"); !found || tenant != "blue" {
		t.Errorf("tenant %s", tenant)
	}
	if _, found := context.Baggage("colour"); found {
		t.Error("there is a colour")
	}
	if err := context.SetBaggage("much", strings.Repeat("x", 8192)); err == nil {
		t.Error("9 KiB are taken")
	}
}
