package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/labstack/echo/v4"

	"portolan/accounts"
	"portolan/engine"
	"portolan/gateway"
)

// maxForm limits the body of a form, in bytes.
const maxForm = 64 << 10

// linkSession is one request for a page of a link, and what is known about the link.
type linkSession struct {
	*request
	server *Server

	link        accounts.Link
	environment accounts.Environment // of the link; zero while that is not known
	token       accounts.Secret      // of the link
	account     accounts.Account     // the account to connect again; zero for a new one

	secrets []accounts.Secret // that no page may show
	cookies []gateway.Header
}

func (s *Server) registerLinks(e *echo.Echo) {
	if s.store == nil {
		return
	}
	s.handleVerbs(e, "/link/:token",
		verbHandler{http.MethodGet, s.linkHandler((*linkSession).show)},
		verbHandler{http.MethodPost, s.linkHandler((*linkSession).submit)})
	s.handleVerbs(e, "/connect-account", verbHandler{http.MethodGet, s.linkHandler((*linkSession).lead)})
	s.handleVerbs(e, callbackPath, verbHandler{http.MethodGet, s.linkHandler((*linkSession).finishConsent)})
}

// linkHandler returns an Echo handler whose answers are pages.
func (s *Server) linkHandler(handle func(*linkSession) (*answer, *gateway.Problem)) echo.HandlerFunc {
	return s.handle(func(q *request) *answer {
		l := &linkSession{request: q, server: s}
		var p *gateway.Problem
		if s.publicURL == "" { // forms and callbacks are checked against it
			p = linkUnavailable()
		}
		var a *answer
		if p == nil {
			a, p = handle(l)
		}
		if p != nil {
			a = l.failure(p)
		}
		return a.with(l.cookies...).with(l.securityHeaders()...)
	})
}

// hide removes secrets from the text of all pages.
func (l *linkSession) hide(secrets ...accounts.Secret) { l.secrets = append(l.secrets, secrets...) }

func (l *linkSession) redact(text string) string { return gateway.Redact(text, l.secrets...) }

// open loads the link of the path.
func (l *linkSession) open() *gateway.Problem {
	l.token = accounts.Secret(l.param("token"))
	l.hide(l.token)
	l.server.warnOfProxy(l.request)
	var err error
	l.link, err = l.server.store.Link(l.Context(), accounts.HashToken(l.token.Reveal()))
	if err != nil {
		return l.linkFailure(err)
	}
	if l.link.Integration == "" { // the customer chooses one
		chosen := l.URL.Query().Get("integration")
		if slices.ContainsFunc(l.server.connectable(l.link.Model), func(in *engine.Integration) bool { return in.Name == chosen }) {
			l.link.Integration = chosen
		}
	}
	return l.checkLink()
}

// checkLink loads the account of the link, and refuses a link that can no longer be used.
func (l *linkSession) checkLink() *gateway.Problem {
	if !l.link.ExpiresAt.IsZero() && !l.server.now().Before(l.link.ExpiresAt) {
		return invalidLink()
	}
	if l.link.Integration != "" && l.server.integration(l.link.Integration) == nil {
		return &gateway.Problem{Status: http.StatusNotFound, Message: "Accounts of this kind can no longer be connected here."}
	}
	var err error
	if l.environment, err = l.server.store.Environment(l.Context(), l.link.Environment); err != nil {
		return l.storeFailure(err)
	}
	if l.link.AccountID == "" {
		return nil
	}
	l.account, err = l.server.store.Account(l.Context(), l.link.Environment, l.link.AccountID)
	switch {
	case errors.Is(err, accounts.ErrNotFound):
		return invalidLink()
	case err != nil:
		return l.storeFailure(err)
	case l.account.Status == accounts.StatusDisabled:
		return &gateway.Problem{Status: http.StatusForbidden, Message: "This account is disabled."}
	}
	return nil
}

