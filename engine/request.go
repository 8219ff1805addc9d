package engine

import (
	"context"
	"net/url"

	"portolan/jsonata"
)

// Request is one unified call as the engine takes it: decoded, validated, plain JSON
// values. The engine only reads it.
type Request struct {
	ID          string         // the record's, decoded
	Body        map[string]any // nil: none
	Query       map[string]any // the unified parameters, normalised
	RawQuery    map[string]any // the parameters as decoded, before they were normalised
	RemoteQuery []Param        // goes to the provider as it is
	Environment string         // the integrated account's
	Account     string         // the integrated account's id; "" for credentials that are not stored
	Context     Context        // the integrated account's
	BaseURL     string         // replaces the integration's; "" for its own
	Header      []Param        // further headers of every provider call
	Renewer     Renewer        // of the account's credentials; nil: they cannot be renewed
}

// Renewer gets other credentials for an account whose provider refused those it has.
type Renewer interface {
	// Renew returns the account's context with new credentials; nil if there are none that
	// were not refused yet. Its error ends the call as it is.
	Renew(ctx context.Context) (Context, error)
}

// RemoteData is the body's member that goes to the provider as it is.
const RemoteData = "remote_data"

// requestBindings are what request-side expressions see.
func (p *Plan) requestBindings(req *Request, account, before map[string]any) (jsonata.Bindings, error) {
	// A nil map is an empty object to expressions.
	bindings, err := jsonata.Ready(map[string]any{
		"body": req.Body, "query": req.Query, "rawQuery": req.RawQuery,
		"context": account, "id": req.ID, "before": before,
	})
	if err != nil {
		return bindings, &Error{Kind: KindMapping, Op: p.title, Err: err}
	}
	return bindings, nil
}

// encodeForm flattens value to a=1&b[c]=2&d[0]=3.
func encodeForm(value map[string]any) string {
	form := url.Values{}
	for _, p := range flattenParams(value) {
		form.Add(p.Name, p.Value)
	}
	return form.Encode()
}
