package plain

import (
	"bytes"
	"mime"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/htmlindex"
)

// ToUTF8 returns data in UTF-8: converted from the charset that contentType announces, if that is
// known, and with U+FFFD for each byte that is still not valid. changed reports whether the result
// differs from data. It returns data itself if it is UTF-8 already.
func ToUTF8(data []byte, contentType string) (text []byte, changed bool) {
	text = data
	if strings.Contains(strings.ToLower(contentType), "charset") {
		if _, parameters, err := mime.ParseMediaType(contentType); err == nil {
			text = fromCharset(data, parameters["charset"])
		}
	}
	if utf8.Valid(text) {
		return text, string(text) != string(data)
	}
	return ValidUTF8(text), true
}

// fromCharset converts data; it returns data itself if the charset is UTF-8 or not known.
func fromCharset(data []byte, charset string) []byte {
	encoding, err := htmlindex.Get(charset)
	if err != nil {
		return data
	}
	if name, _ := htmlindex.Name(encoding); name == "utf-8" {
		return data
	}
	text, err := encoding.NewDecoder().Bytes(data)
	if err != nil {
		return data
	}
	return bytes.TrimPrefix(text, []byte("\uFEFF"))
}
