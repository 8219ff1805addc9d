package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"portolan/accounts"
	"portolan/engine"
	"portolan/gateway"
)

// maxForm is the largest form that a link takes, in bytes.
const maxForm = 64 << 10

// linkSession is a request of somebody with a link, and what has been found of the link.
type linkSession struct {
	*request
	server *Server

	link    accounts.Link
	token   accounts.Secret  // the link's
	account accounts.Account // to be connected again, without its context; zero for a new one

	secrets []accounts.Secret // that no text of a page may show
	cookies []gateway.Header
}

func (s *Server) registerLinks(e *echo.Echo) {
	if s.store == nil {
		return
	}
	e.GET("/link/:token", s.linkHandler((*linkSession).show))
	e.POST("/link/:token", s.linkHandler((*linkSession).submit))
	e.GET(callbackPath, s.linkHandler((*linkSession).finishConsent))
}

// linkHandler is a handler of Echo's whose answers are pages.
func (s *Server) linkHandler(handle func(*linkSession) (*answer, *gateway.Problem)) echo.HandlerFunc {
	return s.handle(func(q *request) *answer {
		l := &linkSession{request: q, server: s}
		p := s.checkSize(q)
		if s.publicURL == "" { // without it, no form and no callback can be told from others'
			p = comeAgain()
		}
		var a *answer
		if p == nil {
			a, p = handle(l)
		}
		if p != nil {
			a = l.failure(p)
		}
		return a.with(l.cookies...).with(pageGuards()...)
	})
}

// hide keeps secrets out of every text of a page.
func (l *linkSession) hide(secrets ...accounts.Secret) { l.secrets = append(l.secrets, secrets...) }

func (l *linkSession) redact(text string) string { return gateway.Redact(text, l.secrets...) }

// open finds the link of the path.
func (l *linkSession) open() *gateway.Problem {
	l.token = accounts.Secret(l.param("token"))
	l.hide(l.token)
	if p := l.server.throttled(l.request); p != nil {
		return p
	}
	var err error
	l.link, err = l.server.store.Link(l.Context(), accounts.HashToken(l.token.Reveal()))
	if err != nil {
		return l.noLink(err)
	}
	return l.receive()
}

// receive says whether the link can still be used.
func (l *linkSession) receive() *gateway.Problem {
	if !l.link.ExpiresAt.IsZero() && !l.server.now().Before(l.link.ExpiresAt) {
		return linkGone()
	}
	if l.server.integration(l.link.Integration) == nil {
		return &gateway.Problem{Status: http.StatusNotFound, Message: "This kind of account can no longer be connected here."}
	}
	if l.link.AccountID == "" {
		return nil
	}
	var err error
	l.account, err = l.server.store.AccountInfo(l.Context(), l.link.Environment, l.link.AccountID)
	switch {
	case errors.Is(err, accounts.ErrNotFound):
		return linkGone()
	case err != nil:
		return l.storeAway(err)
	case l.account.Status == accounts.StatusDisabled:
		return &gateway.Problem{Status: http.StatusForbidden, Message: "This account is disabled."}
	}
	return nil
}

// noLink is what becomes of a link that the store does not give. A wrong one counts as a
// failed authentication.
func (l *linkSession) noLink(err error) *gateway.Problem {
	if errors.Is(err, accounts.ErrNotFound) {
		l.server.failedAuthentication(l.request)
		return linkGone()
	}
	return l.storeAway(err)
}

func linkGone() *gateway.Problem {
	return &gateway.Problem{Status: http.StatusNotFound, Message: "This link is not valid: it has been used, or it has expired. Ask for a new one."}
}

// storeAway is for the store's other errors, which it logs.
func (l *linkSession) storeAway(err error) *gateway.Problem {
	_ = l.server.storeProblem(l.request, err, "", "")
	return comeAgain()
}

func comeAgain() *gateway.Problem {
	p := gateway.StoreUnavailable()
	p.Message = "This cannot be done at the moment. Try again in a minute."
	return p
}

// asked are the credentials that a customer fills in: all, or those that consent does not give.
func (s *Server) asked(integration string) []engine.Credential {
	byConsent, in := s.gateway.Consents(integration), s.integration(integration)
	return slices.DeleteFunc(slices.Clone(in.Credentials), func(c engine.Credential) bool {
		return c.Granted || byConsent && (c.Replaced || in.OAuth.Tells(c.Name))
	})
}

// show asks for what the link needs.
func (l *linkSession) show() (*answer, *gateway.Problem) {
	if p := l.open(); p != nil {
		return nil, p
	}
	return l.form(http.StatusOK, "", nil, nil), nil
}

