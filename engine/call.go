package engine

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"

	"portolan/jsonata"
	"portolan/plain"
)

// Context is an integrated account's credentials and settings, the binding `context` of
// expressions. It always prints as "***".
type Context map[string]any

const masked = "***"

// Format writes "***".
func (Context) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(masked)) }

// LogValue returns "***".
func (Context) LogValue() slog.Value { return slog.StringValue(masked) }

// MarshalJSON returns "***".
func (Context) MarshalJSON() ([]byte, error) { return []byte(`"` + masked + `"`), nil }

// Param is one header or query parameter of a provider call. A secret value prints as "***".
type Param struct {
	Name   string
	Value  string
	Secret bool
}

// Shown returns the value, or "***" if it is secret.
func (p Param) Shown() string {
	if p.Secret {
		return masked
	}
	return p.Value
}

// Format writes name=value, or name=*** if the value is secret.
func (p Param) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "%s=%s", p.Name, p.Shown()) }

// LogValue returns the text that Format writes.
func (p Param) LogValue() slog.Value { return slog.StringValue(p.Name + "=" + p.Shown()) }

// MarshalJSON returns {"name", "value"}, the value masked if it is secret.
func (p Param) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, `{"name":%q,"value":%q}`, p.Name, p.Shown()), nil
}

// Call is one request to a provider, fully computed.
type Call struct {
	Name       string // the step's name; "main" for the main call
	Method     string
	URL        string // scheme, host and path, encoded; without query
	ShownURL   string // URL with secrets replaced by "***"
	Query      []Param
	Header     []Param
	Body       []byte // nil: none
	Repeatable bool   // sending it twice has the effect of once

	// These fields are not sent.
	Integration string
	Environment string
	Account     string    // id, unique in its environment; "" for credentials that are not stored
	Operation   Operation // zero for a call that verifies credentials
}

// Target returns URL and query as they are sent. It may contain secrets.
func (c *Call) Target() string { return c.target(c.URL, func(p Param) string { return p.Value }) }

// ShownTarget returns Target with secrets replaced by "***".
func (c *Call) ShownTarget() string { return c.target(c.ShownURL, Param.Shown) }

func (c *Call) target(base string, value func(Param) string) string {
	var b strings.Builder
	b.WriteString(base)
	separator := byte('?')
	for _, p := range c.Query {
		b.WriteByte(separator)
		b.WriteString(url.QueryEscape(p.Name) + "=")
		v := value(p)
		if v != masked {
			v = url.QueryEscape(v)
		}
		b.WriteString(v)
		separator = '&'
	}
	return b.String()
}

// Reply is a provider's answer to a Call, whatever its status.
type Reply struct {
	Status    int
	Header    map[string][]string // names in canonical form, as net/http has them
	Body      []byte              // at most the Doer's limit
	Truncated bool                // Body is incomplete: the answer is over the limit or cut off
}

// HeaderValue returns the first value of the header called name, in canonical form; "" if there is none.
func (r *Reply) HeaderValue(name string) string {
	if values := r.Header[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// Text returns the body in UTF-8, and whether that differs from the body: see plain.ToUTF8.
func (r *Reply) Text() (text []byte, changed bool) {
	return plain.ToUTF8(r.Body, r.HeaderValue("Content-Type"))
}

// PublicHeader returns the headers, names in lower case, repeated ones joined, without those that
// are for authentication or set cookies.
func (r *Reply) PublicHeader() map[string]any {
	out := make(map[string]any, len(r.Header))
	for name, values := range r.Header {
		name = strings.ToLower(name)
		if !strings.Contains(name, "cookie") && !strings.Contains(name, "authenticat") && !strings.Contains(name, "authoriz") {
			out[name] = strings.Join(values, ", ")
		}
	}
	return out
}

// Doer sends a Call once: the only I/O of a request. Its errors are *Error of KindUpstream
// (no answer: refused, reset, TLS, redirect to another host), KindTimeout (deadline of ctx),
// KindCanceled, KindProvider with the incomplete Reply (larger than the limit, cut off), or
// KindInvalid, KindAccount or KindMapping for a Call that cannot be sent.
type Doer interface {
	Do(ctx context.Context, call *Call) (*Reply, error)
}

// Request is one unified call: decoded, validated, plain JSON values. The engine only reads it.
type Request struct {
	ID          string         // the record's, decoded
	Body        map[string]any // nil: none
	Query       map[string]any // the unified parameters, normalised
	RawQuery    map[string]any // the parameters as decoded, not normalised
	RemoteQuery []Param        // sent to the provider unchanged
	Environment string         // the integrated account's
	Account     string         // the integrated account's id; "" for credentials that are not stored
	Context     Context        // the integrated account's
	BaseURL     string         // replaces the integration's; "" keeps it
	Header      []Param        // further headers of every provider call
	Renewer     Renewer        // of the account's credentials; nil if they cannot be renewed

	Admit func(ctx context.Context, bytes int) error // waits until an answer of that size may be decoded; nil: at once
}

// Renewer gets new credentials for an account if the provider refused the present ones.
type Renewer interface {
	// Renew returns the account's context with new credentials; nil if there are none. Its error
	// ends the call and is returned unchanged.
	Renew(ctx context.Context) (Context, error)
}

// RemoteData is the body's member that is sent to the provider unchanged.
const RemoteData = "remote_data"

// bindings returns the bindings of request-side expressions.
func (req *Request) bindings(account map[string]any) jsonata.Bindings {
	// A nil map is an empty object to expressions.
	return jsonata.NewBindings(map[string]any{
		"body": req.Body, "query": req.Query, "rawQuery": req.RawQuery,
		"context": account, "id": req.ID, "before": map[string]any(nil),
	})
}

// encodeForm flattens value to a=1&b[c]=2&d[0]=3.
func encodeForm(value map[string]any) string {
	form := url.Values{}
	for _, p := range flattenParams(value) {
		form.Add(p.Name, p.Value)
	}
	return form.Encode()
}
