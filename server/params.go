package server

import (
	"cmp"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"portolan/engine"
	"portolan/gateway"
	"portolan/plain"
)

// parameter is one query parameter of Portolan itself.
type parameter struct {
	name    string
	kind    string // in the documentation: "uuid", "boolean"
	text    string // its description, one sentence
	example string // a value as sent
	read    func(r *paramReader, name string, into *params)
}

// The names of parameters that other code refers to.
const (
	paramAccount     = "integrated_account_id"
	paramCollections = "collections"
)

// parameters lists all parameters. Reading and suggestions use this list.
var parameters = []parameter{
	{
		paramAccount, "uuid", "The connected account whose provider and credentials serve the call.", "62f44730-dd91-461e-bd6a-aedd9e0ad79d",
		func(r *paramReader, name string, into *params) { into.account = r.account(name) },
	},
	{
		"truto_response_format", "text", "The shape of the answer: unified, raw, normalized or debug.", "debug",
		func(r *paramReader, name string, into *params) { into.options.Format = r.format(name) },
	},
	{
		"truto_ignore_remote_data", "boolean", "Leave remote_data out of the answer.", "true",
		func(r *paramReader, name string, into *params) { into.options.IgnoreRemoteData = r.boolean(name) },
	},
	{
		gateway.ParamExcludeFields, "list of names", "Top-level fields to leave out of the answer.", "emails,roles",
		func(r *paramReader, name string, into *params) { into.options.Exclude = r.names(name) },
	},
	{
		"truto_skip_api_call", "boolean", "Plan only: return the provider calls without making them.", "true",
		func(r *paramReader, name string, into *params) { into.options.PlanOnly = r.boolean(name) },
	},
	{
		remoteQuery, "object", "Parameters for the provider, sent as they are.", "remote_query[page]=2",
		func(*paramReader, string, *params) {}, // read by decodeQuery
	},
}

// params holds the parameters of Portolan, and the rest for the unified method.
type params struct {
	account string // lower case; empty after a failure
	options gateway.Options
	remote  []engine.Param // remote_query, see query.remote
	// query holds the other parameters, with collections as an array of {id, type?}. It is
	// checked against the query schema and is the binding `query` of expressions.
	query map[string]any
	// rawQuery is the whole decoded query: the binding `rawQuery`.
	rawQuery map[string]any
}

// input returns the input of the gateway, with the failures found so far.
func (p params) input(body map[string]any, failures []gateway.Failure) *gateway.Input {
	return &gateway.Input{
		Body: body, Query: p.query, RawQuery: p.rawQuery, RemoteQuery: p.remote, Options: p.options, Failures: failures,
	}
}

// readParams separates Portolan's own parameters from the others. It returns all failures at once;
// an invalid parameter has its default value.
func readParams(q query) (params, []gateway.Failure) {
	r := paramReader{values: q.values}
	p := params{remote: q.remote, query: map[string]any{}, rawQuery: q.values}
	for i := range parameters {
		parameters[i].read(&r, parameters[i].name, &p)
	}
	var few [16]string // most queries need no memory for their names
	for _, name := range plain.AppendKeys(few[:0], q.values) {
		switch {
		case slices.ContainsFunc(parameters, func(own parameter) bool { return own.name == name }):
		case name == paramCollections:
			if c := r.collections(q.values[name]); len(c) > 0 {
				p.query[name] = c
			}
		case strings.HasPrefix(name, "truto_"):
			r.unknown(name)
		case q.values[name] != "": // an empty one is absent: that is how clients send null
			p.query[name] = q.values[name]
		}
	}
	return p, r.failures
}

type paramReader struct {
	values   map[string]any
	failures []gateway.Failure
}

func (r *paramReader) failf(name string, code gateway.Code, message string, args ...any) {
	r.failures = append(r.failures, gateway.QueryFailuref(name, code, message, args...))
}

func (r *paramReader) failEnum(name string, allowed ...any) {
	f := gateway.QueryFailuref(name, gateway.CodeEnum, "must be one of %s", listed(allowed))
	f.Allowed = allowed
	r.failures = append(r.failures, f)
}

func listed(values []any) string {
	var b strings.Builder
	for i, v := range values {
		if i > 0 {
			b.WriteString(", ")
		}
		s, _ := v.(string)
		b.WriteString(s)
	}
	return b.String()
}

// text returns a parameter that is one string; "" if it is absent, empty or invalid.
func (r *paramReader) text(name string) string {
	v, ok := r.values[name]
	if !ok {
		return ""
	}
	s, ok := v.(string)
	if !ok {
		r.failf(name, gateway.CodeType, "must be one value, given once")
	}
	return s
}

// isUUID reports whether id is a UUID with hyphens, in upper or lower case.
func isUUID(id string) bool {
	const form = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
	if len(id) != len(form) {
		return false
	}
	for i := range len(id) {
		hyphen := form[i] == '-'
		hex := '0' <= id[i] && id[i] <= '9' || 'a' <= id[i]|0x20 && id[i]|0x20 <= 'f'
		if hyphen != (id[i] == '-') || !hyphen && !hex {
			return false
		}
	}
	return true
}

func (r *paramReader) account(name string) string {
	given, ok := r.values[name]
	switch {
	case !ok:
		r.failf(name, gateway.CodeRequired, "is required: the id of the connected account")
		return ""
	case given == "":
		r.failf(name, gateway.CodeEmpty, "must not be empty")
		return ""
	}
	id := r.text(name)
	if id != "" && !isUUID(id) {
		r.failf(name, gateway.CodeFormat, "must be a UUID")
		return ""
	}
	return strings.ToLower(id)
}

