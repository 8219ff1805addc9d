package schemas

import (
	"cmp"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// alternatives tells a failed anyOf or oneOf as the caller meant it. The branch that comes
// closest speaks: one of the right type before others, then one whose enumerated values
// fit, then the one with the fewest findings. Branches that come equally close and differ
// in one type, one list of values or one missing property are told as one.
func (r *reporter) alternatives(err *jsonschema.ValidationError, names bool) []finding {
	at := pointerOf(err.InstanceLocation)
	branches := make([][]finding, len(err.Causes))
	for i, cause := range err.Causes {
		branches[i] = tidy(r.collect(cause, names))
	}
	byDistance := func(a, b []finding) int { return cmp.Compare(distance(a, at), distance(b, at)) }
	closest := slices.MinFunc(branches, byDistance)
	branches = slices.DeleteFunc(branches, func(b []finding) bool { return byDistance(b, closest) > 0 })
	if told, ok := r.together(at, branches); ok {
		return []finding{told}
	}
	return slices.MinFunc(branches, func(a, b []finding) int { return cmp.Compare(len(a), len(b)) })
}

// distance says how far a branch is from what the caller meant: 0 near, 2 far.
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

// together tells several branches of one finding each as one.
func (r *reporter) together(at string, branches [][]finding) (finding, bool) {
	if len(branches) < 2 || slices.ContainsFunc(branches, func(b []finding) bool { return len(b) != 1 }) {
		return finding{}, false
	}
	told := branches[0][0]
	for _, b := range branches[1:] {
		f := b[0]
		samePlace := f.Pointer == told.Pointer || f.Code == CodeRequired && parent(f.Pointer) == at && parent(told.Pointer) == at
		if f.Code != told.Code || !samePlace {
			return finding{}, false
		}
		told.names = append(slices.Clone(told.names), f.names...)
		told.Allowed = append(slices.Clone(told.Allowed), f.Allowed...)
	}
	switch told.Code {
	case CodeType:
		return r.wrongType(told.Pointer, told.names), true
	case CodeEnum:
		return notOneOf(told.Pointer, told.Allowed), told.Allowed != nil
	case CodeRequired:
		told.Message = subject(at) + " must have " + alternativesOf(told.names)
		return told, true
	default:
		return finding{}, false
	}
}

func parent(pointer string) string {
	return pointer[:max(strings.LastIndexByte(pointer, '/'), 0)]
}
