package gateway

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"portolan/engine"
)

// encode is the record as JSON, its fields in documented order.
func (m *method) encode(record *engine.Record, o *Options) []byte {
	names := m.order
	for _, extra := range slices.Sorted(maps.Keys(record.Fields)) {
		if !slices.Contains(names, extra) {
			names = append(slices.Clip(names), extra)
		}
	}
	properties := member(m.responseDoc, "properties")
	var out bytes.Buffer
	out.WriteByte('{')
	for _, name := range names {
		if slices.Contains(o.Exclude, name) || name == engine.RemoteData && o.IgnoreRemoteData {
			continue
		}
		value, ok := record.Fields[name]
		if name == engine.RemoteData && record.Remote != nil {
			value, ok = record.Remote, true
		} else if o.Format == FormatNormalized {
			value, ok = normalize(value, member(properties, name)), true
		}
		if !ok {
			continue
		}
		if out.Len() > 1 {
			out.WriteByte(',')
		}
		writeMember(&out, name, value)
	}
	out.WriteByte('}')
	return out.Bytes()
}

func writeMember(out *bytes.Buffer, name string, value any) {
	out.Write(encodeJSON(name))
	out.WriteByte(':')
	if raw, ok := value.(json.RawMessage); ok { // as it came: not even its white space is touched
		out.Write(raw)
		return
	}
	out.Write(encodeJSON(value))
}

func encodeJSON(v any) []byte {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return []byte("null")
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}

// normalize completes v to what its schema says: null or [] for nothing, text where text
// is meant, times in UTC, known values in their canonical spelling.
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

// kindOf is the schema's type, null set aside.
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
