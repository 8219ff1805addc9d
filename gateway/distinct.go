package gateway

import (
	"slices"
	"strings"
)

// Distinct keeps of several failures at one place the first of each kind; beside null or a
// wrong type, nothing else at that place or inside it is worth saying. Its cost grows with
// the length of the pointers only.
func Distinct(failures []Failure) []Failure {
	var places placeTree
	return places.distinct(failures)
}

// placeTree holds the places of failures: a node for each segment of a pointer.
type placeTree struct {
	root  placeNode
	steps int // nodes that were visited
}

type placeNode struct {
	inner  map[string]*placeNode // by segment
	codes  []Code                // of the failures here, each once: no more than there are codes
	covers bool                  // null or a wrong type: nothing here or further in is kept
}

func (t *placeTree) distinct(failures []Failure) []Failure {
	var out []Failure
	for _, f := range failures {
		if t.add(f) {
			out = append(out, f)
		}
	}
	return out
}

// add notes f and reports whether it is worth saying beside those before it.
func (t *placeTree) add(f Failure) bool {
	node := &t.root
	for segment := range strings.SplitSeq(f.Pointer, "/") {
		t.steps++
		next := node.inner[segment]
		if next == nil {
			next = &placeNode{}
			if node.inner == nil {
				node.inner = map[string]*placeNode{}
			}
			node.inner[segment] = next
		}
		if node = next; node.covers {
			return false
		}
	}
	if slices.Contains(node.codes, f.Code) {
		return false
	}
	node.codes = append(node.codes, f.Code)
	node.covers = f.Code == CodeNull || f.Code == CodeType
	return true
}
