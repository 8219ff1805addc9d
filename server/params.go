package server

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"portolan/engine"
	"portolan/source"
)

// responseFormat is the shape of a successful answer.
type responseFormat string

const (
	formatUnified    responseFormat = "unified" // the default
	formatRaw        responseFormat = "raw"
	formatNormalized responseFormat = "normalized"
	formatDebug      responseFormat = "debug"
)

const (
	paramAccount       = "integrated_account_id"
	paramFormat        = "truto_response_format"
	paramIgnoreRemote  = "truto_ignore_remote_data"
	paramExcludeFields = "truto_exclude_fields"
	paramSkipCall      = "truto_skip_api_call"
	paramCollections   = "collections"
)

// params is what a query asks of Portolan itself, and what is left for the unified method.
type params struct {
	account      string         // lower case; empty where it is among the failures
	format       responseFormat // never empty
	ignoreRemote bool           // leave remote_data out
	skipCall     bool           // plan only
	exclude      []string       // names not checked yet, each once, in the order sent
	remote       []engine.Param // remote_query, see query.remote
	// query is what remains, collections as an array of {id, type?}: the binding `query`
	// of expressions, and what the query schema of the unified method judges.
	query map[string]any
	// rawQuery is everything as decoded: the binding `rawQuery`.
	rawQuery map[string]any
}

// readParams takes Portolan's own parameters out of a decoded query. It reports all
// failures at once; a parameter at fault has its default in params.
func readParams(q query) (params, []Failure) {
	r := paramReader{values: q.values}
	p := params{
		account:      r.account(),
		format:       r.format(),
		ignoreRemote: r.boolean(paramIgnoreRemote),
		skipCall:     r.boolean(paramSkipCall),
		exclude:      r.names(paramExcludeFields),
		remote:       q.remote,
		query:        map[string]any{},
		rawQuery:     q.values,
	}
	for _, name := range slices.Sorted(maps.Keys(q.values)) {
		switch name {
		case paramAccount, paramFormat, paramIgnoreRemote, paramSkipCall, paramExcludeFields, remoteQuery:
		case paramCollections:
			if c := r.collections(q.values[name]); len(c) > 0 {
				p.query[name] = c
			}
		default:
			if strings.HasPrefix(name, "truto_") {
				r.unknown(name)
				continue
			}
			p.query[name] = q.values[name]
		}
	}
	return p, r.failures
}

type paramReader struct {
	values   map[string]any
	failures []Failure
}

func (r *paramReader) failf(name string, code Code, message string, args ...any) {
	r.failures = append(r.failures, failuref("?"+name, code, message, args...))
}

func (r *paramReader) failEnum(name string, allowed ...any) {
	r.failures = append(r.failures, Failure{
		Pointer: "?" + name, Code: CodeEnum, Allowed: allowed, Message: "must be one of " + listed(allowed),
	})
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

// text gives a parameter that is one string, not empty; "" where it is absent or at fault.
func (r *paramReader) text(name string) string {
	v, ok := r.values[name]
	if !ok {
		return ""
	}
	s, ok := v.(string)
	if !ok {
		r.failf(name, CodeType, "must be one value, given once")
	} else if s == "" {
		r.failf(name, CodeEmpty, "must not be empty")
	}
	return s
}

var uuid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

func (r *paramReader) account() string {
	if _, ok := r.values[paramAccount]; !ok {
		r.failf(paramAccount, CodeRequired, "is required: the id of the connected account")
		return ""
	}
	id := r.text(paramAccount)
	if id != "" && !uuid.MatchString(id) {
		r.failf(paramAccount, CodeFormat, "must be a UUID")
		return ""
	}
	return strings.ToLower(id)
}

func (r *paramReader) format() responseFormat {
	switch f := responseFormat(r.text(paramFormat)); f {
	case formatUnified, formatRaw, formatNormalized, formatDebug:
		return f
	case "":
	default:
		r.failEnum(paramFormat, string(formatUnified), string(formatRaw), string(formatNormalized), string(formatDebug))
	}
	return formatUnified
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

// names reads a list given as name[], repeated, or with commas.
func (r *paramReader) names(param string) []string {
	var given []any
	switch v := r.values[param].(type) {
	case nil:
		return nil
	case string:
		given = []any{v}
	case []any:
		given = v
	}
	if given == nil || !allStrings(given) {
		r.failf(param, CodeType, "must be a list of names")
		return nil
	}
	var out []string
	seen := map[string]bool{}
	for _, v := range given {
		for name := range strings.SplitSeq(v.(string), ",") {
			switch name = strings.TrimSpace(name); {
			case name == "":
				r.failf(param, CodeEmpty, "holds an empty name")
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

// collections gives an array of {id, type?}, empty where nothing was named.
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

func (r *paramReader) collection(at string, v any) any {
	switch v := v.(type) {
	case string:
		if v == "" {
			r.failf(at, CodeEmpty, "must not be empty")
		}
		return map[string]any{"id": v}
	case map[string]any:
		if _, ok := v["id"]; !ok {
			r.failf(at+"[id]", CodeRequired, "is required")
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			switch {
			case key != "id" && key != "type":
				r.failf(at+"["+key+"]", CodeAdditional, "is not known here%s", suggestion(key, "id", "type"))
			case v[key] == "":
				r.failf(at+"["+key+"]", CodeEmpty, "must not be empty")
			case !isString(v[key]):
				r.failf(at+"["+key+"]", CodeType, "must be one value, given once")
			}
		}
	default:
		r.failf(at, CodeType, "must be an id or an object with id and type")
	}
	return v
}

func (r *paramReader) unknown(name string) {
	r.failf(name, CodeAdditional, "is no parameter of Portolan%s",
		suggestion(name, paramFormat, paramIgnoreRemote, paramExcludeFields, paramSkipCall))
}

// suggestion gives ` (did you mean "…"?)`, or "" where no known name is near.
func suggestion(name string, known ...string) string {
	near := source.Nearest(name, known)
	if near == "" {
		return ""
	}
	return " (did you mean " + strconv.Quote(near) + "?)"
}
