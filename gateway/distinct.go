package gateway

import (
	"slices"
	"strings"
)

// Distinct returns the first failure of each code at each place. After null or a wrong type it
// drops all others at that place or inside it. Its cost is linear in the length of the pointers.
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
	codes  []Code                // of the failures here, each once
	covers bool                  // null or a wrong type: others here and inside are dropped
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

// add records f and reports whether Distinct returns it.
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
