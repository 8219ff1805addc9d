package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"portolan/engine"
	"portolan/golden"
)

const connectCases = "../testdata/connect"

// connectCase is a case of verifying credentials (context.json, verify.request, verify.response,
// verify.error) or of reading a token answer (token.json, settings.json, endpoints).
type connectCase map[string]string

func loadConnectCases(tb testing.TB, provider string) map[string]connectCase {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(connectCases, provider, "*.txtar"))
	if err != nil || len(files) == 0 {
		tb.Fatalf("%s: no cases of how it connects: %v", provider, err)
	}
	out := map[string]connectCase{}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		kase := connectCase{}
		for _, f := range archive.Files {
			kase[f.Name] = strings.TrimSuffix(string(f.Data), "\n")
		}
		out[provider+"/"+strings.TrimSuffix(filepath.Base(file), ".txtar")] = kase
	}
	return out
}

// run returns the difference between the catalog and the case; "" if there is none.
func (k connectCase) run(c *engine.Catalog, provider string) string {
	got := connectCase{}
	maps.Copy(got, k)
	if answer, ok := k["token.json"]; ok {
		settings, err := c.Integration(provider).OAuth.Settings(context.Background(), object(answer))
		if err != nil {
			return err.Error()
		}
		if diff := cmp.Diff(object(k["settings.json"]), settings); diff != "" {
			return diff
		}
	}
	if _, ok := k["endpoints"]; ok {
		authorize, token, err := c.Integration(provider).OAuth.Endpoints(engine.Context(object(k["context.json"])))
		if err != nil {
			return err.Error()
		}
		got["endpoints"] = authorize + "\n" + token
	}
	if _, ok := k["verify.request"]; ok {
		d := &verifier{response: k["verify.response"]}
		_, err := engine.New(d, golden.Clock).Call(context.Background(), c.Integration(provider).Verify, &engine.Request{Context: object(k["context.json"])})
		got["verify.request"], got["verify.error"] = d.request, ""
		if failed, ok := errors.AsType[*engine.Error](err); ok {
			got["verify.error"] = err.Error()
			if failed.Provider != nil {
				got["verify.error"] = fmt.Sprintf("%d %s", failed.Provider.Status, err)
			}
		}
		if k["verify.error"] == "" && got["verify.error"] == "" {
			delete(got, "verify.error")
		}
	}
	return cmp.Diff(k, got)
}

func object(text string) map[string]any {
	var v map[string]any
	_ = json.Unmarshal([]byte(text), &v) // nil if the case does not have it
	return v
}

// verifier answers one call and records it.
type verifier struct{ response, request string }

func (v *verifier) Do(_ context.Context, call *engine.Call) (*engine.Reply, error) {
	lines := []string{call.Method + " " + call.Target()}
	for _, h := range call.Header {
		lines = append(lines, h.Name+": "+h.Value)
	}
	v.request = strings.Join(lines, "\n")
	status, body, _ := strings.Cut(v.response, "\n")
	code, err := strconv.Atoi(status)
	return &engine.Reply{Status: code, Header: http.Header{}, Body: []byte(body)}, err
}

// Each provider has cases of accepted and refused credentials.
func TestConnecting(t *testing.T) {
	c := catalog(t)
	for _, in := range c.Integrations() {
		provider := in.Name
		refused := false
		for name, kase := range loadConnectCases(t, provider) {
			t.Run(name, func(t *testing.T) {
				if diff := kase.run(c, provider); diff != "" {
					t.Errorf("differs (-want +got):\n%s", diff)
				}
			})
			refused = refused || strings.HasPrefix(kase["verify.error"], "401 ")
		}
		if !refused {
			t.Errorf("%s: no case of credentials that are refused", provider)
		}
	}
}
