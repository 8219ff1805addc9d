package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan/accounts"
)

// wantKind fails unless err is an *Error of this kind that shows no secret.
func wantKind(t *testing.T, err error, kind Kind) Error {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Kind != kind {
		t.Fatalf("want %s, got %v", kind, err)
	}
	if printed := fmt.Sprintf("%v %+v %#v %v", err, err, *e, e.Err); strings.Contains(printed, canary) || strings.Contains(e.Text, "\n") || len(e.Text) > maxText {
		t.Errorf("unsuitable text: %s", printed)
	}
	return *e
}

// wantToken fails unless a has the n-th access token, in its Context as well.
func wantToken(t *testing.T, a accounts.Account, err error, n int) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	got := []string{a.Grant.AccessToken.Reveal(), a.Context[accounts.AccessTokenField].(string), a.Context["site"].(string)}
	if diff := cmp.Diff([]string{token("access", n), token("access", n), "acme"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestFresh(t *testing.T) {
	for name, tt := range map[string]struct {
		expiry time.Time
		token  int // number of the returned access token
	}{
		"never expires":    {time.Time{}, 0},
		"expires later":    {noon.Add(renewBefore + time.Second), 0},
		"expires soon":     {noon.Add(renewBefore), 1},
		"expired":          {noon.Add(-time.Hour), 1},
		"expires just now": {noon, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newKeeperTest(t, grant(tt.expiry))
			before := w.store.read(t)
			w.store.onSet = func() {
				if w.requests() != 1 {
					t.Error("it was stored at the wrong time")
				}
			}
			a, err := w.keeper.Fresh(t.Context(), w.app(), before)
			wantToken(t, a, err, tt.token)
			wantToken(t, w.store.read(t), nil, tt.token)
			wantToken(t, before, nil, 0) // it was not modified
			if tt.token == 1 {
				want := accounts.Grant{
					AccessToken: accounts.Secret(token("access", 1)), RefreshToken: accounts.Secret(token("refresh", 1)), Expiry: noon.Add(time.Hour),
				}
				if stored := *w.store.read(t).Grant; stored != want {
					t.Errorf("stored %q %q %v", stored.AccessToken.Reveal(), stored.RefreshToken.Reveal(), stored.Expiry)
				}
			}
		})
	}
	w := newKeeperTest(t, nil)
	if a, err := w.keeper.Fresh(t.Context(), w.app(), w.store.read(t)); err != nil || a.Grant != nil {
		t.Errorf("without a grant: got %v, %v", a, err)
	}
}

func TestRenew(t *testing.T) {
	w := newKeeperTest(t, grant(noon.Add(time.Hour)))
	old := w.store.read(t)
	a, err := w.keeper.Renew(t.Context(), w.app(), old)
	wantToken(t, a, err, 1)
	a, err = w.newKeeper().Renew(t.Context(), w.app(), old) // with an outdated copy
	wantToken(t, a, err, 1)
	if w.requests() != 1 {
		t.Error("a token newer than the refused one was not used")
	}
	a, err = w.keeper.Renew(t.Context(), w.app(), a)
	wantToken(t, a, err, 1)
	if w.requests() != 1 {
		t.Error("a new token was renewed again")
	}
	w.advance(renewAgain)
	a, err = w.keeper.Renew(t.Context(), w.app(), a)
	wantToken(t, a, err, 2)
	w.advance(2 * time.Hour) // the stored token has expired too
	a, err = w.keeper.Renew(t.Context(), w.app(), old)
	wantToken(t, a, err, 3)
}

func TestRefreshTokenIsKept(t *testing.T) {
	w := newKeeperTest(t, grant(noon))
	w.setResponse(200, `{"access_token":"`+token("access", 1)+`"}`)
	a, err := w.keeper.Fresh(t.Context(), w.app(), w.store.read(t))
	wantToken(t, a, err, 1)
	if g := w.store.read(t).Grant; g.RefreshToken.Reveal() != token("refresh", 0) || !g.Expiry.IsZero() {
		t.Errorf("got %q, %v", g.RefreshToken.Reveal(), g.Expiry)
	}
}

// 50 calls on each of two replicas with one expired token make one request.
func TestSingleFlight(t *testing.T) {
	for name, ask := range map[string]func(*Keeper, context.Context, App, accounts.Account) (accounts.Account, error){
		"Fresh": (*Keeper).Fresh, "Renew": (*Keeper).Renew,
	} {
		t.Run(name, func(t *testing.T) {
			w := newKeeperTest(t, grant(noon.Add(-time.Hour)))
			old := w.store.read(t)
			var wg sync.WaitGroup
			for _, k := range []*Keeper{w.keeper, w.newKeeper()} {
				for range 50 {
					wg.Go(func() {
						a, err := ask(k, t.Context(), w.app(), old)
						if err != nil || a.Grant.AccessToken.Reveal() != token("access", 1) {
							t.Errorf("got %v, %v", a.Grant, err)
						}
					})
				}
			}
			wg.Wait()
			if w.requests() != 1 {
				t.Errorf("%d requests", w.requests())
			}
		})
	}
}

func TestRefused(t *testing.T) {
	w := newKeeperTest(t, grant(noon.Add(30*time.Second)))
	w.refresh = "another"
	old := w.store.read(t)
	_, err := w.keeper.Fresh(t.Context(), w.app(), old)
	e := wantKind(t, err, Refused)
	const text = "token endpoint answered 400: invalid_grant: token *** is revoked"
	if e.Code != "invalid_grant" || e.Text != text {
		t.Errorf("got %q %q", e.Code, e.Text)
	}
	a := w.store.read(t)
	if a.Status != accounts.StatusNeedsReauth || a.LastError != text {
		t.Errorf("stored %q %q", a.Status, a.LastError)
	}
	for _, k := range []*Keeper{w.keeper, w.newKeeper()} {
		for _, stale := range []accounts.Account{a, old} {
			_, err = k.Fresh(t.Context(), w.app(), stale)
			wantKind(t, err, Refused)
			_, err = k.Renew(t.Context(), w.app(), stale)
			wantKind(t, err, Refused)
		}
	}
	if w.requests() != 1 {
		t.Errorf("%d requests", w.requests())
	}
	// After the account is connected again, it works at once.
	if err := w.store.SetGrant(t.Context(), "default", id, accounts.Grant{AccessToken: accounts.Secret(token("access", 7)), RefreshToken: "another"}); err != nil {
		t.Fatal(err)
	}
	got, err := w.keeper.Fresh(t.Context(), w.app(), w.store.read(t))
	wantToken(t, got, err, 7)
	got, err = w.keeper.Renew(t.Context(), w.app(), got)
	wantToken(t, got, err, 1)
}

func TestNoRefreshToken(t *testing.T) {
	g := grant(noon.Add(30 * time.Second))
	g.RefreshToken = ""
	w := newKeeperTest(t, g)
	a, err := w.keeper.Fresh(t.Context(), w.app(), w.store.read(t))
	wantToken(t, a, err, 0)
	w.advance(30 * time.Second)
	_, err = w.keeper.Fresh(t.Context(), w.app(), a)
	wantKind(t, err, Refused)
	if w.store.read(t).Status != accounts.StatusNeedsReauth || w.requests() != 0 {
		t.Errorf("status %q, %d requests", w.store.read(t).Status, w.requests())
	}
}

func TestTemporaryFailures(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		body   string
		kind   Kind
	}{
		"500":               {500, `{"error":"invalid_grant"}`, Unreachable},
		"503 HTML":          {503, "<html>" + canary, Unreachable},
		"429":               {429, "{}", Unreachable},
		"our secret":        {401, `{"error":"invalid_client","error_description":"` + canary + `"}`, Rejected},
		"403 HTML":          {403, "<html>" + canary, Malformed},
		"400 nothing":       {400, "", Malformed},
		"HTML":              {200, "<html>" + canary, Malformed},
		"no token":          {200, `{"token_type":"Bearer","secret":"` + canary + `"}`, Malformed},
		"empty token":       {200, `{"access_token":""}`, Malformed},
		"number":            {200, `{"access_token":7}`, Malformed},
		"newline":           {200, `{"access_token":"` + canary + `\nX: y"}`, Malformed},
		"not ASCII":         {200, `{"access_token":"` + canary + `ü"}`, Malformed},
		"refresh newline":   {200, `{"access_token":"a","refresh_token":"` + canary + `\r\n"}`, Malformed},
		"endless token":     {200, `{"access_token":"` + strings.Repeat("x", maxToken+1) + `"}`, Malformed},
		"array":             {200, `[]`, Malformed},
		"cut":               {200, `{"access_token":"` + canary, Malformed},
		"10 MB":             {200, `{"access_token":"a","x":"` + strings.Repeat("x", 10<<20) + `"}`, Malformed},
		"endless lifetime":  {200, `{"access_token":"a","expires_in":99999999999999999999}`, Malformed},
		"lifetime in words": {200, `{"access_token":"a","expires_in":"an hour"}`, Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			w := newKeeperTest(t, grant(noon.Add(30*time.Second)))
			w.setResponse(tt.status, tt.body)
			old := w.store.read(t)
			a, err := w.keeper.Fresh(t.Context(), w.app(), old)
			wantToken(t, a, err, 0) // it is still valid
			_, err = w.keeper.Renew(t.Context(), w.app(), old)
			wantKind(t, err, tt.kind)
			if got := w.store.read(t); got.Status != accounts.StatusActive || w.requests() != 1 {
				t.Errorf("status %q, %d requests", got.Status, w.requests())
			}
			w.advance(retryAfter)
			_, err = w.keeper.Renew(t.Context(), w.app(), old)
			wantKind(t, err, tt.kind)
			w.advance(time.Minute) // the token has expired
			_, err = w.keeper.Fresh(t.Context(), w.app(), old)
			wantKind(t, err, tt.kind)
			w.setResponse(0, "")
			w.advance(retryAfter)
			a, err = w.keeper.Fresh(t.Context(), w.app(), old)
			wantToken(t, a, err, 1)
		})
	}
}

