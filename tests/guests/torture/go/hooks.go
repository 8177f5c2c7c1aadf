// Around an activation.
package export_granary_grain_lifecycle

import (
	"granary"
	"granary/state"

	witTypes "go.bytecodealliance.org/pkg/wit/types"
)

func Activate(reason uint8) witTypes.Result[witTypes.Unit, string] {
	_, locked, err := state.GetBytes("locked")
	granary.Check(err)
	if locked {
		return witTypes.Err[witTypes.Unit]("it is locked")
	}
	granary.Check(state.Set("activated", []string{"message", "recovery", "upgrade"}[reason]))
	return witTypes.Ok[witTypes.Unit, string](witTypes.Unit{})
}

func Deactivate(reason uint8) {}
