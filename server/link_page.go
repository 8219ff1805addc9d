package server

import (
	"bytes"
	_ "embed"
	"net/http"
	"net/url"
	"strings"

	"portolan/accounts"
	"portolan/engine"
	"portolan/gateway"
)

//go:embed link.html
var linkHTML string

// linkPage is what link.html shows.
type linkPage struct {
	Title  string
	Notice string // what went wrong
	Text   string
	Action string // where the form goes; "" for a page without one
	Fields []linkField
	Button string
}

// linkField asks for one credential.
type linkField struct {
	Name, Label string
	Secret      bool
	Required    bool
	Options     []string
	Value       string // never of a secret
	Hint, Wrong string
}

// form asks for what the link needs. given is what was filled in before, wrong what is wrong
// with it, by field.
func (l *linkSession) form(status int, notice string, given accounts.Context, wrong map[string]string) *answer {
	label := l.server.integration(l.link.Integration).Label
	page := linkPage{
		Title: "Connect " + label, Notice: notice, Action: "/link/" + url.PathEscape(l.token.Reveal()),
		Button: "Connect",
	}
	if l.account.Status == accounts.StatusNeedsReauth {
		page.Text = "This account must be connected again: " + l.account.LastError
	}
	if l.server.gateway.Consents(l.link.Integration) {
		page.Button = "Connect with " + label
	}
	for _, c := range l.server.asked(l.link.Integration) {
		page.Fields = append(page.Fields, newLinkField(c, given, wrong[c.Name]))
	}
	return l.page(status, page, l.formTargets())
}

func newLinkField(c engine.Credential, given accounts.Context, wrong string) linkField {
	f := linkField{Name: c.Name, Label: c.Label, Secret: c.Secret, Required: c.Required, Options: c.Enum, Wrong: wrong}
	if f.Label == "" {
		f.Label = c.Name
	}
	if text, ok := given[c.Name].(string); ok && !c.Secret {
		f.Value = text
	} else if !c.Secret {
		f.Value = c.Default
	}
	if c.Pattern != nil && len(c.Enum) == 0 {
		f.Hint = "It looks like " + shownPattern(c)
	}
	return f
}

// shownPattern is the pattern as the integration declares it.
func shownPattern(c engine.Credential) string {
	text := strings.TrimPrefix(c.Pattern.String(), `\A(?:`)
	return strings.TrimSuffix(text, `)\z`)
}

// formTargets are the places to which the form's answer may send the browser on: some
// browsers hold redirects to the policy for forms, and where an authorization server sends
// its visitors is not known here.
func (l *linkSession) formTargets() string {
	targets := []string{"'self'"}
	if l.link.RedirectURI == "" && !l.server.gateway.Consents(l.link.Integration) {
		return targets[0]
	}
	targets = append(targets, "https:")
	for _, plain := range []string{l.link.RedirectURI, l.server.gateway.ConsentOrigin(l.link.Integration)} {
		if u, err := url.Parse(plain); err == nil && u.Scheme == "http" {
			targets = append(targets, "http://"+u.Host)
		}
	}
	return strings.Join(targets, " ")
}

// failure answers a person with p.
func (l *linkSession) failure(p *gateway.Problem) *answer {
	a := l.page(p.Status, linkPage{Title: "This did not work", Notice: p.Message}, "'none'")
	a.problem, a.report = p, p.Report
	if p.RetryAfter != "" {
		a = a.with(gateway.Header{Name: "Retry-After", Value: p.RetryAfter})
	}
	return a
}

// page is a page that holds no script, is in no frame and leaves no trace.
func (l *linkSession) page(status int, page linkPage, formTargets string) *answer {
	var body bytes.Buffer
	if err := l.server.linkPages.Execute(&body, page); err != nil { // only a template that does not fit linkPage
		return failed(&gateway.Problem{Status: http.StatusInternalServerError, Message: "internal error"})
	}
	return &answer{status: status, body: body.Bytes(), header: []gateway.Header{
		{Name: "Content-Type", Value: "text/html; charset=utf-8"},
		{Name: "Content-Security-Policy", Value: "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'; form-action " + formTargets},
	}}
}

// pageGuards are what every answer to a person carries, redirects included. The address
// holds the link's secret: no other site is to see it. "no-referrer" would hide the
// origin from our own forms as well.
func pageGuards() []gateway.Header {
	return []gateway.Header{
		{Name: "Referrer-Policy", Value: "same-origin"},
		{Name: "X-Frame-Options", Value: "DENY"},
		{Name: "X-Content-Type-Options", Value: "nosniff"},
		{Name: "Cache-Control", Value: "no-store"},
	}
}
