package text

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Fit says where a JSON text is not one that Write makes of a type, and nothing if it is. Package encoding/json alone takes a text for a
// type that has changed since: a field that is gone is dropped, one that is new is zero, and the next write makes that last.
//
// A field may be missing if it is a pointer, a map or an interface, or has "omitempty" or "omitzero".
func Fit(data []byte, of reflect.Type) error {
	if isPlain(of.Kind()) && !bytes.Equal(bytes.TrimSpace(data), []byte("null")) {
		return nil
	}
	value, err := parse(data)
	if err != nil {
		return err
	}
	return fit("", value, of)
}

// isPlain: the decoder takes no other text for it, but null.
func isPlain(kind reflect.Kind) bool {
	return reflect.Bool <= kind && kind <= reflect.Float64 || kind == reflect.String
}

func parse(data []byte) (value any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	err = decoder.Decode(&value)
	return value, err
}

// Why puts an error of Read into the words of Fit.
func Why(err error) error {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return fmt.Errorf("it is no JSON: %w", err)
	}
	path := ""
	if wrong.Field != "" {
		path = "/" + strings.ReplaceAll(wrong.Field, ".", "/")
	}
	found := wrong.Value
	if found == "string" {
		found = "text"
	}
	return misfit(path, Describe(wrong.Type), found)
}

// Found is what a stored text is, in the words of its JSON.
func Found(data []byte) string {
	value, err := parse(data)
	if err != nil {
		return fmt.Sprintf("%d bytes", len(data))
	}
	return shape(value, depth)
}

// misfit is worded as in the other SDKs.
func misfit(path, expected, found string) error {
	if path == "" {
		path = "/"
	}
	return fmt.Errorf("at %s: expected %s, found %s", path, expected, found)
}

func fit(path string, value any, of reflect.Type) error {
	if readsItself(of) {
		return nil
	}
	kind := of.Kind()
	if value == nil {
		if mayBeNil(kind) || kind == reflect.Slice {
			return nil
		}
		return misfit(path, Describe(of), "null")
	}
	switch kind {
	case reflect.Pointer:
		return fit(path, value, of.Elem())
	case reflect.Struct:
		return fitStruct(path, value, of)
	case reflect.Map:
		return fitMap(path, value, of)
	case reflect.Slice, reflect.Array:
		return fitList(path, value, of)
	}
	// What is no part of another value is for the decoder, which knows all about ranges.
	return nil
}

func fitMap(path string, value any, of reflect.Type) error {
	parts, ok := value.(map[string]any)
	if !ok {
		return misfit(path, Describe(of), shape(value, depth))
	}
	for name, part := range parts {
		if err := fit(path+"/"+name, part, of.Elem()); err != nil {
			return err
		}
	}
	return nil
}

func fitList(path string, value any, of reflect.Type) error {
	parts, ok := value.([]any)
	if !ok {
		if _, isText := value.(string); isText && of.Elem().Kind() == reflect.Uint8 {
			return nil
		}
		return misfit(path, Describe(of), shape(value, depth))
	}
	if of.Kind() == reflect.Array && len(parts) != of.Len() {
		return misfit(path, Describe(of), fmt.Sprintf("%d items", len(parts)))
	}
	for at, part := range parts {
		if err := fit(fmt.Sprintf("%s/%d", path, at), part, of.Elem()); err != nil {
			return err
		}
	}
	return nil
}

func fitStruct(path string, value any, of reflect.Type) error {
	parts, ok := value.(map[string]any)
	if !ok {
		return misfit(path, Describe(of), shape(value, depth))
	}
	all := fields(of, false)
	known := map[string]bool{}
	for _, field := range all {
		name, part, found := member(parts, field.name)
		if !found && !field.mayMiss {
			return misfit(path+"/"+field.name, Describe(field.of), "nothing")
		}
		if !found {
			continue
		}
		known[name] = true
		if field.isText {
			continue
		}
		if err := fit(path+"/"+field.name, part, field.of); err != nil {
			return err
		}
	}
	for _, name := range sorted(parts) {
		if !known[name] {
			return misfit(path+"/"+name, "no such field", shape(parts[name], depth))
		}
	}
	return nil
}

