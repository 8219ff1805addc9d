package server

import (
	"bytes"
	"cmp"
	_ "embed"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"portolan/accounts"
	"portolan/engine"
	"portolan/gateway"
)

//go:embed link.html
var linkHTML string

// linkPage is the data of link.html.
type linkPage struct {
	Title     string
	Notice    string // an error
	Text      string
	Action    string // the target of the form; "" for a page without one
	Fields    []linkField
	Button    string
	Choices   []*engine.Integration // that the customer can connect; none if that is settled
	NewWindow bool                  // the form leads away from a frame
	Cancel    string                // the target of the link with which the customer leaves; "" for none

	// Set by linkSession.page.
	Asker, Origins, Nonce string
	Logo                  template.URL
	Message               any // the result for the page that opened this one, at one of Origins; nil: none yet
}

// linkResult is the message about a connected account, as Truto's clients know it.
type linkResult struct {
	IsTruto     bool   `json:"is_truto"`
	Result      string `json:"result"`
	Integration string `json:"integration"`
	AccountID   string `json:"integrated_account_id"`
}

// linkField is the input of one credential.
type linkField struct {
	Name, Label   string
	Help, HelpURL string
	Secret        bool
	Required      bool
	Options       []string
	Value         string // always empty for a secret
	Error         string
}

// form answers with the form of the link. given holds its values, invalid a message for each field
// with an invalid value.
func (l *linkSession) form(status int, notice string, given accounts.Context, invalid map[string]string) *answer {
	label := l.server.integration(l.link.Integration).Label
	page := linkPage{
		Title: "Connect " + label, Notice: notice, Action: linkPath(l.token, l.link.Integration),
		Button: "Connect", Cancel: linkPath(l.token, "") + "?cancel=true",
	}
	if l.account.Status == accounts.StatusNeedsReauth {
		page.Text = "This account must be connected again."
	}
	if l.server.gateway.Consents(l.link.Integration) {
		page.Button = "Connect with " + label
		page.NewWindow = l.Header.Get("Sec-Fetch-Dest") == "iframe" // providers refuse to be framed
	}
	kept := l.kept()
	for _, c := range l.formCredentials() {
		c.Required = c.Required && kept[c.Name] == nil
		page.Fields = append(page.Fields, newLinkField(c, given, invalid[c.Name]))
	}
	return l.page(status, page, l.formTargets())
}

// choice answers with the integrations that the customer can connect.
func (l *linkSession) choice() *answer {
	page := linkPage{Title: "Connect an account", Choices: l.server.connectable(l.link.Model), Cancel: linkPath(l.token, "") + "?cancel=true"}
	return l.page(http.StatusOK, page, "'none'")
}

// linkPath returns the path and query of a link's page. integration is "" if it is not settled.
func linkPath(token accounts.Secret, integration string) string {
	path := "/link/" + url.PathEscape(token.Reveal())
	if integration == "" {
		return path
	}
	return path + "?integration=" + url.QueryEscape(integration)
}

func newLinkField(c engine.Credential, given accounts.Context, message string) linkField {
	f := linkField{Name: c.Name, Label: c.Label, Help: c.Help, HelpURL: c.HelpURL, Secret: c.Secret, Required: c.Required, Options: c.Enum, Error: message}
	if f.Label == "" {
		f.Label = c.Name
	}
	if text, ok := given[c.Name].(string); ok && !c.Secret {
		f.Value = text
	} else if !c.Secret {
		f.Value = c.Default
	}
	return f
}

// formTargets returns the sources of the policy form-action. Some browsers apply it to redirects
// as well, and the redirects of an authorization server are not known here, so that all of https
// is allowed.
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

// failure returns the page for p.
func (l *linkSession) failure(p *gateway.Problem) *answer {
	a := l.page(p.Status, linkPage{Title: "Something went wrong", Notice: p.Message}, "'none'")
	a.problem, a.report = p, p.Report
	if p.RetryAfter != "" {
		a = a.with(gateway.Header{Name: "Retry-After", Value: p.RetryAfter})
	}
	return a
}

// page returns a page. Its policy allows the script that tells the result, and frames of the origins that
// the environment names.
func (l *linkSession) page(status int, page linkPage, formTargets string) *answer {
	page.Origins, page.Asker = strings.Join(l.environment.AllowedOrigins, " "), l.environment.Label
	policy := "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors " + cmp.Or(page.Origins, "'none'") +
		"; form-action " + formTargets
	if l.environment.Logo != "" {
		page.Logo = template.URL(l.environment.Logo) //nolint:gosec // G203: logoProblem has checked it
		policy += "; img-src data:"
	}
	if page.Message != nil && page.Origins != "" {
		page.Nonce = newRequestID()
		policy += "; script-src 'nonce-" + page.Nonce + "'"
	}
	var body bytes.Buffer
	if err := l.server.linkPages.Execute(&body, page); err != nil { // only if the template does not match linkPage
		return failed(internalError())
	}
	return &answer{status: status, body: body.Bytes(), header: []gateway.Header{
		{Name: "Content-Type", Value: "text/html; charset=utf-8"},
		{Name: "Content-Security-Policy", Value: policy},
	}}
}

// securityHeaders returns the headers of all pages and redirects. The URL has the secret of the
// link, which other sites must not see. "no-referrer" would hide the origin from our own forms as
// well.
func (l *linkSession) securityHeaders() []gateway.Header {
	out := []gateway.Header{
		{Name: "Referrer-Policy", Value: "same-origin"},
		{Name: "X-Content-Type-Options", Value: "nosniff"},
		{Name: "Cache-Control", Value: "no-store"},
	}
	if len(l.environment.AllowedOrigins) == 0 { // this header cannot name origins; the policy does
		out = append(out, gateway.Header{Name: "X-Frame-Options", Value: "DENY"})
	}
	return out
}
