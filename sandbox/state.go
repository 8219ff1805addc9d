package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// snapshot is a provider's state at one moment. It and its records are immutable.
type snapshot struct {
	collections map[string]any // each []any of records
	serial      int            // number of changes so far
}

func newSnapshot(p *Provider) *snapshot {
	s := &snapshot{collections: make(map[string]any, len(p.collections))}
	for _, c := range p.collections {
		s.collections[c.name] = c.records
	}
	return s
}

// next returns the snapshot that a change modifies before it is published.
func (s *snapshot) next() *snapshot {
	return &snapshot{collections: maps.Clone(s.collections), serial: s.serial + 1}
}

// put adds records, one or a list. A record with an existing key replaces that one.
func (s *snapshot) put(c collection, records any) error {
	list := slices.Clone(s.collections[c.name].([]any))
	for _, record := range asList(records) {
		at, err := indexOf(list, record, c.key)
		switch {
		case err != nil:
			return err
		case at < 0:
			list = append(list, record)
		default:
			list[at] = record
		}
	}
	s.collections[c.name] = list
	return nil
}

// remove removes the records with the keys of the given ones, one or a list.
func (s *snapshot) remove(c collection, records any) error {
	list := slices.Clone(s.collections[c.name].([]any))
	for _, record := range asList(records) {
		at, err := indexOf(list, record, c.key)
		if err != nil {
			return err
		}
		if at >= 0 {
			list = slices.Delete(list, at, at+1)
		}
	}
	s.collections[c.name] = list
	return nil
}

func indexOf(list []any, record any, key string) (int, error) {
	want, err := keyOf(record, key)
	if err != nil {
		return 0, err
	}
	return slices.IndexFunc(list, func(other any) bool {
		got, _ := keyOf(other, key)
		return got == want
	}), nil
}

// keyOf returns the record's key as text: 7 and "7" are equal.
func keyOf(record any, key string) (string, error) {
	object, _ := record.(map[string]any)
	switch v := object[key].(type) {
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	default:
		return "", fmt.Errorf("record has no %q as its key", key)
	}
}

func asList(v any) []any {
	if list, ok := v.([]any); ok {
		return list
	}
	return []any{v}
}