// linkFailure turns an error of loading the link into a problem. An unknown link counts as a failed
// authentication.
func (l *linkSession) linkFailure(err error) *gateway.Problem {
	if !errors.Is(err, accounts.ErrNotFound) {
		return l.storeFailure(err)
	}
	return cmp.Or(l.server.failedAuthentication(l.request, l.server.linkThrottle), invalidLink())
}

func invalidLink() *gateway.Problem {
	return &gateway.Problem{Status: http.StatusNotFound, Message: "This link is not valid: it has been used, or it has expired. Ask for a new one."}
}

// storeFailure logs an error of the store and returns its problem.
func (l *linkSession) storeFailure(err error) *gateway.Problem {
	p := linkUnavailable()
	if failed := l.server.storeProblem(l.request, err, "", ""); failed.Status == http.StatusInternalServerError {
		p = &gateway.Problem{Status: failed.Status, Message: "This service has a problem that does not go away by itself. Tell who sent you the link."}
	}
	return p
}

func linkUnavailable() *gateway.Problem {
	p := gateway.StoreUnavailable()
	p.Message = "This service is not available at the moment. Try again in a minute."
	return p
}

// formCredentials returns the credentials that the form asks for: those that neither consent nor the
// link provides.
func (l *linkSession) formCredentials() []engine.Credential {
	byConsent, in, preset := l.server.gateway.Consents(l.link.Integration), l.server.integration(l.link.Integration), l.preset()
	return slices.DeleteFunc(slices.Clone(in.Credentials), func(c engine.Credential) bool {
		return c.Granted || byConsent && (c.Replaced || in.OAuth.Provides(c.Name)) || preset[c.Name] != nil
	})
}

// preset returns the values of the link that its integration can use.
func (l *linkSession) preset() accounts.Context {
	return l.usable(l.link.Preset, func(engine.Credential) bool { return true })
}

// kept returns the values of the account that stay if the customer leaves them empty. Secrets do not stay
// after a consent, because it may lead to another address.
func (l *linkSession) kept() accounts.Context {
	byConsent := l.server.gateway.Consents(l.link.Integration)
	return l.usable(l.account.Context, func(c engine.Credential) bool { return l.link.KeepContext && (!c.Secret || !byConsent) })
}

// usable returns the valid ones of values for the credentials that want selects.
func (l *linkSession) usable(values accounts.Context, want func(engine.Credential) bool) accounts.Context {
	out := accounts.Context{}
	for _, c := range l.server.integration(l.link.Integration).Credentials {
		v := values[c.Name]
		if v != nil && !c.Granted && want(c) && len(engine.ContextProblems([]engine.Credential{c}, engine.Context{c.Name: v})) == 0 {
			out[c.Name] = v
		}
	}
	return out
}

// filled returns the context of the account: what the form got, what the link provides, and what is kept,
// except for secrets that would go to another address.
func (l *linkSession) filled(form accounts.Context) accounts.Context {
	given, out := l.preset(), l.kept()
	maps.Copy(given, form)
	maps.Copy(out, given)
	for _, name := range leftBehind(l.server.integration(l.link.Integration), l.account.Context, out, given) {
		delete(out, name)
	}
	return out
}

// lead redirects from the address that Truto's clients open to the page of the link.
func (l *linkSession) lead() (*answer, *gateway.Problem) {
	token := l.URL.Query().Get("link_token")
	if token == "" {
		return nil, invalidLink()
	}
	return redirect(linkPath(accounts.Secret(token), l.URL.Query().Get("integration"))), nil
}

// show answers with the form of the link.
func (l *linkSession) show() (*answer, *gateway.Problem) {
	if p := l.open(); p != nil {
		return nil, p
	}
	switch {
	case l.URL.Query().Has("cancel"):
		return l.canceled(), nil
	case l.link.Integration == "":
		return l.choice(), nil
	}
	return l.form(http.StatusOK, "", nil, nil), nil
}

