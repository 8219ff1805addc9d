package gateway

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"portolan/engine"
	"portolan/plain"
)

// encode returns the record as JSON, its fields in documented order and then any others. A value
// that is not plain JSON, which expressions never return, becomes null.
func (m *method) encode(record *engine.Record, o *Options) []byte {
	out := make([]byte, 0, 512+len(record.Remote))
	out = append(out, '{')
	write := func(name string) {
		if slices.Contains(o.Exclude, name) || name == engine.RemoteData && o.IgnoreRemoteData {
			return
		}
		if name == engine.RemoteData && record.Remote != nil { // unchanged, including its white space
			out = append(plain.AppendKey(out, name), record.Remote...)
			return
		}
		value, ok := record.Fields[name]
		if !ok {
			return
		}
		out = plain.AppendKey(out, name)
		if encoded, err := plain.Append(out, value); err == nil {
			out = encoded
		} else {
			out = append(out, "null"...)
		}
	}
	for _, name := range m.order {
		write(name)
	}
	for _, name := range m.undocumented(record.Fields) {
		write(name)
	}
	return append(out, '}')
}

// undocumented returns the names of fields that are not in the documented order, sorted.
func (m *method) undocumented(fields map[string]any) []string {
	var out []string
	for name := range fields {
		if !slices.Contains(m.order, name) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// normalize returns a record whose fields are all that are documented, converted by their schemas,
// and any others.
func (m *method) normalize(record engine.Record) engine.Record {
	properties := member(m.responseDoc, "properties")
	fields := maps.Clone(record.Fields)
	for _, name := range m.order {
		fields[name] = normalize(record.Fields[name], member(properties, name))
	}
	return engine.Record{Fields: fields, Remote: record.Remote}
}

// normalize converts v by its schema: null or [] for a missing value, numbers to text, times to
// UTC, known values to their canonical spelling.
func normalize(v any, schema map[string]any) any {
	switch kindOf(schema) {
	case "array":
		list, ok := v.([]any)
		if !ok {
			if v == nil {
				return []any{}
			}
			list = []any{v}
		}
		out := make([]any, len(list))
		for i, item := range list {
			out[i] = normalize(item, member(schema, "items"))
		}
		return out
	case "object":
		members, ok := v.(map[string]any)
		if !ok {
			return v
		}
		properties := member(schema, "properties")
		out := maps.Clone(members)
		for name := range properties {
			out[name] = normalize(members[name], member(properties, name))
		}
		return out
	case "string":
		return normalizeText(v, schema)
	}
	return v
}

func normalizeText(v any, schema map[string]any) any {
	switch n := v.(type) {
	case json.Number:
		v = n.String()
	case float64:
		v = strconv.FormatFloat(n, 'f', -1, 64)
	}
	text, ok := v.(string)
	if !ok {
		return v
	}
	if schema["format"] == "date-time" {
		if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
			return t.UTC().Format(time.RFC3339Nano)
		}
		return text
	}
	for _, keyword := range []string{"enum", "x-known-values"} {
		known, _ := schema[keyword].([]any)
		for _, k := range known {
			if canonical, ok := k.(string); ok && strings.EqualFold(canonical, text) {
				return canonical
			}
		}
	}
	return text
}

// kindOf returns the schema's type other than null.
func kindOf(schema map[string]any) string {
	switch t := schema["type"].(type) {
	case string:
		return t
	case []any:
		for _, one := range t {
			if name, _ := one.(string); name != "null" {
				return name
			}
		}
	}
	return ""
}
