// From one revision to the next.
package export_granary_grain_migration

import (
	"granary"
	"granary/state"

	witTypes "go.bytecodealliance.org/pkg/wit/types"
)

func Migrate(from uint64) witTypes.Result[witTypes.Unit, string] {
	granary.Check(state.Set("migrated", from))
	return witTypes.Ok[witTypes.Unit, string](witTypes.Unit{})
}
