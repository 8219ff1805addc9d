package engine

import (
	"slices"
	"strconv"
	"strings"
)

// Support says which unified fields of a method reach the provider, as probing found. It
// is immutable.
type Support struct {
	Leaves []Leaf   // sorted by Path
	Query  []string // names of the unified query parameters that the mapping uses, sorted
}

// Leaf is one unified field that reaches the provider.
type Leaf struct {
	Path   string           // "/emails/*/email": * stands for any index
	Fields map[int][]string // the provider's fields that it feeds, "person/email-alt-1", by index; index 0 outside arrays
	Values []any            // what it may be, where the mapping says so
}

// beyond is where probing arrays of any length stops: what holds for the last index
// tried is taken to hold further out.
const beyond = 8

// Reaches reports whether the unified field at pointer ("/emails/2/email") reaches the provider.
func (s *Support) Reaches(pointer string) bool {
	pattern, index := generalise(pointer)
	leaf := s.leaf(pattern)
	return leaf != nil && len(leaf.Fields[min(index, beyond-1)]) > 0
}

// Names reports whether any leaf of the top-level field called name reaches the provider.
func (s *Support) Names(name string) bool {
	return slices.ContainsFunc(s.Leaves, func(l Leaf) bool { return l.Path == "/"+name || strings.HasPrefix(l.Path, "/"+name+"/") })
}

func (s *Support) leaf(pattern string) *Leaf {
	for i := range s.Leaves {
		if s.Leaves[i].Path == pattern {
			return &s.Leaves[i]
		}
	}
	return nil
}

// generalise turns /emails/2/email into /emails/*/email and 2.
func generalise(pointer string) (pattern string, index int) {
	segments := strings.Split(pointer, "/")
	found := false
	for i, s := range segments {
		if n, err := strconv.Atoi(s); err == nil && n >= 0 {
			if !found {
				index, found = n, true
			}
			segments[i] = "*"
		}
	}
	return strings.Join(segments, "/"), index
}

// Pointer finds the caller's field that feeds the provider's field: its pointer into
// body, that of the array where several entries of it do, or "" where none is known.
// Providers name a field by its whole path or by its last part only.
func (s *Support) Pointer(field string, body map[string]any) string {
	field = strings.Trim(strings.NewReplacer(".", "/", "[", "/", "]", "").Replace(field), "/")
	var found []string
	for _, leaf := range s.Leaves {
		for index, fields := range leaf.Fields {
			if slices.ContainsFunc(fields, func(f string) bool { return isSameField(f, field) }) {
				pointer := strings.Replace(leaf.Path, "*", strconv.Itoa(index), 1)
				if holds(body, pointer) {
					found = append(found, pointer)
				}
			}
		}
	}
	slices.Sort(found)
	switch found = slices.Compact(found); len(found) {
	case 0:
		return ""
	case 1:
		return found[0]
	}
	parent := found[0]
	for !allUnder(found, parent) {
		parent = parent[:strings.LastIndexByte(parent, '/')]
	}
	return parent
}

func allUnder(pointers []string, parent string) bool {
	return !slices.ContainsFunc(pointers, func(p string) bool { return p != parent && !strings.HasPrefix(p, parent+"/") })
}

// isSameField compares a path on the wire with a provider's name for it.
func isSameField(path, name string) bool {
	if name == "" || len(name) > len(path) {
		return false
	}
	path = strings.Trim(path, "/")
	return path == name || strings.HasSuffix(path, "/"+name) ||
		strings.HasPrefix(path, name+"/") || strings.Contains(path, "/"+name+"/")
}

// holds reports whether body has something at pointer.
func holds(body map[string]any, pointer string) bool {
	var at any = body
	for _, segment := range strings.Split(pointer, "/")[1:] {
		switch v := at.(type) {
		case map[string]any:
			member, ok := v[segment]
			if !ok {
				return false
			}
			at = member
		case []any:
			i, err := strconv.Atoi(segment)
			if err != nil || i >= len(v) {
				return false
			}
			at = v[i]
		default:
			return false
		}
	}
	return true
}
