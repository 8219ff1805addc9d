package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"portolan/plain"
)

// column is one of a list's table.
type column struct{ heading, key string }

// list prints a page: as a table, or the answer as it is.
func (a *administration) list(ctx context.Context, path string, q url.Values, columns ...column) error {
	answer, err := a.call(ctx, http.MethodGet, withQuery(path, q), nil)
	if err != nil {
		return err
	}
	if a.json {
		return a.raw(answer)
	}
	page, err := decode(answer)
	if err != nil {
		return err
	}
	result, _ := page["result"].([]any)
	var headings []string
	for _, c := range columns {
		headings = append(headings, c.heading)
	}
	rows := make([][]string, 0, len(result))
	for _, item := range result {
		object, _ := item.(map[string]any)
		var row []string
		for _, c := range columns {
			row = append(row, shown(object[c.key]))
		}
		rows = append(rows, row)
	}
	if err := writeTable(a.p.stdout, headings, rows); err != nil {
		return err
	}
	if cursor, ok := page["next_cursor"].(string); ok {
		fmt.Fprintf(a.p.stderr, "there are more: --cursor %s\n", cursor)
	}
	return nil
}

// show sends one request and prints the thing that it is answered with: a line for each of
// its values, or the answer as it is.
func (a *administration) show(ctx context.Context, method, target string, body any) error {
	answer, err := a.call(ctx, method, target, body)
	if err != nil {
		return err
	}
	if a.json {
		return a.raw(answer)
	}
	return describe(a.p.stdout, answer)
}

// created prints what can be had only now, alone on stdout, so that it can be captured, and
// the rest but for what hide names on stderr.
func (a *administration) created(answer []byte, key string, hide ...string) error {
	if a.json {
		return a.raw(answer)
	}
	made, err := decode(answer)
	if err != nil {
		return err
	}
	fmt.Fprintln(a.p.stdout, shown(made[key]))
	for _, name := range append(hide, key) {
		delete(made, name)
	}
	return describeValues(a.p.stderr, made)
}

func (a *administration) raw(answer []byte) error {
	_, err := a.p.stdout.Write(append(bytes.TrimRight(answer, "\n"), '\n'))
	return err
}

func describe(w io.Writer, answer []byte) error {
	values, err := decode(answer)
	if err != nil {
		return err
	}
	return describeValues(w, values)
}

// describeValues writes what has a value, the name of the thing first.
func describeValues(w io.Writer, values map[string]any) error {
	first := []string{"id", "name", "integration", "environment", "label", "tenant_id", "role", "status"}
	names := slices.Sorted(maps.Keys(values))
	for _, name := range slices.Concat(first, slices.DeleteFunc(names, func(n string) bool { return slices.Contains(first, n) })) {
		if text := shown(values[name]); text != "" {
			if _, err := fmt.Fprintf(w, "%s: %s\n", name, printable(text)); err != nil {
				return err
			}
		}
	}
	return nil
}

// shown is a JSON value for people: nothing for null, names for a list of named things
// and for an object that holds objects.
func shown(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case []any:
		words := make([]string, len(v))
		for i, item := range v {
			words[i] = shown(item)
		}
		return strings.Join(words, ", ")
	case map[string]any:
		if name, ok := v["name"].(string); ok {
			return name
		}
		words := make([]string, 0, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if _, deep := v[name].(map[string]any); deep {
				words = append(words, name)
			} else {
				words = append(words, name+" "+shown(v[name]))
			}
		}
		return strings.Join(words, ", ")
	default:
		return fmt.Sprint(v)
	}
}

// decode reads an answer; integers keep their digits.
func decode(answer []byte) (map[string]any, error) {
	object, err := plain.DecodeObject(answer, plain.Options{Lenient: true})
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	return object, nil
}