// submit connects the account with the values of the form, or sends the browser to the
// authorization server.
func (l *linkSession) submit() (*answer, *gateway.Problem) {
	if !l.sameOrigin() {
		return nil, &gateway.Problem{Status: http.StatusForbidden, Message: "This form was sent from another page. Open the link again."}
	}
	if p := l.open(); p != nil {
		return nil, p
	}
	if l.link.Integration == "" {
		return nil, invalidForm()
	}
	form, p := l.readForm()
	if p != nil {
		return nil, p
	}
	given, invalid, p := l.readCredentials(form)
	if p != nil {
		return nil, p
	}
	filled := l.filled(given)
	if len(invalid) > 0 {
		return l.form(http.StatusUnprocessableEntity, "", given, invalid), nil
	}
	if l.server.gateway.Consents(l.link.Integration) {
		return l.beginConsent(filled)
	}
	if l.server.integration(l.link.Integration).Verify != nil {
		account := accounts.Account{Integration: l.link.Integration, Context: filled}
		if _, p := l.server.gateway.Verify(l.Context(), l.id, account); p != nil {
			return l.retryForm(given, p), nil
		}
	}
	var grant *accounts.Grant
	if l.account.Grant != nil { // the new credentials replace it
		grant = &accounts.Grant{}
	}
	return l.connect(filled, grant)
}

// retryForm answers with the form and the reason why its values were refused.
func (l *linkSession) retryForm(given accounts.Context, p *gateway.Problem) *answer {
	status := p.Status
	if p.Remote != nil && status < http.StatusInternalServerError { // the provider refused the values, not this server the visitor
		status = http.StatusUnprocessableEntity
	}
	a := l.form(status, shorten(l.redact(p.Message)), given, nil)
	a.problem, a.report = p, p.Report
	return a
}

// maxNotice limits the text of a provider that a page shows, in characters.
const maxNotice = 300

func shorten(text string) string {
	if runes := []rune(text); len(runes) > maxNotice {
		return string(runes[:maxNotice]) + "…"
	}
	return text
}

// sameOrigin reports whether the browser sent the form from a page of this server.
func (l *linkSession) sameOrigin() bool {
	if site := l.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	return strings.EqualFold(l.Header.Get("Origin"), l.server.publicURL)
}

// readForm reads the body of a form. A repeated name is an error.
func (l *linkSession) readForm() (url.Values, *gateway.Problem) {
	kind, _, err := mime.ParseMediaType(l.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, &gateway.Problem{Status: http.StatusUnsupportedMediaType, Message: "The form was sent in an unsupported format."}
	}
	body, err := []byte(nil), error(&http.MaxBytesError{Limit: maxForm})
	if l.ContentLength <= maxForm {
		body, err = io.ReadAll(http.MaxBytesReader(nil, l.Body, maxForm))
	}
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, &gateway.Problem{Status: http.StatusRequestEntityTooLarge, Message: "The form is too large."}
	}
	form, parseErr := url.ParseQuery(string(body))
	if err != nil || parseErr != nil {
		return nil, invalidForm()
	}
	for _, values := range form {
		if len(values) > 1 {
			return nil, invalidForm()
		}
	}
	return form, nil
}

func invalidForm() *gateway.Problem {
	return &gateway.Problem{Status: http.StatusBadRequest, Message: "The form cannot be read. Open the link again."}
}

// readCredentials reads the credentials from the form. invalid holds a message for each credential
// with an invalid value, by its name.
func (l *linkSession) readCredentials(form url.Values) (given accounts.Context, invalid map[string]string, p *gateway.Problem) {
	given, invalid = accounts.Context{}, map[string]string{}
	declared := l.formCredentials()
	for _, c := range declared {
		if text := strings.TrimSpace(form.Get(c.Name)); text != "" {
			given[c.Name] = text
		}
		form.Del(c.Name)
	}
	filled := l.filled(given)
	for _, found := range engine.ContextProblems(declared, engine.Context(filled)) {
		name := found.Credential.Name
		predicate := strings.TrimPrefix(found.Message, fmt.Sprintf("credential %q ", name))
		text, _ := filled[name].(string)
		if found.Fault == engine.FaultFormat && !strings.ContainsFunc(text, unicode.IsControl) { // a customer does not know the pattern
			predicate = "does not have the expected form"
		}
		invalid[name] = cmp.Or(found.Credential.Label, name) + " " + predicate
	}
	if len(form) > 0 {
		return nil, nil, invalidForm()
	}
	return given, invalid, nil
}

