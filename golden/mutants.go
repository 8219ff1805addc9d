package golden

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"portolan/jsonata"
	"portolan/plain"
	"portolan/source"
)

// Mutant is a file of a mapping with one change.
type Mutant struct {
	Pos    source.Pos // of the change in the original file
	What   string     // the change: "drop …", "… → …"
	Source []byte     // the changed file, as JSON
}

// Mutants returns the changed copies of a file. expressions are those in it, compiled. A change
// drops a key or an item of a list, changes a verb, a path segment, a number or a text, or changes
// an expression as jsonata.Mutants does. Not changed are names that other files refer to, labels,
// repeatable, which matters only if a connection breaks, and fields that a schema declares without
// a constraint, which lint compares with what the mapping does.
func Mutants(file string, src []byte, expressions []*jsonata.Expr) []Mutant {
	var diags source.Diagnostics
	root := source.ParseYAML(file, src, &diags)
	if root == nil {
		return nil
	}
	m := mutator{reader: source.Reader{Diags: &diags}, expressions: map[source.Pos]*jsonata.Expr{}}
	for _, x := range expressions {
		m.expressions[x.Pos()] = x
	}
	m.value(root, "", func(pos source.Pos, what string, v any) {
		if text, err := plain.Append(nil, v); err == nil {
			m.out = append(m.out, Mutant{pos, what, text})
		}
	})
	return m.out
}

type mutator struct {
	reader      source.Reader
	expressions map[source.Pos]*jsonata.Expr // by place
	out         []Mutant
}

// put takes a changed copy of a value, and the place and description of the change.
type put func(pos source.Pos, what string, v any)

// unchanged are the keys of single values that no case can notice, or that are names.
var unchanged = []string{"format", "name", "model", "label", "help", "help_url", "repeatable"}

// value passes the changed copies of n, which stands under key, to put.
func (m *mutator) value(n *source.Node, key string, put put) {
	whole := m.reader.JSON(n)
	switch whole := whole.(type) {
	case map[string]any:
		for _, e := range n.Entries {
			if e.Value.Kind == source.Scalar && slices.Contains(unchanged, e.Name) {
				continue
			}
			if !hollow(whole[e.Name]) {
				dropped := maps.Clone(whole)
				delete(dropped, e.Name)
				put(e.Pos, "drop "+e.Name, dropped)
			}
			m.value(e.Value, e.Name, func(pos source.Pos, what string, v any) {
				changed := maps.Clone(whole)
				changed[e.Name] = v
				put(pos, what, changed)
			})
		}
	case []any:
		for i, item := range n.Items {
			put(item.Pos, fmt.Sprintf("drop item %d of %s", i+1, key), slices.Delete(slices.Clone(whole), i, i+1))
			if item.Kind != source.Scalar {
				m.value(item, key, func(pos source.Pos, what string, v any) {
					changed := slices.Clone(whole)
					changed[i] = v
					put(pos, what, changed)
				})
			}
		}
	case json.Number:
		if i, err := strconv.Atoi(string(whole)); err == nil {
			put(n.Pos, fmt.Sprintf("%d → %d", i, i+1), json.Number(strconv.Itoa(i+1)))
		}
	case string:
		m.text(n, whole, put)
	}
}

// hollow reports whether v is an object that holds only such objects: fields that a schema declares
// without a constraint.
func hollow(v any) bool {
	object, ok := v.(map[string]any)
	for _, member := range object {
		ok = ok && hollow(member)
	}
	return ok
}

// verbs are the verbs that take the place of a verb.
var verbs = map[string]string{"GET": "POST", "POST": "PUT", "PUT": "PATCH", "PATCH": "PUT", "DELETE": "POST"}

// text passes the changed copies of a text to put.
func (m *mutator) text(n *source.Node, text string, put put) {
	if x := m.expressions[n.At(0)]; x != nil {
		for _, mutant := range jsonata.Mutants(text) {
			put(x.At(mutant.Offset), mutant.What, mutant.Source)
		}
		return
	}
	if verb, ok := verbs[text]; ok {
		put(n.Pos, text+" → "+verb, verb)
		return
	}
	segments := strings.Split(text, "/")
	for i, s := range segments {
		if s == "" || strings.HasSuffix(s, ":") || strings.HasSuffix(s, "}") {
			continue
		}
		changed := slices.Clone(segments)
		changed[i] = s + "x"
		put(n.Pos, s+" → "+s+"x", strings.Join(changed, "/"))
	}
}
