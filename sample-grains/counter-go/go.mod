// For editors and `go test`: `granary build` makes the folders below target/, and needs no go.mod.
module counter-go

go 1.25

require (
	go.bytecodealliance.org/pkg v0.2.3
	granary v0.0.0
	wit_component v0.0.0
)

replace (
	go.bytecodealliance.org/pkg => ./target/granary/sdk/go-pkg
	granary => ./target/granary/sdk/go
	wit_component => ./target/granary/counter-go/go
)
