// Package text is JSON as the host and the other SDKs read and write it.
package text

import (
	"bytes"
	"encoding/json"
)

// Write makes JSON without the escapes that only HTML needs, and without the newline that the encoder adds.
func Write(value any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), nil
}

// Read fills a value. A whole number beyond 2^53 may be written as a string of its digits.
func Read(data []byte, value any) error {
	err := json.Unmarshal(data, value)
	if err == nil {
		return nil
	}
	if bare, ok := digits(data); ok && json.Unmarshal(bare, value) == nil {
		return nil
	}
	return err
}

// digits gives the number in a string of digits.
func digits(data []byte) ([]byte, bool) {
	data = bytes.TrimSpace(data)
	if len(data) < 3 || data[0] != '"' || data[len(data)-1] != '"' {
		return nil, false
	}
	bare := data[1 : len(data)-1]
	number := bytes.TrimPrefix(bare, []byte("-"))
	for _, digit := range number {
		if digit < '0' || '9' < digit {
			return nil, false
		}
	}
	return bare, 0 < len(number)
}
