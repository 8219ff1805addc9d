package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"portolan/engine"
)

// noteResult sets the headers that tell of the provider's answer.
func (x *exchange) noteResult() {
	h := x.writer.Header()
	set := func(name, value string) {
		if value != "" {
			h.Set(name, value)
		}
	}
	set("ratelimit-limit", x.result.Rate.Limit)
	set("ratelimit-remaining", x.result.Rate.Remaining)
	set("ratelimit-reset", x.result.Rate.Reset)
	set("Portolan-Partial", strings.Join(x.result.Partial, ", "))
	if x.result.Reply != nil {
		set("Retry-After", x.result.Reply.Header.Get("Retry-After"))
	}
}

// answer writes a success in the format asked for.
func (x *exchange) answer(ctx context.Context) *problem {
	if x.params.skipCall {
		x.writeJSON(http.StatusOK, debugAnswer{Debug: x.debug()})
		return nil
	}
	if x.params.format == formatRaw {
		x.writeRaw()
		return nil
	}
	if p := x.checkRecord(ctx); p != nil {
		return p
	}
	record := x.record()
	if x.params.format == formatDebug {
		x.writeJSON(http.StatusOK, debugAnswer{Result: record, Debug: x.debug()})
		return nil
	}
	x.writer.Header().Set("Content-Type", "application/json")
	x.writer.WriteHeader(http.StatusOK)
	_, _ = x.writer.Write(append(record, '\n')) // a caller that is gone is not our failure
	return nil
}

// checkRecord holds the record against the unified response schema.
func (x *exchange) checkRecord(ctx context.Context) *problem {
	if x.server.policy == PolicyOff || x.method.response == nil {
		return nil
	}
	findings := failuresOf(x.method.response, x.result.Record.Fields, func(p string) string { return p })
	if x.plan != x.plan.Base() { // an override may add fields of its own
		findings = slices.DeleteFunc(findings, func(f Failure) bool { return f.Code == CodeAdditional })
	}
	if len(findings) == 0 {
		return nil
	}
	for _, f := range findings {
		x.warnings = append(x.warnings, f.Message)
		x.server.log.LogAttrs(ctx, slog.LevelWarn, "response breaks the unified schema",
			slog.String("request_id", x.id), slog.String("mapping", x.plan.Version()),
			slog.String("pointer", f.Pointer), slog.String("code", string(f.Code)))
	}
	if x.server.policy == PolicyFail {
		return &problem{
			status: http.StatusBadGateway, failures: findings,
			message: "the mapped answer breaks the unified response schema: " + strings.Join(x.warnings, "; "),
		}
	}
	x.writer.Header().Set("Portolan-Response-Warnings", strconv.Itoa(len(x.warnings)))
	return nil
}

// record is the unified record as JSON, its fields in documented order.
func (x *exchange) record() json.RawMessage {
	fields := x.result.Record.Fields
	names := x.method.order
	for _, extra := range slices.Sorted(maps.Keys(fields)) {
		if !slices.Contains(names, extra) {
			names = append(slices.Clip(names), extra)
		}
	}
	normalized := x.params.format == formatNormalized
	properties := object(x.method.responseDoc, "properties")
	var out bytes.Buffer
	out.WriteByte('{')
	for _, name := range names {
		if slices.Contains(x.params.exclude, name) || name == engine.RemoteData && x.params.ignoreRemote {
			continue
		}
		value, ok := fields[name]
		if name == engine.RemoteData && x.result.Record.Remote != nil {
			value, ok = x.result.Record.Remote, true
		} else if normalized {
			value, ok = normalize(value, object(properties, name)), true
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
			out[i] = normalize(item, object(schema, "items"))
		}
		return out
	case "object":
		members, ok := v.(map[string]any)
		if !ok {
			return v
		}
		properties := object(schema, "properties")
		out := maps.Clone(members)
		for name := range properties {
			out[name] = normalize(members[name], object(properties, name))
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

// writeRaw passes the provider's answer on, byte for byte.
func (x *exchange) writeRaw() {
	reply, h := x.result.Reply, x.writer.Header()
	for _, name := range []string{"Content-Type", "Etag"} {
		if v := reply.Header.Get(name); v != "" {
			h.Set(name, v)
		}
	}
	if reply.Header.Get("Content-Type") == "" {
		h["Content-Type"] = nil // or net/http would guess one
	}
	h.Set("X-Content-Type-Options", "nosniff")
	x.writer.WriteHeader(reply.Status)
	if reply.Status != http.StatusNoContent {
		_, _ = x.writer.Write(reply.Body) // a caller that is gone is not our failure
	}
}

// writeJSON writes v as the whole answer.
func (x *exchange) writeJSON(status int, v any) {
	body := encodeJSON(v)
	x.writer.Header().Set("Content-Type", "application/json")
	x.writer.WriteHeader(status)
	_, _ = fmt.Fprintf(x.writer, "%s\n", body) // a caller that is gone is not our failure
}
