package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"portolan/plain"
)

// column is one column of a table: its heading and the key of its values.
type column struct{ heading, key string }

// list prints a page as a table or, with --json, as JSON.
func (a *adminClient) list(ctx context.Context, path string, q url.Values, columns ...column) error {
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
		fmt.Fprintf(a.p.stderr, "There are more entries: --cursor %s\n", cursor)
	}
	return nil
}

// show sends one request and prints the answer: one line for each value or, with --json, JSON.
func (a *adminClient) show(ctx context.Context, method, target string, body any) error {
	answer, err := a.call(ctx, method, target, body)
	if err != nil {
		return err
	}
	if a.json {
		return a.raw(answer)
	}
	return describe(a.p.stdout, answer)
}

// created prints the value of key, which is shown only once, alone on stdout so that it can
// be captured. The other values go to stderr, except those that hide names.
func (a *adminClient) created(answer []byte, key string, hide ...string) error {
	if a.json {
		return a.raw(answer)
	}
	values, err := decode(answer)
	if err != nil {
		return err
	}
	fmt.Fprintln(a.p.stdout, shown(values[key]))
	for _, name := range append(hide, key) {
		delete(values, name)
	}
	return describeValues(a.p.stderr, values)
}

func (a *adminClient) raw(answer []byte) error {
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

// describeValues writes one line for each value that is not empty, identifying ones first.
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

// shown returns a JSON value as readable text: "" for null, and only the names of objects that have
// a name or contain other objects.
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

// decode decodes an answer. Numbers keep all digits.
func decode(answer []byte) (map[string]any, error) {
	object, err := plain.DecodeObject(answer, plain.Options{Lenient: true})
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	return object, nil
}

// writeTable writes rows below headings, in aligned columns.
func writeTable(w io.Writer, headings []string, rows [][]string) error {
	var out bytes.Buffer
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{headings}, rows...) {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = printable(cell)
		}
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(out.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// printable returns text, quoted if it has control characters.
func printable(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}

// writeJSON writes v as indented JSON.
func writeJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}
