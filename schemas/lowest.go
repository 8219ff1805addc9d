package schemas

import (
	"cmp"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// cause is an error of the library that becomes findings.
type cause struct {
	err   *jsonschema.ValidationError
	names bool // the value at fault is a property's name
}

func (c cause) compare(d cause) int {
	return cmp.Or(
		strings.Compare(c.err.InstanceLocation, d.err.InstanceLocation),
		strings.Compare(c.err.AbsoluteKeywordLocation, d.err.AbsoluteKeywordLocation))
}

// lowestCauses keeps, of any number of causes, the MaxViolations lowest. The time that it
// takes grows with their number only.
type lowestCauses struct {
	kept []cause
	cut  bool // the last of the first MaxViolations bounds what is still kept
}

func (l *lowestCauses) add(c cause) {
	if l.cut && c.compare(l.kept[MaxViolations-1]) >= 0 {
		return
	}
	l.kept = append(l.kept, c)
	if len(l.kept) == 2*MaxViolations {
		l.kept = l.sorted()
		l.cut = true
	}
}

// sorted returns the lowest causes in order.
func (l *lowestCauses) sorted() []cause {
	slices.SortFunc(l.kept, cause.compare)
	return l.kept[:min(len(l.kept), MaxViolations)]
}
