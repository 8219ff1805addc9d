package server

import (
	"bytes"
	_ "embed"
	"net/http"
	"net/url"
	"strings"

	"portolan/accounts"
	"portolan/engine"
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

// showForm asks for what the link needs. given is what was filled in before, wrong what is
// wrong with it, by field.
func (x *exchange) showForm(status int, v *visit, notice string, given accounts.Context, wrong map[string]string) {
	label := x.server.catalog.Label(v.link.Integration)
	page := linkPage{
		Title: "Connect " + label, Notice: notice, Action: "/link/" + url.PathEscape(v.token.Reveal()),
		Button: "Connect",
	}
	if v.account.Status == accounts.StatusNeedsReauth {
		page.Text = "This account must be connected again: " + v.account.LastError
	}
	if x.server.consents(v.link.Integration) {
		page.Button = "Connect with " + label
	}
	for _, c := range x.server.asked(v.link.Integration) {
		page.Fields = append(page.Fields, newLinkField(c, given, wrong[c.Name]))
	}
	x.showPage(status, page, x.formTargets(v.link))
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
func (x *exchange) formTargets(link accounts.Link) string {
	targets := []string{"'self'"}
	if link.RedirectURI == "" && !x.server.consents(link.Integration) {
		return targets[0]
	}
	targets = append(targets, "https:")
	for _, plain := range []string{link.RedirectURI, x.server.apps[link.Integration].Origin} {
		if u, err := url.Parse(plain); err == nil && u.Scheme == "http" {
			targets = append(targets, "http://"+u.Host)
		}
	}
	return strings.Join(targets, " ")
}

// failPage answers a person with p.
func (x *exchange) failPage(p *problem) {
	x.problem = p
	if x.writer.status != 0 {
		return
	}
	if p.retry != "" {
		x.writer.Header().Set("Retry-After", p.retry)
	}
	x.showPage(p.status, linkPage{Title: "This did not work", Notice: p.message}, "'none'")
}

// showPage writes a page that holds no script, is in no frame and leaves no trace.
func (x *exchange) showPage(status int, page linkPage, formTargets string) {
	var body bytes.Buffer
	if err := x.server.linkPages.Execute(&body, page); err != nil { // only a template that does not fit linkPage
		x.writeJSON(http.StatusInternalServerError, (&problem{status: http.StatusInternalServerError, message: "internal error"}).envelope())
		return
	}
	h := x.writer.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'; form-action "+formTargets)
	x.writer.WriteHeader(status)
	_, _ = x.writer.Write(body.Bytes()) // a visitor that is gone is not our failure
}

// guardPage sets what every answer to a person carries, redirects included. The address
// holds the link's secret: no other site is to see it. "no-referrer" would hide the
// origin from our own forms as well.
func (x *exchange) guardPage() {
	h := x.writer.Header()
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
}
