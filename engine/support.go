package engine

import (
	"slices"
	"strconv"
	"strings"

	"portolan/plain"
)

// Support is the unified fields of a method that reach the provider. It is immutable.
type Support struct {
	Leaves []Leaf   // sorted by Path
	Query  []string // names of the unified query parameters that the mapping uses, sorted
}

// Leaf is one unified field that reaches the provider.
type Leaf struct {
	Path   string           // "/emails/*/email": * stands for any index
	Fields map[int][]string // the provider's fields that it sets, "person/email-alt-1", by index; index 0 outside arrays
	Values []any            // the allowed values; nil if there is no such list
}

// maxProbedEntries is how many entries of an array are probed. Further ones are taken to be like
// the last.
const maxProbedEntries = 8

// Names reports whether any leaf of the top-level field called name reaches the provider.
func (s *Support) Names(name string) bool {
	return slices.ContainsFunc(s.Leaves, func(l Leaf) bool { return l.Path == "/"+name || strings.HasPrefix(l.Path, "/"+name+"/") })
}

// leaf returns the leaf whose Path is pattern; nil if there is none.
func (s *Support) leaf(pattern []byte) *Leaf {
	for i := range s.Leaves {
		if s.Leaves[i].Path == string(pattern) {
			return &s.Leaves[i]
		}
	}
	return nil
}

// reaches reports whether the leaf with the given index in its array reaches the provider.
func (l *Leaf) reaches(index int) bool { return len(l.Fields[min(index, maxProbedEntries-1)]) > 0 }

// Pointer returns the pointer of the field of body that sets the provider's field; that of the
// array if several entries do, "" if none does. field is a whole path or its last part.
func (s *Support) Pointer(field string, body map[string]any) string {
	field = strings.Trim(strings.NewReplacer(".", "/", "[", "/", "]", "").Replace(field), "/")
	var found []string
	for _, leaf := range s.Leaves {
		for index, fields := range leaf.Fields {
			if slices.ContainsFunc(fields, func(f string) bool { return isSameField(f, field) }) {
				pointer := strings.Replace(leaf.Path, "*", strconv.Itoa(index), 1)
				if _, ok := plain.LookupPointer(body, pointer); ok {
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
