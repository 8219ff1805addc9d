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
	names bool // the invalid value is a property's name
}

func (c cause) compare(d cause) int {
	return cmp.Or(
		strings.Compare(c.err.InstanceLocation, d.err.InstanceLocation),
		strings.Compare(c.err.AbsoluteKeywordLocation, d.err.AbsoluteKeywordLocation))
}

// lowestCauses collects the MaxViolations lowest of any number of causes, in linear time.
type lowestCauses struct {
	list []cause
	full bool // list[MaxViolations-1] is the upper bound
}

func (l *lowestCauses) add(c cause) {
	if l.full && c.compare(l.list[MaxViolations-1]) >= 0 {
		return
	}
	l.list = append(l.list, c)
	if len(l.list) == 2*MaxViolations {
		l.list = l.sorted()
		l.full = true
	}
}

// sorted returns the lowest causes in order.
func (l *lowestCauses) sorted() []cause {
	slices.SortFunc(l.list, cause.compare)
	return l.list[:min(len(l.list), MaxViolations)]
}
