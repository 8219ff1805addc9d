package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"portolan/plain"
)

// FaultHeader is the request header that requests a fault by name.
const FaultHeader = "Portolan-Sandbox-Fault"

// Mount is a Provider and the path of its base URL ("/api/v1/", "").
type Mount struct {
	Provider *Provider
	BasePath string
}

// Sandbox serves simulated providers. It is an http.Handler, safe for concurrent use.
type Sandbox struct {
	instances map[string]*instance
	now       func() time.Time
	slow      time.Duration
}

// instance is a provider with its state.
type instance struct {
	*Provider
	base    []string
	writing sync.Mutex // held by a request that changes the state, before it reads it
	state   atomic.Pointer[snapshot]

	authority *authority
}

// Option changes what New builds.
type Option func(*Sandbox)

// WithSlow sets the maximum duration of the fault `slow`; the default is a minute.
func WithSlow(d time.Duration) Option { return func(s *Sandbox) { s.slow = d } }

// New returns a Sandbox of the mounted providers. now is the clock of expressions and tokens.
func New(mounts []Mount, now func() time.Time, options ...Option) *Sandbox {
	s := &Sandbox{instances: map[string]*instance{}, now: now, slow: time.Minute}
	for _, m := range mounts {
		p := &instance{Provider: m.Provider, base: segments(strings.Trim(m.BasePath, "/")), authority: newAuthority()}
		p.state.Store(newSnapshot(m.Provider))
		s.instances[m.Provider.name] = p
	}
	for _, option := range options {
		option(s)
	}
	return s
}

// State returns a copy of the state of the provider called name: a list of records by
// collection; nil if there is no such provider.
func (s *Sandbox) State(name string) map[string]any {
	p := s.instances[name]
	if p == nil {
		return nil
	}
	return plain.Clone(p.state.Load().collections).(map[string]any)
}

// maxBody bounds a request's body; no provider accepts more.
const maxBody = 64 << 20

// ServeHTTP answers as the provider in the first segment of the path.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := segments(r.URL.EscapedPath())
	var p *instance
	if len(path) > 0 {
		p = s.instances[path[0]]
	}
	if p == nil {
		names := make([]string, 0, len(s.instances))
		for name := range s.instances {
			names = append(names, name)
		}
		slices.Sort(names)
		textResponse(http.StatusNotFound, "sandbox: the path must start with the name of a provider: "+strings.Join(names, ", ")).write(w)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody)) // net/http notices a lost client only after this
	if err != nil {
		status := http.StatusBadRequest
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		textResponse(status, "sandbox: "+err.Error()).write(w)
		return
	}
	s.serve(w, r.Header.Get(FaultHeader), p.exchange(r, path[1:], body, s.now()))
}

// serve answers x, with the fault called name unless name is "".
func (s *Sandbox) serve(w http.ResponseWriter, name string, x *exchange) {
	if name == "" {
		x.run(nil).write(w)
		return
	}
	at := slices.IndexFunc(x.provider.faults, func(f *fault) bool { return f.Name == name })
	if at < 0 {
		names := make([]string, 0, len(x.provider.faults))
		for _, f := range x.provider.faults {
			names = append(names, f.Name)
		}
		textResponse(http.StatusBadRequest, fmt.Sprintf("sandbox: %s has no fault %q; it has %s",
			x.provider.name, name, strings.Join(names, ", "))).write(w)
		return
	}
	f := x.provider.faults[at]
	if x.endpoint != nil { // the provider's own faults are for its API
		f = &fault{act: builtinAct(name)}
	}
	if f.act == nil || !f.appliesTo(x.route) {
		x.run(nil).write(w)
		return
	}
	f.act(s, w, x)
}

// bindings are the variables of expressions.
type bindings = map[string]any

// exchange is one request with its bindings.
type exchange struct {
	ctx      context.Context //nolint:containedctx // an exchange lives as long as its request
	http     *http.Request
	body     []byte
	now      time.Time
	provider *instance
	endpoint endpoint // of the authorization server; nil for an API request
	route    *route   // nil if no route matches
	bindings bindings
	found    map[string]any
}

func (p *instance) exchange(r *http.Request, path []string, body []byte, now time.Time) *exchange {
	x := &exchange{
		ctx: r.Context(), http: r, body: body, now: now, provider: p, endpoint: p.endpoint(path), found: map[string]any{},
	}
	params := map[string]any{}
	if len(path) >= len(p.base) && slices.Equal(path[:len(p.base)], p.base) {
		path = path[len(p.base):]
		for _, rt := range p.routes {
			if values, ok := rt.match(r.Method, path); ok {
				x.route, params = rt, values
				break
			}
		}
	}
	x.bindings = bindings{
		"request":  requestValue(r, path, body),
		"params":   params,
		"found":    x.found,
		"facts":    p.facts,
		"settings": p.settings,
		"now":      now.UTC().Format("2006-01-02T15:04:05.000Z"),
	}
	if grant := p.authority.grant(bearer(r), now); grant != nil {
		x.bindings["grant"] = grant
	}
	return x
}

// requestValue returns the binding `request`, with the first value of repeated names.
func requestValue(r *http.Request, path []string, body []byte) map[string]any {
	out := map[string]any{
		"method": r.Method,
		"path":   "/" + strings.Join(path, "/"),
		"host":   r.Host,
		"text":   string(body),
	}
	query, _ := url.ParseQuery(r.URL.RawQuery) // the valid part
	out["query"] = values(query, func(name string) string { return name })
	out["headers"] = values(r.Header, strings.ToLower)
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err == nil {
		out["media_type"] = media
	}
	if doc, err := plain.Decode(body, plain.Options{Lenient: true}); err == nil {
		out["json"] = doc.Value
	}
	if user, password, ok := r.BasicAuth(); ok {
		out["basic"] = map[string]any{"user": user, "password": password}
	}
	return out
}

func values(in map[string][]string, rename func(string) string) map[string]any {
	out := make(map[string]any, len(in))
	for name, list := range in {
		out[rename(name)] = list[0]
	}
	return out
}
