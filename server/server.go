package server

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/labstack/echo/v4"

	"portolan/accounts"
	"portolan/accounts/oauth"
	"portolan/engine"
	"portolan/schemas"
)

// Accounts says who may call, and with which provider credentials. Its methods give
// accounts.ErrUnauthorized, accounts.ErrNotFound or, where the store cannot be reached,
// any other error.
type Accounts interface {
	Authenticate(ctx context.Context, token string) (accounts.Token, error)
	Account(ctx context.Context, environment, id string) (accounts.Account, error)
	Ready(ctx context.Context) error
}

// Policy is what happens to an answer that breaks the unified response schema.
type Policy string

// The policies.
const (
	PolicyOff  Policy = "off"  // not looked at
	PolicyWarn Policy = "warn" // told in log, header and debug answer
	PolicyFail Policy = "fail" // 502
)

// Limits of one request.
type Limits struct {
	Body   int64 // bytes
	Target int   // bytes of path and query
	Header int   // bytes of all header names and values
}

type settings struct {
	log     *slog.Logger
	now     func() time.Time
	limits  Limits
	policy  Policy
	forward []string
	keeper  *oauth.Keeper // nil: no consents, no renewal
	apps    map[string]OAuthApp

	store     accounts.Store // nil: nothing is managed
	publicURL string         // without a slash at the end
	proxies   []netip.Prefix
	baseURLs  map[string]string // by integration, in place of its own
}

// Option changes a setting of New.
type Option func(*settings)

// WithLogger sets where the server logs; by default nowhere.
func WithLogger(l *slog.Logger) Option { return func(s *settings) { s.log = l } }

// WithClock sets the clock that durations and resets are told by.
func WithClock(now func() time.Time) Option { return func(s *settings) { s.now = now } }

// WithLimits sets the limits of a request; by default 1 MiB of body, 16 KiB of target and
// 64 KiB of headers.
func WithLimits(l Limits) Option { return func(s *settings) { s.limits = l } }

// WithPolicy sets what happens to an answer that breaks the response schema; PolicyWarn by default.
func WithPolicy(p Policy) Option { return func(s *settings) { s.policy = p } }

// WithForwarded names request headers that are handed on to the provider; by default none.
func WithForwarded(headers ...string) Option { return func(s *settings) { s.forward = headers } }

// WithBaseURLs names URLs, by integration, that stand in place of its base_url where
// credentials are tried that no account has yet.
func WithBaseURLs(bases map[string]string) Option {
	return func(s *settings) { s.baseURLs = bases }
}

// Server serves the unified API. It is an http.Handler, safe for concurrent use.
type Server struct {
	settings
	echo      *echo.Echo
	catalog   *engine.Catalog
	engine    *engine.Engine
	accounts  Accounts
	methods   map[engine.Operation]*method
	plans     map[*engine.Plan]*planSchemas // without overrides
	overrides *engine.Overrides
	metrics   *metrics
	throttle  *throttle
	linkPages *template.Template

	adminRoutes  []adminRoute               // none without a store
	adminSchemas map[string]*schemas.Schema // by the name of the body
}

// method is one unified method: its schemas compiled.
type method struct {
	request, query, response *schemas.Schema
	requestDoc, responseDoc  map[string]any
	order                    []string // the record's fields, as documented
}

// planSchemas are a mapping's own schemas compiled; nil where it has none.
type planSchemas struct {
	body, query       *schemas.Schema
	bodyDoc, queryDoc map[string]any
}

// New builds the server. Its error names a schema that does not compile.
func New(catalog *engine.Catalog, eng *engine.Engine, models schemas.Models, store Accounts, opts ...Option) (*Server, error) {
	s := &Server{
		settings: settings{
			log: slog.New(slog.DiscardHandler), now: func() time.Time { return time.Time{} },
			limits: Limits{Body: 1 << 20, Target: 16 << 10, Header: 64 << 10}, policy: PolicyWarn,
		},
		catalog: catalog, engine: eng, accounts: store,
		methods: map[engine.Operation]*method{}, plans: map[*engine.Plan]*planSchemas{},
		overrides: engine.NewOverrides(catalog, maxOverrides), metrics: newMetrics(), throttle: newThrottle(),
		adminSchemas: map[string]*schemas.Schema{},
	}
	for _, o := range opts {
		o(&s.settings)
	}
	if err := s.compile(models); err != nil {
		return nil, err
	}
	s.echo = echo.New()
	s.echo.HTTPErrorHandler = s.otherwise
	s.register(s.echo)
	return s, nil
}

func (s *Server) compile(models schemas.Models) error {
	var errs []error
	compile := func(name string, doc map[string]any) *schemas.Schema {
		if doc == nil {
			return nil
		}
		schema, err := schemas.Compile(name, doc)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
		return schema
	}
	for key, m := range models {
		op, ok := engine.ParseOperation(key)
		if !ok {
			errs = append(errs, fmt.Errorf("%q is no model.resource.method", key))
			continue
		}
		s.methods[op] = &method{
			request: compile(key+".request", m.Request), query: compile(key+".query", m.Query),
			response: compile(key+".response", m.Response), requestDoc: m.Request, responseDoc: m.Response, order: m.Order,
		}
	}
	for _, p := range s.catalog.Plans() {
		body, _ := p.BodySchema()
		query, _ := p.QuerySchema()
		ps := &planSchemas{}
		ps.bodyDoc, _ = body.(map[string]any)
		ps.queryDoc, _ = query.(map[string]any)
		name := p.Integration() + "." + p.Operation().String()
		ps.body = compile(name+".request_body_schema", ps.bodyDoc)
		ps.query = compile(name+".query_schema", ps.queryDoc)
		s.plans[p] = ps
	}
	bodies, err := schemas.Admin()
	errs = append(errs, err)
	for name, doc := range bodies {
		s.adminSchemas[name] = compile(name, doc)
	}
	s.linkPages, err = template.New("link").Parse(linkHTML)
	errs = append(errs, err)
	return errors.Join(errs...)
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := s.begin(w, r)
	defer x.end() //nolint:contextcheck // the exchange holds the request and with it the context
	s.echo.ServeHTTP(x.writer, x.request)
}