// member finds a field as the decoder does: by its name, else by a name that differs in the case of its letters.
func member(parts map[string]any, wanted string) (string, any, bool) {
	if part, found := parts[wanted]; found {
		return wanted, part, true
	}
	for _, name := range sorted(parts) {
		if strings.EqualFold(name, wanted) {
			return name, parts[name], true
		}
	}
	return "", nil, false
}

func sorted(parts map[string]any) []string {
	names := make([]string, 0, len(parts))
	for name := range parts {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// field is one of a struct's fields in JSON.
type field struct {
	name    string
	of      reflect.Type
	mayMiss bool
	// isText: a number or a bool that is written as a text.
	isText bool
}

// fields are those of a struct and of what is embedded in it; of one name, the outermost.
func fields(of reflect.Type, mayMiss bool) []field {
	var own, embedded []field
	for at := range of.NumField() {
		part := of.Field(at)
		name, options, _ := strings.Cut(part.Tag.Get("json"), ",")
		if name == "-" && options == "" {
			continue
		}
		if part.Anonymous && name == "" {
			inner, isPointer := part.Type, part.Type.Kind() == reflect.Pointer
			if isPointer {
				inner = inner.Elem()
			}
			if inner.Kind() == reflect.Struct && inner != of {
				embedded = append(embedded, fields(inner, mayMiss || isPointer)...)
				continue
			}
		}
		if !part.IsExported() {
			continue
		}
		if name == "" {
			name = part.Name
		}
		has := func(option string) bool { return slices.Contains(strings.Split(options, ","), option) }
		own = append(own, field{
			name:    name,
			of:      part.Type,
			mayMiss: mayMiss || mayBeNil(part.Type.Kind()) || has("omitempty") || has("omitzero"),
			isText:  has("string"),
		})
	}
	for _, inner := range embedded {
		if !slices.ContainsFunc(own, func(outer field) bool { return outer.name == inner.name }) {
			own = append(own, inner)
		}
	}
	return own
}

func mayBeNil(kind reflect.Kind) bool {
	return kind == reflect.Pointer || kind == reflect.Map || kind == reflect.Interface
}

var (
	fromJSON = reflect.TypeFor[json.Unmarshaler]()
	fromText = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func readsItself(of reflect.Type) bool {
	pointer := reflect.PointerTo(of)
	return pointer.Implements(fromJSON) || pointer.Implements(fromText)
}

// depth is how far a description goes.
const depth = 3

// Describe is a type in the words of its JSON.
func Describe(of reflect.Type) string {
	const most = 400
	words := describe(of, depth)
	if most < len(words) {
		return strings.ToValidUTF8(words[:most], "") + "…"
	}
	return words
}

func describe(of reflect.Type, left int) string {
	if readsItself(of) {
		return of.String()
	}
	if left < 0 {
		return "…"
	}
	switch of.Kind() {
	case reflect.Pointer:
		return describe(of.Elem(), left) + " | null"
	case reflect.Map:
		return fmt.Sprintf("{text: %s}", describe(of.Elem(), left-1))
	case reflect.Slice, reflect.Array:
		if of.Elem().Kind() == reflect.Uint8 && of.Kind() == reflect.Slice {
			return "text of bytes"
		}
		return fmt.Sprintf("[%s]", describe(of.Elem(), left-1))
	case reflect.Interface:
		return "anything"
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "boolean"
	case reflect.Struct:
		var parts []string
		for _, field := range fields(of, false) {
			mark := ""
			if field.mayMiss {
				mark = "?"
			}
			parts = append(parts, fmt.Sprintf("%s%s: %s", field.name, mark, describe(field.of, left-1)))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return of.Kind().String()
}

// shape is a value that parse gave, in the words of its JSON.
func shape(value any, left int) string {
	switch value := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "text"
	case json.Number:
		if strings.ContainsAny(value.String(), ".eE") {
			return "number"
		}
		return "integer"
	case []any:
		if left == 0 {
			return "…"
		}
		if len(value) == 0 {
			return "[]"
		}
		return fmt.Sprintf("[%s]", shape(value[0], left-1))
	case map[string]any:
		if left == 0 {
			return "…"
		}
		var parts []string
		for _, name := range sorted(value) {
			parts = append(parts, fmt.Sprintf("%s: %s", name, shape(value[name], left-1)))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return fmt.Sprintf("%T", value)
}