func TestUnreachableAndTimeout(t *testing.T) {
	w := newKeeperTest(t, grant(noon))
	client := *w.Client()
	client.Timeout = 50 * time.Millisecond
	w.keeper.client = &client
	release := make(chan struct{})
	w.respond = func(http.ResponseWriter, *http.Request) { <-release }
	_, err := w.keeper.Fresh(t.Context(), w.app(), w.store.read(t))
	close(release)
	if e := wantKind(t, err, Timeout); !errors.Is(e.Err, context.DeadlineExceeded) {
		t.Errorf("got %v", e.Err)
	}
	w.Close()
	w.advance(retryAfter)
	app := w.app()
	app.TokenURL += "?key=" + canary
	_, err = w.keeper.Fresh(t.Context(), app, w.store.read(t))
	wantKind(t, err, Unreachable)
}

// A cancelled caller returns at once, and the others get the result of its renewal.
func TestCancelledCaller(t *testing.T) {
	w := newKeeperTest(t, grant(noon))
	arrived, release := make(chan struct{}), make(chan struct{})
	w.respond = func(rw http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		_, _ = fmt.Fprintf(rw, `{"access_token":%q}`, token("access", 1))
	}
	old := w.store.read(t)
	ctx, cancel := context.WithCancel(t.Context())
	first, second := make(chan error), make(chan error)
	go func() {
		_, err := w.keeper.Fresh(ctx, w.app(), old)
		first <- err
	}()
	<-arrived
	go func() {
		a, err := w.keeper.Fresh(t.Context(), w.app(), old)
		if err == nil && a.Grant.AccessToken.Reveal() != token("access", 1) {
			err = errors.New("another token")
		}
		second <- err
	}()
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(release)
	if err := <-second; err != nil {
		t.Error(err)
	}
	if w.requests() != 1 {
		t.Errorf("%d requests", w.requests())
	}
}