// connect creates or updates the account, uses up the link and redirects the browser.
func (l *linkSession) connect(given accounts.Context, grant *accounts.Grant) (*answer, *gateway.Problem) {
	by := accounts.Actor{Name: "link " + l.link.ID, RequestID: l.id}
	var account accounts.Account
	var err error
	if l.link.AccountID == "" {
		account, err = l.server.store.CreateAccount(l.Context(), by, accounts.NewAccount{Link: l.link.ID, Account: accounts.Account{
			Integration: l.link.Integration, Environment: l.link.Environment, Label: l.link.Label, TenantID: l.link.TenantID,
			Context: given, Grant: grant,
		}})
	} else {
		given = l.replacing(given)
		active := accounts.StatusActive
		err = l.server.gateway.WithoutRenewal(l.Context(), l.account, func(ctx context.Context) (err error) {
			account, err = l.server.store.UpdateAccount(ctx, by, l.link.Environment, l.link.AccountID, accounts.AccountChange{
				Version: l.account.Version, Link: l.link.ID, Status: &active, Context: given, Grant: grant, // the version keeps an account disabled that was disabled in the meantime
			})
			return err
		})
	}
	switch {
	case errors.Is(err, accounts.ErrNotFound):
		return nil, invalidLink()
	case errors.Is(err, accounts.ErrConflict):
		return nil, &gateway.Problem{Status: http.StatusConflict, Message: "This account was changed in the meantime. Open your link again."}
	case err != nil:
		return nil, l.storeFailure(err)
	}
	for _, w := range gateway.ShortSecrets(l.server.integration(l.link.Integration).Credentials, given) {
		l.server.log.LogAttrs(l.Context(), slog.LevelWarn, "short secret", slog.String("integrated_account_id", account.ID), slog.String("reason", w.Message))
	}
	a := l.page(http.StatusOK, linkPage{
		Title: "Connected", Text: l.server.integration(l.link.Integration).Label + " is connected. You can close this page.",
		Message: linkResult{true, "success", l.link.Integration, account.ID},
	}, "'none'")
	if l.link.RedirectURI != "" {
		a = redirect(withParameter(l.link.RedirectURI, "integrated_account_id", account.ID))
	}
	a.report = &gateway.Report{Environment: account.Environment, AccountID: account.ID} // for the log
	return a, nil
}

// replacing returns given as the change of the account to connect again: what the form asked for and
// did not get is taken away, and so are secrets that would go to another address.
func (l *linkSession) replacing(given accounts.Context) accounts.Context {
	after := maps.Clone(l.account.Context)
	for _, c := range l.formCredentials() {
		delete(after, c.Name)
	}
	maps.Copy(after, given)
	for _, name := range leftBehind(l.server.integration(l.link.Integration), l.account.Context, after, given) {
		delete(after, name)
	}
	return takingAway(l.account.Context, after, given)
}

// canceled ends the visit. The link can be used again.
func (l *linkSession) canceled() *answer {
	if l.link.RedirectURI != "" {
		return redirect(withParameter(l.link.RedirectURI, "error", "canceled"))
	}
	return l.page(http.StatusOK, linkPage{Title: "Canceled", Text: "Nothing was connected. You can close this page.", Message: "closed"}, "'none'")
}

// redirect returns an answer that redirects the browser.
func redirect(to string) *answer {
	return &answer{status: http.StatusSeeOther, header: []gateway.Header{{Name: "Location", Value: to}}}
}

// withParameter adds a query parameter to address, a complete URL.
func withParameter(address, name, value string) string {
	separator := "?"
	if strings.Contains(address, "?") {
		separator = "&"
	}
	return address + separator + name + "=" + url.QueryEscape(value)
}
