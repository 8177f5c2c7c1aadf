// Every type there and back.
package export_test_torture_types

import (
	. "wit_component/test_torture_types"

	witTypes "go.bytecodealliance.org/pkg/wit/types"
)

func Boolean(value bool) bool { return value }

func Unsigned8(value uint8) uint8 { return value }

func Unsigned16(value uint16) uint16 { return value }

func Unsigned32(value uint32) uint32 { return value }

func Unsigned64(value uint64) uint64 { return value }

func Signed8(value int8) int8 { return value }

func Signed16(value int16) int16 { return value }

func Signed32(value int32) int32 { return value }

func Signed64(value int64) int64 { return value }

func Float32(value float32) float32 { return value }

func Float64(value float64) float64 { return value }

func Character(value rune) rune { return value }

func Text(value string) string { return value }

func Bytes(value []byte) []byte { return value }

func Numbers(value []int64) []int64 { return value }

func Texts(value []string) []string { return value }

// A tuple as a result is several results.
func Pair(value witTypes.Tuple2[uint8, string]) (uint8, string) { return value.F0, value.F1 }

func Maybe(value witTypes.Option[uint32]) witTypes.Option[uint32] { return value }

func MaybeMaybe(value witTypes.Option[witTypes.Option[uint32]]) witTypes.Option[witTypes.Option[uint32]] {
	return value
}

func ARecord(value Order) Order { return value }

func AVariant(value Shape) Shape { return value }

func AnEnum(value Color) Color { return value }

func SomeFlags(value Rights) Rights { return value }

func Outcomes(value []witTypes.Result[uint32, string]) []witTypes.Result[uint32, string] {
	return value
}