// A rotated refresh token survives an unavailable store: it is stored before the next renewal.
func TestStoreUnavailable(t *testing.T) {
	w := newKeeperTest(t, grant(noon))
	tries := 0
	w.store.onSet = func() { tries++ }
	w.store.err = fmt.Errorf("%w: disk is full", accounts.ErrUnavailable)
	old := w.store.read(t)
	for range 2 {
		if _, err := w.keeper.Fresh(t.Context(), w.app(), old); !errors.Is(err, accounts.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	}
	if w.requests() != 1 || tries != 8 {
		t.Errorf("%d requests, %d attempts to store", w.requests(), tries)
	}
	if !strings.Contains(w.logs.String(), "level=ERROR") || strings.Contains(fmt.Sprintf("%v %+v %#v", w.keeper, w.keeper, w.keeper), canary) {
		t.Errorf("log: %s", &w.logs)
	}
	w.store.err = nil
	a, err := w.keeper.Fresh(t.Context(), w.app(), old)
	wantToken(t, a, err, 1)
	if w.requests() != 1 || w.store.read(t).Grant.RefreshToken.Reveal() != token("refresh", 1) {
		t.Errorf("%d requests", w.requests())
	}
}

// A pending grant does not replace that of an account connected again.
func TestPendingGrantIsDropped(t *testing.T) {
	w := newKeeperTest(t, grant(noon))
	w.store.err = accounts.ErrUnavailable
	old := w.store.read(t)
	if _, err := w.keeper.Fresh(t.Context(), w.app(), old); !errors.Is(err, accounts.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	w.store.err = nil
	if err := w.store.SetGrant(t.Context(), "default", id, accounts.Grant{AccessToken: accounts.Secret(token("access", 7))}); err != nil {
		t.Fatal(err)
	}
	a, err := w.keeper.Fresh(t.Context(), w.app(), old)
	wantToken(t, a, err, 7)
	wantToken(t, w.store.read(t), nil, 7)
}

func TestDeletedAccount(t *testing.T) {
	w := newKeeperTest(t, grant(noon.Add(30*time.Second)))
	old := w.store.read(t)
	w.store.account = accounts.Account{}
	if _, err := w.keeper.Fresh(t.Context(), w.app(), old); !errors.Is(err, accounts.ErrNotFound) || w.requests() != 0 {
		t.Errorf("got %v", err)
	}
}
