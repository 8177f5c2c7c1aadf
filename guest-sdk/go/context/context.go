// Package context is what a running turn may know about itself. Every function answers at once.
package context

import (
	"errors"
	"math"
	"time"

	"granary"
	"granary/internal/host"
)

// Self is the grain whose code is running.
func Self() granary.GrainID {
	return granary.GrainID(host.Current.SelfID())
}

// Key is the key of the grain whose code is running.
func Key() string {
	return host.Current.SelfID().Key
}

// Revision is the revision of the kind that is running: 1, 2, 3, …
func Revision() uint64 {
	return host.Current.Revision()
}

// ActivationEpoch is the fencing number of this activation. It grows with each activation of the grain.
func ActivationEpoch() uint64 {
	return host.Current.ActivationEpoch()
}

// Caller is the grain that called; false when the call came from outside.
func Caller() (granary.GrainID, bool) {
	caller, found := host.Current.Caller()
	return granary.GrainID(caller), found
}

// CallChain is the grains that wait for this turn, the first caller first. The grain itself is not in it.
func CallChain() []granary.GrainID {
	var chain []granary.GrainID
	for _, id := range host.Current.CallChain() {
		chain = append(chain, granary.GrainID(id))
	}
	return chain
}

// Principal is who called from outside, as authentication named them; false where authentication is off.
func Principal() (string, bool) {
	return host.Current.Principal()
}

// DeadlineRemaining is how long the caller still waits; zero when it has given up.
func DeadlineRemaining() time.Duration {
	return time.Duration(min(host.Current.DeadlineRemaining(), math.MaxInt64))
}

// IdempotencyKey is the call's, if it carries one.
func IdempotencyKey() (string, bool) {
	return host.Current.IdempotencyKey()
}

// Baggage is a value that an earlier caller in the chain attached.
func Baggage(name string) (string, bool) {
	return host.Current.Baggage(name)
}

// SetBaggage attaches a value that travels with every call that this turn makes. Refused beyond 8 KiB in all.
func SetBaggage(name, value string) error {
	if refused, ok := host.Current.SetBaggage(name, value); !ok {
		return errors.New("baggage refused: " + refused)
	}
	return nil
}

// IsCancelled says whether the caller has given up. A long turn may look at it and stop early.
func IsCancelled() bool {
	return host.Current.IsCancelled()
}
