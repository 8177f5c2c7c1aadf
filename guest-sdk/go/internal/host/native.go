//go:build !wasm

package host

// Current is the host that grains use. Outside of a component there is none until a test makes one.
var Current Host
