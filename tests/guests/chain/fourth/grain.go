// The last stop: it says what has arrived, or closes the circle.
package export_test_chain_fourth_hop

import (
	"fmt"
	"strings"

	"granary/context"
	first "wit_component/test_chain_first_client_hop"

	witTypes "go.bytecodealliance.org/pkg/wit/types"
)

func Onward(word string) witTypes.Result[string, string] {
	if word == "around" {
		return around(word)
	}
	chain := []string{}
	for _, id := range context.CallChain() {
		chain = append(chain, id.String())
	}
	trip, _ := context.Baggage("trip")
	left := context.DeadlineRemaining().Milliseconds()
	return witTypes.Ok[string, string](fmt.Sprintf("%s %s %d %s", word, strings.Join(chain, ","), left, trip))
}

func around(word string) witTypes.Result[string, string] {
	start := first.MakeRef(context.Key())
	defer start.Drop()
	answer := start.Onward(word)
	if answer.IsOk() {
		return witTypes.Ok[string, string](answer.Ok())
	}
	return witTypes.Err[string, string](words(answer.Err()))
}

func words(failed first.StringOrCall) string {
	if failed.Tag() == first.StringOrCallApp {
		return failed.App()
	}
	why := failed.Call()
	return fmt.Sprintf("%d %s: %v", why.Code, why.Text, why.Circle)
}
