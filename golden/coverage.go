package golden

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"portolan/engine"
)

// Coverage counts what of one plan the passing golden cases cover.
type Coverage struct {
	Plan        string // <integration>/<model>.<resource>.<method>
	Cases       int    // passing or not
	Fields      int    // unified fields that a case sends
	AllFields   int    // unified fields that reach the provider
	Values      int    // known values that a case sends
	AllValues   int
	ErrorStatus []int    // of provider errors, the provider's and the caller's, sorted
	Missing     []string // "/emails/*/type", "/roles/*/id=owner"
}

// Cover returns the Coverage of each plan. Only a case that passes and makes a call covers
// anything.
func Cover(catalog *engine.Catalog, results []*Result) []Coverage {
	var out []Coverage
	for _, plan := range catalog.Plans() {
		c := Coverage{Plan: plan.Integration().Name + "/" + plan.Operation().String()}
		var bodies []any
		for _, r := range results {
			if r.Case.Provider != plan.Integration().Name || r.Case.Operation != plan.Operation() {
				continue
			}
			c.Cases++
			if r.State != Passed || len(r.Calls) == 0 {
				continue
			}
			if body, ok := decodeJSON(r.Case.Request.Body); ok {
				bodies = append(bodies, body)
			}
			c.addErrors(r.Case)
		}
		for _, leaf := range plan.Support().Leaves {
			c.addLeaf(leaf, bodies)
		}
		slices.Sort(c.ErrorStatus)
		c.ErrorStatus = slices.Compact(c.ErrorStatus)
		out = append(out, c)
	}
	return out
}

// String returns one line with the counts and what is missing.
func (c Coverage) String() string {
	codes := make([]string, 0, len(c.ErrorStatus))
	for _, status := range c.ErrorStatus {
		codes = append(codes, strconv.Itoa(status))
	}
	if len(codes) == 0 {
		codes = append(codes, "none")
	}
	cases := "cases"
	if c.Cases == 1 {
		cases = "case"
	}
	line := fmt.Sprintf("%s: %d %s; fields %d/%d; values %d/%d; provider errors %s",
		c.Plan, c.Cases, cases, c.Fields, c.AllFields, c.Values, c.AllValues, strings.Join(codes, " "))
	if len(c.Missing) > 0 {
		line += "; missing: " + strings.Join(c.Missing, ", ")
	}
	return line
}

func (c *Coverage) addErrors(golden *Case) {
	failed := false
	for _, x := range golden.Upstream {
		if x.Response.Status >= http.StatusBadRequest {
			failed = true
			c.ErrorStatus = append(c.ErrorStatus, x.Response.Status)
		}
	}
	if failed && golden.Answer.Status >= http.StatusBadRequest {
		c.ErrorStatus = append(c.ErrorStatus, golden.Answer.Status)
	}
}

func (c *Coverage) addLeaf(leaf engine.Leaf, bodies []any) {
	var found []any
	for _, body := range bodies {
		found = append(found, valuesAt(body, strings.Split(leaf.Path, "/")[1:])...)
	}
	c.AllFields++
	if len(found) > 0 {
		c.Fields++
	} else {
		c.Missing = append(c.Missing, leaf.Path)
	}
	for _, value := range leaf.Values {
		c.AllValues++
		if slices.ContainsFunc(found, func(v any) bool { return fmt.Sprint(v) == fmt.Sprint(value) }) {
			c.Values++
		} else {
			c.Missing = append(c.Missing, fmt.Sprintf("%s=%v", leaf.Path, value))
		}
	}
}

// valuesAt returns the values at a path, in which * is any index.
func valuesAt(v any, names []string) []any {
	if len(names) == 0 {
		return []any{v}
	}
	switch v := v.(type) {
	case map[string]any:
		if member, ok := v[names[0]]; ok {
			return valuesAt(member, names[1:])
		}
	case []any:
		var out []any
		if names[0] == "*" {
			for _, item := range v {
				out = append(out, valuesAt(item, names[1:])...)
			}
		}
		return out
	}
	return nil
}
