package engine

import "net/url"

// Request is one unified call as the engine takes it: decoded, validated, plain JSON
// values. The engine only reads it.
type Request struct {
	ID          string         // the record's, decoded
	Body        map[string]any // nil: none
	Query       map[string]any // the unified parameters, normalised
	RawQuery    map[string]any // the parameters as decoded, before they were normalised
	RemoteQuery []Param        // goes to the provider as it is
	Context     Context        // of the integrated account
	BaseURL     string         // replaces the integration's; "" for its own
	Header      []Param        // further headers of every provider call
}

// RemoteData is the body's member that goes to the provider as it is.
const RemoteData = "remote_data"

// bindings are what request-side expressions see.
func (r *Request) bindings(context map[string]any, before map[string]any) map[string]any {
	b := map[string]any{
		"body": r.Body, "query": r.Query, "rawQuery": r.RawQuery,
		"context": context, "id": r.ID, "before": before,
	}
	for _, name := range []string{"body", "query", "rawQuery", "before"} {
		if m, _ := b[name].(map[string]any); m == nil {
			b[name] = map[string]any{}
		}
	}
	return b
}

// encodeForm flattens value to a=1&b[c]=2&d[0]=3.
func encodeForm(value map[string]any) string {
	form := url.Values{}
	for _, p := range flattenParams(value) {
		form.Add(p.Name, p.Value)
	}
	return form.Encode()
}
