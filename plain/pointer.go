package plain

import (
	"strconv"
	"strings"
)

// Lookup returns the part of v at path, which consists of member names and decimal indexes.
func Lookup(v any, path ...string) (any, bool) {
	for _, token := range path {
		var ok bool
		if v, ok = child(v, token); !ok {
			return nil, false
		}
	}
	return v, true
}

// LookupPointer returns the part of v at an RFC 6901 pointer ("/roles/0/id"), v itself for "".
// It returns false for a pointer that is not valid.
func LookupPointer(v any, pointer string) (any, bool) {
	for pointer != "" {
		rest, ok := strings.CutPrefix(pointer, "/")
		if !ok {
			return nil, false
		}
		end := strings.IndexByte(rest, '/')
		if end < 0 {
			end = len(rest)
		}
		if v, ok = child(v, UnescapeToken(rest[:end])); !ok {
			return nil, false
		}
		pointer = rest[end:]
	}
	return v, true
}

func child(v any, token string) (any, bool) {
	switch container := v.(type) {
	case map[string]any:
		member, ok := container[token]
		return member, ok
	case []any:
		i, err := strconv.ParseUint(token, 10, 31)
		if err != nil || i >= uint64(len(container)) || token[0] == '0' && token != "0" {
			return nil, false
		}
		return container[i], true
	default:
		return nil, false
	}
}

// EscapeToken returns a member's name as a token of a JSON pointer: "a/b" becomes "a~1b".
func EscapeToken(name string) string {
	if !strings.ContainsAny(name, "~/") {
		return name
	}
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}

// UnescapeToken returns the member's name of a token of a JSON pointer.
func UnescapeToken(token string) string {
	return strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
}
