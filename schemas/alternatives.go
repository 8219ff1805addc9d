package schemas

import (
	"cmp"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// alternatives returns the findings of the branch of a failed anyOf or oneOf that the value
// is closest to: one of the right type first, then one whose enum matches, then the one with
// the fewest findings. Equally close branches that differ only in a type, an enum or one
// missing property are merged.
func (r *reporter) alternatives(err *jsonschema.ValidationError, names bool) []finding {
	at := pointerOf(err.InstanceLocation)
	branches := make([][]finding, len(err.Causes))
	for i, cause := range err.Causes {
		branches[i] = tidy(r.collect(cause, names))
	}
	byDistance := func(a, b []finding) int { return cmp.Compare(distance(a, at), distance(b, at)) }
	closest := slices.MinFunc(branches, byDistance)
	branches = slices.DeleteFunc(branches, func(b []finding) bool { return byDistance(b, closest) > 0 })
	if merged, ok := r.mergeBranches(at, branches); ok {
		return []finding{merged}
	}
	return slices.MinFunc(branches, func(a, b []finding) int { return cmp.Compare(len(a), len(b)) })
}

// distance returns how far the value is from a branch: 0 near, 2 far.
func distance(branch []finding, at string) int {
	far := 0
	for _, f := range branch {
		switch {
		case f.Pointer == at && f.Code == CodeType:
			return 2
		case f.Code == CodeEnum:
			far = 1
		}
	}
	return far
}

// mergeBranches merges several branches of one finding each.
func (r *reporter) mergeBranches(at string, branches [][]finding) (finding, bool) {
	if len(branches) < 2 || slices.ContainsFunc(branches, func(b []finding) bool { return len(b) != 1 }) {
		return finding{}, false
	}
	merged := branches[0][0]
	for _, b := range branches[1:] {
		f := b[0]
		samePlace := f.Pointer == merged.Pointer || f.Code == CodeRequired && parent(f.Pointer) == at && parent(merged.Pointer) == at
		if f.Code != merged.Code || !samePlace {
			return finding{}, false
		}
		merged.names = append(slices.Clone(merged.names), f.names...)
		merged.Allowed = append(slices.Clone(merged.Allowed), f.Allowed...)
	}
	switch merged.Code {
	case CodeType:
		return r.wrongType(merged.Pointer, merged.names), true
	case CodeEnum:
		return notOneOf(merged.Pointer, merged.Allowed), merged.Allowed != nil
	case CodeRequired:
		merged.Message = subject(at) + " must have " + alternativesOf(merged.names)
		return merged, true
	default:
		return finding{}, false
	}
}

func parent(pointer string) string {
	return pointer[:max(strings.LastIndexByte(pointer, '/'), 0)]
}
