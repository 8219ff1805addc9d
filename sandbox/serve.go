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

// FaultHeader is the request header that asks for a failure by name.
const FaultHeader = "Portolan-Sandbox-Fault"

// Mount is a provider to serve and the path of its base URL ("/api/v1/", "").
type Mount struct {
	Provider *Provider
	BasePath string
}

// Sandbox serves pretend providers. It is an http.Handler, safe for concurrent use.
type Sandbox struct {
	players map[string]*player
	now     func() time.Time
	slow    time.Duration
}

// player is one provider being played.
type player struct {
	*Provider
	base    []string
	writing sync.Mutex // held by a request that changes the state, from its first look
	state   atomic.Pointer[snapshot]

	authority *authority // what its authorization server gave
}

// Option changes what New builds.
type Option func(*Sandbox)

// WithSlow sets how long the fault `slow` waits at most; by default a minute.
func WithSlow(d time.Duration) Option { return func(s *Sandbox) { s.slow = d } }

// New serves the mounted providers, each in its initial state. now tells expressions the time.
func New(mounts []Mount, now func() time.Time, options ...Option) *Sandbox {
	s := &Sandbox{players: map[string]*player{}, now: now, slow: time.Minute}
	for _, m := range mounts {
		p := &player{Provider: m.Provider, base: segments(strings.Trim(m.BasePath, "/")), authority: newAuthority()}
		p.state.Store(newSnapshot(m.Provider))
		s.players[m.Provider.name] = p
	}
	for _, option := range options {
		option(s)
	}
	return s
}

// State copies the state of the provider called name: a list of records for each
// collection; nil where there is no such provider.
func (s *Sandbox) State(name string) map[string]any {
	p := s.players[name]
	if p == nil {
		return nil
	}
	return copyOf(p.state.Load().collections).(map[string]any)
}

// maxBody is more than any provider takes.
const maxBody = 64 << 20

// ServeHTTP answers as the provider that the first segment of the path names.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := segments(r.URL.EscapedPath())
	var p *player
	if len(path) > 0 {
		p = s.players[path[0]]
	}
	if p == nil {
		names := make([]string, 0, len(s.players))
		for name := range s.players {
			names = append(names, name)
		}
		slices.Sort(names)
		textResponse(http.StatusNotFound, "sandbox: the path starts with the name of a provider: "+strings.Join(names, ", ")).write(w)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody)) // first: only then a client that goes away is noticed
	if err != nil {
		status := http.StatusBadRequest
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		textResponse(status, "sandbox: "+err.Error()).write(w)
		return
	}
	name := p.atToken(path[1:])
	if asked := r.Header.Get(FaultHeader); asked != "" {
		name = asked
	}
	s.serve(w, name, p.exchange(r, path[1:], body, s.now()))
}

// serve answers x, with the fault called name where there is one.
func (s *Sandbox) serve(w http.ResponseWriter, name string, x *exchange) {
	if name == "" {
		x.play(nil).write(w)
		return
	}
	at := slices.IndexFunc(x.player.faults, func(f *fault) bool { return f.Name == name })
	if at < 0 {
		names := make([]string, 0, len(x.player.faults))
		for _, f := range x.player.faults {
			names = append(names, f.Name)
		}
		textResponse(http.StatusBadRequest, fmt.Sprintf("sandbox: %s has no fault %q; it has %s",
			x.player.name, name, strings.Join(names, ", "))).write(w)
		return
	}
	f := x.player.faults[at]
	if x.endpoint != nil { // its own faults are those of its API
		f = &fault{act: builtinAct(name)}
	}
	if f.act == nil || !f.meets(x.route) {
		x.play(nil).write(w)
		return
	}
	f.act(s, w, x)
}

// bindings are what expressions see.
type bindings = map[string]any

// exchange is one request and what is known of it.
type exchange struct {
	ctx      context.Context //nolint:containedctx // an exchange lives as long as its request
	http     *http.Request
	body     []byte
	now      time.Time
	player   *player
	endpoint endpoint // of the authorization server; nil: the request is not for it
	route    *route   // nil: none
	bindings bindings
	found    map[string]any
}

func (p *player) exchange(r *http.Request, path []string, body []byte, now time.Time) *exchange {
	x := &exchange{
		ctx: r.Context(), http: r, body: body, now: now, player: p, endpoint: p.endpoint(path), found: map[string]any{},
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

// requestValue is the binding `request`. Of what is sent more than once it holds the first.
func requestValue(r *http.Request, path []string, body []byte) map[string]any {
	out := map[string]any{
		"method": r.Method,
		"path":   "/" + strings.Join(path, "/"),
		"host":   r.Host,
		"text":   string(body),
	}
	query, _ := url.ParseQuery(r.URL.RawQuery) // what can be read of it
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
