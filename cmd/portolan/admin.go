package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"portolan/accounts"
	"portolan/engine"
	"portolan/gateway"
	"portolan/server"
)

// adminFlags are the flags of every command that manages the database.
type adminFlags struct {
	mappingFlags
	storeFlags

	JSON bool `name:"json" help:"Print the answer of the admin API as JSON."`
}

// adminClient calls the admin API within this process, so that a command validates and
// audits as the API does.
type adminClient struct {
	p       *process
	store   accounts.Store
	handler http.Handler
	token   accounts.Secret
	json    bool
}

// administer opens the database, calls do for environment, and closes it. Calls to
// providers go through doer.
func (f adminFlags) administer(ctx context.Context, p *process, environment string, doer engine.Doer,
	do func(*adminClient) error, options ...server.Option,
) error {
	keys, err := f.keyring(p)
	if err != nil {
		return err
	}
	workers := newWorkers(f.mappingFlags)
	defer workers.Close()
	b, err := p.loadChecked(f.mappingFlags, loading{workers: workers, known: f.probeFile(keys, f.EvalTimeout).read()})
	if err != nil {
		return err
	}
	log := p.logger()
	db, err := f.open(ctx, p, keys, log)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // every change is committed
	a := &adminClient{p: p, store: db, json: f.JSON}
	if err := a.serve(ctx, b, environment, doer, log, options); err != nil {
		return err
	}
	return do(a)
}

func (a *adminClient) serve(ctx context.Context, b *bundle, environment string, doer engine.Doer, log *slog.Logger, options []server.Option) error {
	if err := checkEnvironment(ctx, a.store, environment); err != nil {
		return err
	}
	directory, secret := newCommandDirectory(a.store, environment)
	gw := gateway.New(b.snapshot, engine.New(doer, a.p.now), directory, gateway.WithLogger(log))
	handler, err := server.New(gw, directory, append(options, server.WithLogger(log), server.WithClock(a.p.now), server.WithStore(a.store))...) //nolint:contextcheck // a handler has the context of its request
	a.handler, a.token = handler, secret
	return err
}

// checkEnvironment refuses an environment that does not exist: its lists would be empty.
func checkEnvironment(ctx context.Context, store accounts.Store, environment string) error {
	_, err := store.Environment(ctx, environment)
	if errors.Is(err, accounts.ErrNotFound) {
		return usagef("--environment: environment %q does not exist; create it with `portolan environments create`", environment)
	}
	return err
}

// call sends one request and returns the body of the answer. If the API refuses it, the
// reason is printed and the error is errReported.
func (a *adminClient) call(ctx context.Context, method, target string, body any) ([]byte, error) {
	var sent []byte
	if body != nil {
		var err error
		if sent, err = json.Marshal(body); err != nil {
			return nil, fmt.Errorf("request body: %w", err)
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(sent))
	if err != nil {
		return nil, usageError{err, nil}
	}
	request.RequestURI = request.URL.RequestURI()
	request.Header.Set("Authorization", "Bearer "+a.token.Reveal())
	if body == nil {
		request.Body = http.NoBody
	} else {
		request.Header.Set("Content-Type", "application/json")
	}
	answer := newResponseRecorder()
	a.handler.ServeHTTP(answer, request)
	if answer.status >= http.StatusMultipleChoices {
		printErrorBody(a.p.stderr, answer.body.Bytes())
		return nil, errReported
	}
	return answer.body.Bytes(), nil
}

// pathOf returns the path of one resource.
func pathOf(collection, id string) string { return collection + "/" + url.PathEscape(id) }

// withQuery returns path with a query, if there is one.
func withQuery(path string, q url.Values) string {
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// versionQuery returns the query that requires a version; 0 means any version.
func versionQuery(version int64) url.Values {
	q := url.Values{}
	if version != 0 {
		q.Set("version", strconv.FormatInt(version, 10))
	}
	return q
}

// seconds returns d in whole seconds. The error is a usageError.
func seconds(flag string, d time.Duration) (int64, error) {
	if d < time.Second || d%time.Second != 0 {
		return 0, usagef("%s: %s is not a whole number of seconds", flag, d)
	}
	return int64(d / time.Second), nil
}

// responseRecorder is a ResponseWriter that stores the answer.
type responseRecorder struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func newResponseRecorder() *responseRecorder {
	return &responseRecorder{status: http.StatusOK, header: http.Header{}}
}

// Header returns the answer's headers.
func (r *responseRecorder) Header() http.Header { return r.header }

// WriteHeader stores the status.
func (r *responseRecorder) WriteHeader(status int) { r.status = status }

// Write stores the body.
func (r *responseRecorder) Write(b []byte) (int, error) { return r.body.Write(b) }
