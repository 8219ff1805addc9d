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
)

// maxForm is the largest form that a link takes, in bytes.
const maxForm = 64 << 10

// visit is somebody with a link.
type visit struct {
	link    accounts.Link
	token   accounts.Secret  // the link's
	account accounts.Account // to be connected again, without its context; zero for a new one
}

func (s *Server) registerLinks(e *echo.Echo) {
	if s.store == nil {
		return
	}
	e.GET("/link/:token", forVisitors(showLink))
	e.POST("/link/:token", forVisitors(submitLink))
	e.GET(callbackPath, forVisitors(finishConsent))
}

// forVisitors is a handler whose answers are pages.
func forVisitors(handle func(x *exchange, c echo.Context) *problem) echo.HandlerFunc {
	return func(c echo.Context) error {
		x := exchangeOf(c.Request())
		x.guardPage()
		p := x.checkSize()
		if x.server.publicURL == "" { // without it, no form and no callback can be told from others'
			p = comeAgain()
		}
		if p == nil {
			p = handle(x, c)
		}
		if p != nil {
			x.failPage(p)
		}
		return nil
	}
}

// visitLink finds the link of the path.
func (x *exchange) visitLink(c echo.Context) (*visit, *problem) {
	ctx := x.request.Context()
	v := &visit{token: accounts.Secret(pathParam(c, "token"))}
	x.hide(v.token)
	if p := x.throttled(); p != nil {
		return nil, p
	}
	var err error
	v.link, err = x.server.store.Link(ctx, accounts.HashToken(v.token.Reveal()))
	if err != nil {
		return nil, x.noLink(ctx, err)
	}
	return v, x.receive(ctx, v)
}

// receive says whether the link can still be used.
func (x *exchange) receive(ctx context.Context, v *visit) *problem {
	if !v.link.ExpiresAt.IsZero() && !x.server.now().Before(v.link.ExpiresAt) {
		return linkGone()
	}
	if !x.server.catalog.Has(v.link.Integration) {
		return &problem{status: http.StatusNotFound, message: "This kind of account can no longer be connected here."}
	}
	if v.link.AccountID == "" {
		return nil
	}
	var err error
	v.account, err = x.server.store.AccountInfo(ctx, v.link.Environment, v.link.AccountID)
	switch {
	case errors.Is(err, accounts.ErrNotFound):
		return linkGone()
	case err != nil:
		return x.storeAway(ctx, err)
	case v.account.Status == accounts.StatusDisabled:
		return &problem{status: http.StatusForbidden, message: "This account is disabled."}
	}
	return nil
}

// noLink is what becomes of a link that the store does not give. A wrong one counts as a
// failed authentication.
func (x *exchange) noLink(ctx context.Context, err error) *problem {
	if errors.Is(err, accounts.ErrNotFound) {
		x.failedAuthentication()
		return linkGone()
	}
	return x.storeAway(ctx, err)
}

func linkGone() *problem {
	return &problem{status: http.StatusNotFound, message: "This link is not valid: it has been used, or it has expired. Ask for a new one."}
}

// storeAway is for the store's other errors, which it logs.
func (x *exchange) storeAway(ctx context.Context, err error) *problem {
	_ = x.storeProblem(ctx, err, "", "")
	return comeAgain()
}

func comeAgain() *problem {
	p := unavailable()
	p.message = "This cannot be done at the moment. Try again in a minute."
	return p
}

// asked are the credentials that a customer fills in: all, or those that consent does not give.
func (s *Server) asked(integration string) []engine.Credential {
	byConsent, declared := s.consents(integration), s.catalog.OAuth(integration)
	return slices.DeleteFunc(s.catalog.Credentials(integration), func(c engine.Credential) bool {
		return c.Granted || byConsent && (c.Replaced || declared.Tells(c.Name))
	})
}

// showLink asks for what the link needs.
func showLink(x *exchange, c echo.Context) *problem {
	v, p := x.visitLink(c)
	if p != nil {
		return p
	}
	x.showForm(http.StatusOK, v, "", nil, nil)
	return nil
}

// submitLink connects the account with what was filled in, or goes to ask for consent.
func submitLink(x *exchange, c echo.Context) *problem {
	if !x.fromOwnPage() {
		return &problem{status: http.StatusForbidden, message: "This form was not sent from its own page. Open the link again."}
	}
	v, p := x.visitLink(c)
	if p != nil {
		return p
	}
	form, p := x.readForm()
	if p != nil {
		return p
	}
	asked := x.server.asked(v.link.Integration)
	given, wrong, p := readFields(asked, form)
	if p != nil {
		return p
	}
	if len(wrong) > 0 {
		x.showForm(http.StatusUnprocessableEntity, v, "", given, wrong)
		return nil
	}
	ctx := x.request.Context()
	if x.server.consents(v.link.Integration) {
		return x.beginConsent(ctx, v, given)
	}
	if p := x.tryCredentials(ctx, v.link.Integration, given); p != nil {
		return x.formAgain(v, given, p)
	}
	var grant *accounts.Grant
	if v.account.Grant != nil { // what was consented to is no longer what counts
		grant = &accounts.Grant{}
	}
	return x.connect(ctx, v, given, grant)
}