func (r *paramReader) format(name string) gateway.Format {
	formats := []gateway.Format{gateway.FormatUnified, gateway.FormatRaw, gateway.FormatNormalized, gateway.FormatDebug}
	format := gateway.Format(r.text(name))
	if format == "" || slices.Contains(formats, format) {
		return cmp.Or(format, gateway.FormatUnified)
	}
	allowed := make([]any, len(formats))
	for i, f := range formats {
		allowed[i] = string(f)
	}
	r.failEnum(name, allowed...)
	return gateway.FormatUnified
}

func (r *paramReader) boolean(name string) bool {
	switch r.text(name) {
	case "true", "1":
		return true
	case "false", "0", "":
	default:
		r.failEnum(name, "true", "false", "1", "0")
	}
	return false
}

// names reads a list that is written as name[], as repeated names, or with commas.
func (r *paramReader) names(param string) []string {
	var given []any
	switch v := r.values[param].(type) {
	case nil:
		return nil
	case string:
		if v == "" {
			return nil
		}
		if isJSONText(v) {
			r.failf(param, gateway.CodeFormat, "is JSON text: write %s=emails,roles", param)
			return nil
		}
		given = []any{v}
	case []any:
		given = v
	}
	if given == nil || !allStrings(given) {
		r.failf(param, gateway.CodeType, "must be a list of names")
		return nil
	}
	var out []string
	seen := map[string]bool{}
	for _, v := range given {
		for name := range strings.SplitSeq(v.(string), ",") {
			switch name = strings.TrimSpace(name); {
			case name == "":
				r.failf(param, gateway.CodeEmpty, "has an empty name")
				return nil
			case !seen[name]:
				seen[name] = true
				out = append(out, name)
			}
		}
	}
	return out
}

func allStrings(values []any) bool {
	return !slices.ContainsFunc(values, func(v any) bool { return !isString(v) })
}

// collections returns an array of {id, type?}; it is empty if no collection is named.
func (r *paramReader) collections(v any) []any {
	switch v := v.(type) {
	case []any:
		if !slices.ContainsFunc(v, func(entry any) bool { return entry != "" }) {
			return nil // collections[]= is how an empty list is written
		}
		var out []any
		for i, entry := range v {
			out = append(out, r.collection(paramCollections+"["+strconv.Itoa(i)+"]", entry))
		}
		return out
	case string:
		if v == "" {
			return nil
		}
	}
	return []any{r.collection(paramCollections, v)}
}

// collection returns one entry. An id that is refused becomes unknownID and a type is left out, so
// that the query schema does not refuse them again.
func (r *paramReader) collection(at string, v any) any {
	switch v := v.(type) {
	case string:
		switch {
		case v == "":
			r.failf(at, gateway.CodeEmpty, "must not be empty")
			v = unknownID
		case isJSONText(v):
			entry := at
			if at == paramCollections {
				entry += "[0]"
			}
			r.failf(at, gateway.CodeFormat, "is JSON text: write %s[id]=%s", entry, idInJSON(v))
		}
		return map[string]any{"id": v}
	case map[string]any:
		out := maps.Clone(v) // v belongs to rawQuery
		if _, ok := v["id"]; !ok {
			r.failf(at+"[id]", gateway.CodeRequired, "is required")
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			name := at + "[" + key + "]"
			text, isText := v[key].(string)
			switch {
			case key != "id" && key != "type":
				r.failf(name, gateway.CodeAdditional, "is not known here%s", gateway.Suggestion(key, "id", "type"))
			case !isText:
				r.failf(name, gateway.CodeType, "must be one value, given once")
			case text == "":
				r.failf(name, gateway.CodeEmpty, "must not be empty")
				refuseMember(out, key)
			case isJSONText(text) && key == "id":
				r.failf(name, gateway.CodeFormat, "is JSON text: write %s=%s", name, idInJSON(text))
				refuseMember(out, key)
			case isJSONText(text):
				r.failf(name, gateway.CodeFormat, "is JSON text: write %s=<type>", name)
				refuseMember(out, key)
			}
		}
		return out
	default:
		r.failf(at, gateway.CodeType, "must be an id or an object with id and type")
	}
	return v
}

// unknownID stands for an id that is not known.
const unknownID = "<id>"

func refuseMember(collection map[string]any, key string) {
	if key == "id" {
		collection[key] = unknownID
	} else {
		delete(collection, key)
	}
}

// isJSONText reports whether a value looks like a JSON array, object or string. A query nests with
// brackets in the names instead, and does not quote.
func isJSONText(s string) bool {
	s = withoutBOM(s)
	return s != "" && strings.ContainsRune(`[{"`, rune(s[0]))
}

func withoutBOM(s string) string {
	return strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(s), "\uFEFF"))
}

var plainID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}$`)

// idInJSON returns the id of the first collection in JSON text, for a message; unknownID if there is
// none or it is not a plain id.
func idInJSON(text string) string {
	doc, err := plain.Decode([]byte(withoutBOM(text)), plain.Options{})
	if err != nil {
		return unknownID
	}
	id := doc.Value
	if list, ok := id.([]any); ok && len(list) > 0 {
		id = list[0]
	}
	if inner, ok := plain.Lookup(id, "id"); ok {
		id = inner
	}
	switch id.(type) {
	case string, json.Number:
		if shown := plain.Text(id); plainID.MatchString(shown) {
			return shown
		}
	}
	return unknownID
}

func (r *paramReader) unknown(name string) {
	var known []string
	for _, p := range parameters {
		known = append(known, p.name)
	}
	r.failf(name, gateway.CodeAdditional, "is not a parameter of Portolan%s", gateway.Suggestion(name, known...))
}
