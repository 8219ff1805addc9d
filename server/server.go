package server

import (
	"context"
	"errors"
	"html/template"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"portolan/accounts"
	"portolan/gateway"
	"portolan/schemas"
)

// Directory authenticates callers. Authenticate returns accounts.ErrUnauthorized for an invalid
// token, and any other error if the store cannot be reached.
type Directory interface {
	Authenticate(ctx context.Context, token string) (accounts.Token, error)
	Ready(ctx context.Context) error
}

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
	forward []string

	store     accounts.Store // nil: no admin API
	publicURL string         // without a slash at the end
	proxies   []netip.Prefix
}

// Option changes a setting of New.
type Option func(*settings)

// WithLogger sets the logger; by default, nothing is logged.
func WithLogger(l *slog.Logger) Option { return func(s *settings) { s.log = l } }

// WithClock sets the clock for durations and expiry; by default, time stands still.
func WithClock(now func() time.Time) Option { return func(s *settings) { s.now = now } }

// WithLimits sets the limits of a request; by default 1 MiB for the body, 16 KiB for the target and
// 64 KiB for headers.
func WithLimits(l Limits) Option { return func(s *settings) { s.limits = l } }

// WithForwarded sets the request headers that are forwarded to the provider; by default none.
func WithForwarded(headers ...string) Option { return func(s *settings) { s.forward = headers } }

// Server serves the unified API over HTTP. It is an http.Handler, safe for concurrent use.
type Server struct {
	settings
	echo      *echo.Echo
	gateway   *gateway.Gateway
	directory Directory
	metrics   *metrics
	throttle  *throttle // of API tokens
	saves     *saves

	linkThrottle *throttle // of links and their consents
	proxyWarning sync.Once
	storeCheck   storeCheck
	linkPages    *template.Template

	adminRoutes  []adminRoute
	adminSchemas map[string]*schemas.Schema // by name
}

// New returns a server for gw. It returns an error if a schema or page does not compile.
func New(gw *gateway.Gateway, directory Directory, opts ...Option) (*Server, error) {
	s := &Server{
		settings: settings{
			log: slog.New(slog.DiscardHandler), now: func() time.Time { return time.Time{} },
			limits: Limits{Body: 1 << 20, Target: 16 << 10, Header: 64 << 10},
		},
		gateway: gw, directory: directory, metrics: newMetrics(), throttle: newThrottle(), linkThrottle: newThrottle(), saves: newSaves(),
		adminSchemas: map[string]*schemas.Schema{},
	}
	for _, o := range opts {
		o(&s.settings)
	}
	if s.store != nil {
		if err := s.compileAdmin(); err != nil {
			return nil, err
		}
	}
	s.echo = s.newEcho()
	s.register(s.echo)
	return s, nil
}

// compileAdmin compiles the schemas of the admin API and the pages of links.
func (s *Server) compileAdmin() error {
	bodies, err := schemas.Admin()
	errs := []error{err}
	for name, doc := range bodies {
		s.adminSchemas[name], err = schemas.Compile(name, doc)
		errs = append(errs, err)
	}
	s.linkPages, err = template.New("link").Parse(linkHTML)
	return errors.Join(append(errs, err)...)
}

func (s *Server) newEcho() *echo.Echo {
	e := echo.New()
	e.HTTPErrorHandler = s.handleError
	return e
}