// formAgain tells why what was filled in did not do, and asks once more.
func (x *exchange) formAgain(v *visit, given accounts.Context, p *problem) *problem {
	x.problem = p
	status := p.status
	if p.remote != nil && status < http.StatusInternalServerError { // the provider's refusal of them, not ours of the visitor
		status = http.StatusUnprocessableEntity
	}
	x.showForm(status, v, shorten(x.redact(p.message)), given, nil)
	return nil
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
func (x *exchange) fromOwnPage() bool {
	if site := x.request.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	return strings.EqualFold(x.request.Header.Get("Origin"), x.server.publicURL)
}

// readForm reads the body of a form, which gives no name twice.
func (x *exchange) readForm() (url.Values, *problem) {
	kind, _, err := mime.ParseMediaType(x.request.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, &problem{status: http.StatusUnsupportedMediaType, message: "The form was sent in a way that is not understood."}
	}
	body, err := io.ReadAll(http.MaxBytesReader(x.writer, x.request.Body, maxForm))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, &problem{status: http.StatusRequestEntityTooLarge, message: "The form is too large."}
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

func badForm() *problem {
	return &problem{status: http.StatusBadRequest, message: "The form cannot be read. Open the link again."}
}

// readFields takes the credentials out of a form; wrong says by name what is wrong with them.
func readFields(asked []engine.Credential, form url.Values) (given accounts.Context, wrong map[string]string, p *problem) {
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

// tryCredentials makes the integration's verify call, where it has one.
func (x *exchange) tryCredentials(ctx context.Context, integration string, given accounts.Context) *problem {
	plan := x.server.catalog.Verify(integration)
	if plan == nil {
		return nil
	}
	x.plan, x.account = plan, accounts.Account{Context: given}
	x.call = &engine.Request{Context: engine.Context(given), BaseURL: x.server.baseURLs[integration]}
	if err := x.attempt(ctx, engine.MainOnly); err != nil {
		return x.problemOf(err)
	}
	return nil
}

// connect makes the account, or gives it what is new of it, and sends the visitor on. It
// uses up the link.
func (x *exchange) connect(ctx context.Context, v *visit, given accounts.Context, grant *accounts.Grant) *problem {
	by := accounts.Actor{Name: "link " + v.link.ID, RequestID: x.id}
	var account accounts.Account
	var err error
	if v.link.AccountID == "" {
		account, err = x.server.store.CreateAccount(ctx, by, accounts.NewAccount{Link: v.link.ID, Account: accounts.Account{
			Integration: v.link.Integration, Environment: v.link.Environment, Label: v.link.Label, TenantID: v.link.TenantID,
			Context: given, Grant: grant,
		}})
	} else {
		active := accounts.StatusActive
		err = x.server.unrenewed(ctx, v.link.AccountID, func(ctx context.Context) (err error) {
			account, err = x.server.store.UpdateAccount(ctx, by, v.link.Environment, v.link.AccountID, accounts.AccountChange{
				Version: v.account.Version, Link: v.link.ID, Status: &active, Context: given, Grant: grant, // not active if disabled since
			})
			return err
		})
	}
	switch {
	case errors.Is(err, accounts.ErrNotFound):
		return linkGone()
	case errors.Is(err, accounts.ErrConflict):
		return &problem{status: http.StatusConflict, message: "This account was changed meanwhile. Open your link again."}
	case err != nil:
		return x.storeAway(ctx, err)
	}
	x.account = accounts.Account{ID: account.ID, Environment: account.Environment} // for the log
	if v.link.RedirectURI != "" {
		x.redirect(withParameter(v.link.RedirectURI, "integrated_account_id", account.ID))
		return nil
	}
	x.showPage(http.StatusOK, linkPage{Title: "Connected", Text: x.server.catalog.Label(v.link.Integration) + " is connected. You can close this page."}, "'none'")
	return nil
}

// redirect sends the browser to another page.
func (x *exchange) redirect(to string) {
	x.writer.Header().Set("Location", to)
	x.writer.WriteHeader(http.StatusSeeOther)
}

// withParameter adds a query parameter to address, which is a complete URL.
func withParameter(address, name, value string) string {
	separator := "?"
	if strings.Contains(address, "?") {
		separator = "&"
	}
	return address + separator + name + "=" + url.QueryEscape(value)
}