// submit connects the account with what was filled in, or goes to ask for consent.
func (l *linkSession) submit() (*answer, *gateway.Problem) {
	if !l.fromOwnPage() {
		return nil, &gateway.Problem{Status: http.StatusForbidden, Message: "This form was not sent from its own page. Open the link again."}
	}
	if p := l.open(); p != nil {
		return nil, p
	}
	form, p := l.readForm()
	if p != nil {
		return nil, p
	}
	given, wrong, p := readFields(l.server.asked(l.link.Integration), form)
	if p != nil {
		return nil, p
	}
	if len(wrong) > 0 {
		return l.form(http.StatusUnprocessableEntity, "", given, wrong), nil
	}
	if l.server.gateway.Consents(l.link.Integration) {
		return l.beginConsent(given)
	}
	if l.server.integration(l.link.Integration).Verify != nil {
		tried := accounts.Account{Integration: l.link.Integration, Context: given}
		if _, p := l.server.gateway.Verify(l.Context(), l.id, tried); p != nil {
			return l.formAgain(given, p), nil
		}
	}
	var grant *accounts.Grant
	if l.account.Grant != nil { // what was consented to is no longer what counts
		grant = &accounts.Grant{}
	}
	return l.connect(given, grant)
}

// formAgain says why what was filled in did not do, and asks once more.
func (l *linkSession) formAgain(given accounts.Context, p *gateway.Problem) *answer {
	status := p.Status
	if p.Remote != nil && status < http.StatusInternalServerError { // the provider's refusal of them, not ours of the visitor
		status = http.StatusUnprocessableEntity
	}
	a := l.form(status, shorten(l.redact(p.Message)), given, nil)
	a.problem, a.report = p, p.Report
	return a
}

// maxNotice is how much of somebody else's text a page shows, in characters.
const maxNotice = 300

func shorten(text string) string {
	if runes := []rune(text); len(runes) > maxNotice {
		return string(runes[:maxNotice]) + "…"
	}
	return text
}

// fromOwnPage reports whether the browser says that a page of this server sent the form.
func (l *linkSession) fromOwnPage() bool {
	if site := l.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	return strings.EqualFold(l.Header.Get("Origin"), l.server.publicURL)
}

// readForm reads the body of a form, which gives no name twice.
func (l *linkSession) readForm() (url.Values, *gateway.Problem) {
	kind, _, err := mime.ParseMediaType(l.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, &gateway.Problem{Status: http.StatusUnsupportedMediaType, Message: "The form was sent in a way that is not understood."}
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, l.Body, maxForm))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, &gateway.Problem{Status: http.StatusRequestEntityTooLarge, Message: "The form is too large."}
	}
	form, parseErr := url.ParseQuery(string(body))
	if err != nil || parseErr != nil {
		return nil, badForm()
	}
	for _, values := range form {
		if len(values) > 1 {
			return nil, badForm()
		}
	}
	return form, nil
}

func badForm() *gateway.Problem {
	return &gateway.Problem{Status: http.StatusBadRequest, Message: "The form cannot be read. Open the link again."}
}

// readFields takes the credentials out of a form; wrong says by name what is wrong with them.
func readFields(asked []engine.Credential, form url.Values) (given accounts.Context, wrong map[string]string, p *gateway.Problem) {
	given, wrong = accounts.Context{}, map[string]string{}
	for _, c := range asked {
		if text := strings.TrimSpace(form.Get(c.Name)); text != "" {
			given[c.Name] = text
		}
		form.Del(c.Name)
	}
	for _, found := range engine.ContextProblems(asked, engine.Context(given)) {
		name := found.Credential.Name
		wrong[name] = cmp.Or(found.Credential.Label, name) + " " + strings.TrimPrefix(found.Message, fmt.Sprintf("credential %q ", name))
	}
	if len(form) > 0 {
		return nil, nil, badForm()
	}
	return given, wrong, nil
}

// connect makes the account, or gives it what is new of it, and sends the visitor on. It
// uses up the link.
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
		active := accounts.StatusActive
		err = l.server.gateway.Unrenewed(l.Context(), l.link.AccountID, func(ctx context.Context) (err error) {
			account, err = l.server.store.UpdateAccount(ctx, by, l.link.Environment, l.link.AccountID, accounts.AccountChange{
				Version: l.account.Version, Link: l.link.ID, Status: &active, Context: given, Grant: grant, // not active if disabled since
			})
			return err
		})
	}
	switch {
	case errors.Is(err, accounts.ErrNotFound):
		return nil, linkGone()
	case errors.Is(err, accounts.ErrConflict):
		return nil, &gateway.Problem{Status: http.StatusConflict, Message: "This account was changed meanwhile. Open your link again."}
	case err != nil:
		return nil, l.storeAway(err)
	}
	a := l.page(http.StatusOK, linkPage{Title: "Connected", Text: l.server.integration(l.link.Integration).Label + " is connected. You can close this page."}, "'none'")
	if l.link.RedirectURI != "" {
		a = redirect(withParameter(l.link.RedirectURI, "integrated_account_id", account.ID))
	}
	a.report = &gateway.Report{Environment: account.Environment, AccountID: account.ID} // for the log
	return a, nil
}

// redirect sends the browser to another page.
func redirect(to string) *answer {
	return &answer{status: http.StatusSeeOther, header: []gateway.Header{{Name: "Location", Value: to}}}
}

// withParameter adds a query parameter to address, which is a complete URL.
func withParameter(address, name, value string) string {
	separator := "?"
	if strings.Contains(address, "?") {
		separator = "&"
	}
	return address + separator + name + "=" + url.QueryEscape(value)
}
