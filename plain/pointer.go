package plain

import (
	"strconv"
	"strings"
)

// Lookup returns the part of v that path names, member names and array indexes in decimal.
func Lookup(v any, path ...string) (any, bool) {
	for _, token := range path {
		var ok bool
		if v, ok = child(v, token); !ok {
			return nil, false
		}
	}
	return v, true
}

// LookupPointer returns the part of v that an RFC 6901 pointer ("/roles/0/id") names; "" names
// v itself. A pointer that is neither empty nor starts with a slash names nothing.
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

// EscapeToken spells a member's name as a token of a JSON pointer: "a/b" is "a~1b".
func EscapeToken(name string) string {
	if !strings.ContainsAny(name, "~/") {
		return name
	}
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}

// UnescapeToken is the member's name that a token of a JSON pointer spells.
func UnescapeToken(token string) string {
	return strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
}
