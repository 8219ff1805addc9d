package plain

import (
	"mime"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
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

// fromCharset converts data from UTF-16 or a charset of single bytes; it returns data itself if the
// charset is another one.
func fromCharset(data []byte, charset string) []byte {
	encoding := encodingOf(charset)
	if encoding == nil {
		return data
	}
	text, err := encoding.NewDecoder().Bytes(data)
	if err != nil {
		return data
	}
	return text
}

// encodingOf returns the encoding called name, in any case and with any separators; nil if it is not
// known.
func encodingOf(name string) encoding.Encoding {
	plainName := func(name string) string {
		return strings.ToLower(strings.NewReplacer(" ", "", "-", "", "_", "").Replace(name))
	}
	switch name = plainName(name); name {
	case "utf16", "utf16le":
		return unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)
	case "utf16be":
		return unicode.UTF16(unicode.BigEndian, unicode.UseBOM)
	case "usascii", "ascii", "iso88591", "latin1", "cp1252": // browsers read these alike
		return charmap.Windows1252
	}
	for _, known := range charmap.All {
		if named, ok := known.(*charmap.Charmap); ok && plainName(named.String()) == name {
			return named
		}
	}
	return nil
}
