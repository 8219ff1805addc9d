package golden

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"

	"portolan/engine"
	"portolan/plain"
)

// connectFolder holds a provider's cases of how an account connects.
const connectFolder = "connect"

// The sections of a case of how an account connects. Each is one text.
const (
	sectionContext   = "context.json"    // the account's credentials
	sectionVerify    = "verify.request"  // the request line with the whole URL, and a line for each header
	sectionVerified  = "verify.response" // the status and body that the provider answers with
	sectionRefused   = "verify.error"    // the caller's status, and why the credentials are refused
	sectionToken     = "token.json"      // what the token endpoint answers
	sectionSettings  = "settings.json"   // the credentials that are read from it
	sectionEndpoints = "endpoints"       // the consent page, the token endpoint and the scopes, a line each
)

// connectSections lists these sections in the order of a file. A run computes those that have an
// input if the case has that input.
var connectSections = []struct{ name, input string }{
	{sectionContext, ""},
	{sectionVerify, sectionVerified},
	{sectionVerified, ""},
	{sectionRefused, sectionVerified},
	{sectionToken, ""},
	{sectionSettings, sectionToken},
	{sectionEndpoints, sectionEndpoints},
}

// Connects reports whether c is a case of how an account connects, which RunConnect runs.
func (c *Case) Connects() bool { return c.connect != nil }

// Refused reports whether c is a case of credentials that the provider refuses.
func (c *Case) Refused() bool { return strings.HasPrefix(c.connect[sectionRefused], "401 ") }

// readConnect reads the sections of a case of how an account connects.
func (c *Case) readConnect(sections map[string]string, fail func(error)) {
	c.connect = map[string]string{}
	for _, s := range connectSections {
		text, ok := sections[s.name]
		if !ok {
			continue
		}
		c.connect[s.name] = strings.TrimSuffix(text, "\n")
		if _, ok := sections[s.input]; !ok && s.input != "" {
			fail(fmt.Errorf("section %s is missing", s.input))
		}
		if path.Ext(s.name) == ".json" {
			if _, err := plain.DecodeObject([]byte(text), plain.Options{}); err != nil {
				fail(fmt.Errorf("section %s: %w", s.name, err))
			}
		}
	}
	for _, f := range c.archive.Files {
		if _, known := c.connect[f.Name]; !known {
			fail(fmt.Errorf("section %s is unexpected", f.Name))
		}
	}
	if len(c.connect) == 0 {
		fail(errors.New("the case has no sections"))
	}
}

// RunConnect runs a case of how an account connects.
func RunConnect(ctx context.Context, catalog *engine.Catalog, c *Case) *Result {
	got := map[string]string{}
	in := catalog.Integration(c.Provider)
	account := engine.Context(c.object(sectionContext))
	if response, ok := c.connect[sectionVerified]; ok && in != nil && in.Verify != nil {
		provider := &verifier{response: response}
		_, err := engine.New(provider, Clock).Call(ctx, in.Verify, &engine.Request{Context: account})
		got[sectionVerify], got[sectionRefused] = provider.request, errorText(err)
	}
	if in != nil && in.OAuth != nil {
		if _, ok := c.connect[sectionToken]; ok {
			settings, err := in.OAuth.Settings(ctx, c.object(sectionToken))
			text, _ := plain.Append(nil, settings)
			got[sectionSettings] = string(text) + errorText(err)
		}
		if _, ok := c.connect[sectionEndpoints]; ok {
			authorize, token, err := in.OAuth.Endpoints(account)
			got[sectionEndpoints] = strings.Join(append([]string{authorize, token}, in.OAuth.Scopes...), "\n") + errorText(err)
		}
	}
	var found []string
	for _, s := range connectSections {
		if s.input != "" {
			found = append(found, compareText(s.name, canonicalBody([]byte(c.connect[s.name])), canonicalBody([]byte(got[s.name])))...)
		}
	}
	return (&Result{Case: c, connect: got}).setDiff(found)
}

// object returns a section that is a JSON object; nil if there is none.
func (c *Case) object(section string) map[string]any {
	object, _ := plain.DecodeObject([]byte(c.connect[section]), plain.Options{}) // checked when it was read
	return object
}

// errorText returns the text of an error, after the status of a provider's failure.
func errorText(err error) string {
	failed, ok := errors.AsType[*engine.Error](err)
	switch {
	case ok && failed.Provider != nil:
		return fmt.Sprintf("%d %s", failed.Provider.Status, err)
	case err != nil:
		return err.Error()
	default:
		return ""
	}
}

// verifier is a provider that answers one call, and records it.
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
