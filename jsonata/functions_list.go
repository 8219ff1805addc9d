package jsonata

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"strings"

	"portolan/plain"
)

// orderBy sorts by several paths, each "asc" or "desc".
func orderBy(args []any) (any, error) {
	var paths, orders []any
	if len(args) > 1 {
		paths = items(args[1])
	}
	if len(args) > 2 {
		orders = items(args[2])
	}
	list := items(args[0])
	type keyed struct {
		item any
		keys []any
	}
	keys := make([]keyed, len(list))
	for i, item := range list {
		keys[i] = keyed{item, []any{sortable(item)}}
		if len(paths) > 0 {
			keys[i].keys = make([]any, len(paths))
		}
		for j, path := range paths {
			v, found := at(item, jsText(path))
			if keys[i].keys[j] = sortable(v); !found {
				keys[i].keys[j] = undefined
			}
		}
	}
	slices.SortStableFunc(keys, func(a, b keyed) int {
		for j := range a.keys {
			order := compareAny(a.keys[j], b.keys[j])
			if j < len(orders) && orders[j] == "desc" {
				order = -order
			}
			if order != 0 {
				return order
			}
		}
		return 0
	})
	out := make([]any, len(list))
	for i, k := range keys {
		out[i] = k.item
	}
	return out, nil
}

// sortable returns v, or its text if it is an array or object.
func sortable(v any) any {
	switch v.(type) {
	case []any, map[string]any:
		return jsText(v)
	default:
		return v
	}
}

// compareAny orders values without arrays and objects as lodash does: nothing comes last, null before
// it.
func compareAny(a, b any) int {
	rank := func(v any) int {
		switch v {
		case undefined:
			return 2
		case nil:
			return 1
		default:
			return 0
		}
	}
	if i, j := rank(a), rank(b); i+j > 0 {
		return i - j
	}
	x, isText := a.(string)
	y, both := b.(string)
	if isText && both {
		return strings.Compare(x, y)
	}
	f, g := jsNumber(a), jsNumber(b)
	if math.IsNaN(f) || math.IsNaN(g) {
		return 0
	}
	return cmp.Compare(f, g)
}

// comparableOf returns v, or true for what == cannot compare.
func comparableOf(v any) any {
	switch v.(type) {
	case []any, map[string]any:
		return true
	default:
		return v
	}
}

var errPredicate = errors.New("expects an object, a path or [path, value] as argument 2")

// predicate returns whether an item has what v asks for: the members of an object, a path whose value
// counts as true, or a value at a path.
func predicate(v any) (func(item any) bool, error) {
	switch v := v.(type) {
	case map[string]any:
		return func(item any) bool { return matchesPart(item, v) }, nil
	case []any:
		if len(v) == 2 {
			return func(item any) bool {
				found, ok := at(item, jsText(v[0]))
				return ok && matchesPart(found, v[1])
			}, nil
		}
		return nil, errPredicate
	case nil:
		return nil, errPredicate
	}
	return func(item any) bool {
		found, ok := at(item, jsText(v))
		return ok && plain.JSTruthy(found)
	}, nil
}

// matchesPart reports whether v has all members of part, and is equal otherwise.
func matchesPart(v, part any) bool {
	if wanted, ok := part.(map[string]any); ok {
		object, ok := v.(map[string]any)
		for name, member := range wanted {
			found, has := object[name]
			if ok = ok && has && matchesPart(found, member); !ok {
				return false
			}
		}
		return ok
	}
	if wanted, ok := part.([]any); ok {
		list, ok := v.([]any)
		return ok && slices.EqualFunc(list, wanted, matchesPart)
	}
	a, isScalar := scalar(v)
	b, _ := scalar(part)
	return isScalar && a == b
}

func find(args []any) (any, error) {
	has, err := predicate(args[1])
	if err != nil {
		return nil, err
	}
	list := items(args[0])
	if i := slices.IndexFunc(list, has); i >= 0 {
		return list[i], nil
	}
	return nil, nil
}

func lofilter(args []any) (any, error) {
	has, err := predicate(args[1])
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, item := range items(args[0]) {
		if has(item) {
			out = append(out, item)
		}
	}
	return out, nil
}

// sortNodes sorts the nodes of a tree so that each is followed by its children, by their sequence.
func sortNodes(args []any) (any, error) {
	keys := []string{"id", "parent_id", "sequence"}
	for i, arg := range args[1:] {
		if arg != nil {
			keys[i] = jsText(arg)
		}
	}
	list := items(args[0])
	known := map[any]bool{}
	for _, node := range list {
		id, _ := at(node, keys[0])
		known[comparableOf(id)] = true
	}
	children := map[any][]any{}
	var roots []any
	for _, node := range list {
		parent, _ := at(node, keys[1])
		if parent = comparableOf(parent); plain.JSTruthy(parent) && known[parent] {
			children[parent] = append(children[parent], node)
		} else {
			roots = append(roots, node)
		}
	}
	out := make([]any, 0, len(list))
	var add func(nodes []any, depth int) error
	add = func(nodes []any, depth int) error {
		if depth > MaxValueDepth {
			return ErrTooDeep
		}
		sorted, err := orderBy([]any{nodes, keys[2]})
		for _, node := range items(sorted) {
			out = append(out, node)
			id, _ := at(node, keys[0])
			below := children[comparableOf(id)]
			delete(children, comparableOf(id))
			if err = cmp.Or(err, add(below, depth+1)); err != nil {
				return err
			}
		}
		return err
	}
	if err := add(roots, 0); err != nil {
		return nil, err
	}
	return out, nil
}
