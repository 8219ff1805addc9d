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

// adminFlags are those of every command that manages the database.
type adminFlags struct {
	mappingFlags
	storeFlags

	JSON bool `name:"json" help:"Print what the admin API answers, as it is."`
}

// environmentFlag says in which environment a command works.
type environmentFlag struct {
	Environment string `default:"default" placeholder:"NAME" help:"The environment to work in; default by default."`
}

// pageFlags ask for a page of a list.
type pageFlags struct {
	Limit  int    `placeholder:"N" help:"How many to list; 50 by default, 500 at the most."`
	Cursor string `help:"Go on after a page; the page before tells it."`
}

func (f pageFlags) query() url.Values {
	q := url.Values{}
	if f.Limit != 0 {
		q.Set("limit", strconv.Itoa(f.Limit))
	}
	set(q, "cursor", f.Cursor)
	return q
}

// set puts a value that is there into a query.
func set(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

// administration drives the server's own admin API in this process: a command checks,
// does and audits what the HTTP call does.
type administration struct {
	p       *process
	store   accounts.Store
	handler http.Handler
	token   accounts.Secret
	json    bool
}

// administer opens the database, has do work in environment and closes it. Calls to
// providers go through doer.
func (f adminFlags) administer(ctx context.Context, p *process, environment string, doer engine.Doer,
	do func(*administration) error, options ...server.Option,
) error {
	overrides := newEvaluators(f.EvalTimeout)
	defer overrides.close()
	w, err := p.loadServable(f.mappingFlags, overrides.evaluate)
	if err != nil {
		return err
	}
	log := p.logger("warn")
	db, err := f.open(ctx, p, log)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // each change is committed by now
	a := &administration{p: p, store: db, json: f.JSON}
	if err := a.serve(ctx, w, environment, doer, log, options); err != nil {
		return err
	}
	return do(a)
}

func (a *administration) serve(ctx context.Context, w *world, environment string, doer engine.Doer, log *slog.Logger, options []server.Option) error {
	if err := known(ctx, a.store, environment); err != nil {
		return err
	}
	directory, secret := newOperator(a.store, environment)
	gw := gateway.New(w.snapshot, engine.New(doer, a.p.now), directory, gateway.WithLogger(log))
	handler, err := server.New(gw, directory, append(options, server.WithLogger(log), server.WithClock(a.p.now), server.WithStore(a.store))...)
	a.handler, a.token = handler, secret
	return err
}

// known refuses an environment that is not there: its lists would only be empty.
func known(ctx context.Context, store accounts.Store, environment string) error {
	_, err := store.Environment(ctx, environment)
	if errors.Is(err, accounts.ErrNotFound) {
		return usagef("--environment: there is no environment %q; `portolan environments create` makes one", environment)
	}
	return err
}

// call sends one request and gives the answer. A refusal is printed; the error then is
// errReported.
func (a *administration) call(ctx context.Context, method, target string, body any) ([]byte, error) {
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
	answer := newRecorder()
	a.handler.ServeHTTP(answer, request)
	if answer.status >= http.StatusMultipleChoices {
		printErrorBody(a.p.stderr, answer.body.Bytes())
		return nil, errReported
	}
	return answer.body.Bytes(), nil
}

// pathOf is the path of one thing.
func pathOf(collection, id string) string { return collection + "/" + url.PathEscape(id) }

// withQuery is path with a query, where there is one.
func withQuery(path string, q url.Values) string {
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// versionQuery asks that a thing still has this version; 0 asks nothing.
func versionQuery(version int64) url.Values {
	q := url.Values{}
	if version != 0 {
		q.Set("version", strconv.FormatInt(version, 10))
	}
	return q
}

// seconds is d as the API counts it.
func seconds(flag string, d time.Duration) (int64, error) {
	if d < time.Second || d%time.Second != 0 {
		return 0, usagef("%s: %s is no number of whole seconds", flag, d)
	}
	return int64(d / time.Second), nil
}
