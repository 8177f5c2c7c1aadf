// What a grain sees of its call, and calls that it makes.
package export_test_torture_journey

import (
	"fmt"
	"strings"

	"granary/calls"
	"granary/context"

	witTypes "go.bytecodealliance.org/pkg/wit/types"
)

func Call(kind string, key string, text string) witTypes.Result[string, string] {
	return ask(kind, key, "text", text)
}

func ask(kind string, key string, method string, text string) witTypes.Result[string, string] {
	answer, err := calls.Call[string](calls.Grain(kind, key), method, text)
	if err != nil {
		return witTypes.Err[string](err.Error())
	}
	return witTypes.Ok[string, string](answer)
}

func Who() (string, witTypes.Option[string], uint32) {
	return context.Self().String(), callerText(), uint32(len(context.CallChain()))
}

func callerText() witTypes.Option[string] {
	if caller, found := context.Caller(); found {
		return witTypes.Some(caller.String())
	}
	return witTypes.None[string]()
}

func TimeLeft() uint64 {
	return uint64(context.DeadlineRemaining().Milliseconds())
}

func Baggage(name string) witTypes.Option[string] {
	if value, found := context.Baggage(name); found {
		return witTypes.Some(value)
	}
	return witTypes.None[string]()
}

func Onward(path string) witTypes.Result[string, string] {
	first, rest, _ := strings.Cut(path, " ")
	if kind, key, found := strings.Cut(first, "/"); found {
		return ask(kind, key, "onward", rest)
	}
	caller := ""
	if id, found := context.Caller(); found {
		caller = id.String()
	}
	trip, _ := context.Baggage("trip")
	return witTypes.Ok[string, string](fmt.Sprintf("%s %s %d %d %s", context.Self(), caller, len(context.CallChain()), TimeLeft(), trip))
}
