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
		t.Errorf("text is not fit to be shown: %s", printed)
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
		token  int // that is used
	}{
		"never runs out":    {time.Time{}, 0},
		"good for a while":  {noon.Add(renewBefore + time.Second), 0},
		"runs out soon":     {noon.Add(renewBefore), 1},
		"has run out":       {noon.Add(-time.Hour), 1},
		"runs out just now": {noon, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, grant(tt.expiry))
			before := w.store.read(t)
			w.store.onSet = func() {
				if w.asked() != 1 {
					t.Error("it was stored at the wrong time")
				}
			}
			a, err := w.keeper.Fresh(t.Context(), w.app(), before)
			wantToken(t, a, err, tt.token)
			wantToken(t, w.store.read(t), nil, tt.token)
			wantToken(t, before, nil, 0) // it was not written into
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
	w := newWorld(t, nil)
	if a, err := w.keeper.Fresh(t.Context(), w.app(), w.store.read(t)); err != nil || a.Grant != nil {
		t.Errorf("without a grant: got %v, %v", a, err)
	}
}

func TestRenew(t *testing.T) {
	w := newWorld(t, grant(noon.Add(time.Hour)))
	old := w.store.read(t)
	a, err := w.keeper.Renew(t.Context(), w.app(), old)
	wantToken(t, a, err, 1)
	a, err = w.another().Renew(t.Context(), w.app(), old) // whose copy is from before
	wantToken(t, a, err, 1)
	if w.asked() != 1 {
		t.Error("a token newer than the refused one was not used")
	}
	a, err = w.keeper.Renew(t.Context(), w.app(), a)
	wantToken(t, a, err, 1)
	if w.asked() != 1 {
		t.Error("a token that is new is not what the provider minds")
	}
	w.pass(renewAgain)
	a, err = w.keeper.Renew(t.Context(), w.app(), a)
	wantToken(t, a, err, 2)
	w.pass(2 * time.Hour) // what is stored has run out as well
	a, err = w.keeper.Renew(t.Context(), w.app(), old)
	wantToken(t, a, err, 3)
}

func TestRefreshTokenIsKeptWhereNoneComes(t *testing.T) {
	w := newWorld(t, grant(noon))
	w.says(200, `{"access_token":"`+token("access", 1)+`"}`)
	a, err := w.keeper.Fresh(t.Context(), w.app(), w.store.read(t))
	wantToken(t, a, err, 1)
	if g := w.store.read(t).Grant; g.RefreshToken.Reveal() != token("refresh", 0) || !g.Expiry.IsZero() {
		t.Errorf("got %q, %v", g.RefreshToken.Reveal(), g.Expiry)
	}
}

// 50 calls each of two replicas, on one token that has run out, ask once.
func TestSingleFlight(t *testing.T) {
	for name, ask := range map[string]func(*Keeper, context.Context, App, accounts.Account) (accounts.Account, error){
		"Fresh": (*Keeper).Fresh, "Renew": (*Keeper).Renew,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, grant(noon.Add(-time.Hour)))
			old := w.store.read(t)
			var wg sync.WaitGroup
			for _, k := range []*Keeper{w.keeper, w.another()} {
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
			if w.asked() != 1 {
				t.Errorf("asked %d times", w.asked())
			}
		})
	}
}

func TestRefused(t *testing.T) {
	w := newWorld(t, grant(noon.Add(30*time.Second)))
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
	for _, k := range []*Keeper{w.keeper, w.another()} {
		for _, stale := range []accounts.Account{a, old} {
			_, err = k.Fresh(t.Context(), w.app(), stale)
			wantKind(t, err, Refused)
			_, err = k.Renew(t.Context(), w.app(), stale)
			wantKind(t, err, Refused)
		}
	}
	if w.asked() != 1 {
		t.Errorf("asked %d times", w.asked())
	}
	// Connected again, it works at once.
	if err := w.store.SetGrant(t.Context(), id, accounts.Grant{AccessToken: accounts.Secret(token("access", 7)), RefreshToken: "another"}); err != nil {
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
	w := newWorld(t, g)
	a, err := w.keeper.Fresh(t.Context(), w.app(), w.store.read(t))
	wantToken(t, a, err, 0)
	w.pass(30 * time.Second)
	_, err = w.keeper.Fresh(t.Context(), w.app(), a)
	wantKind(t, err, Refused)
	if w.store.read(t).Status != accounts.StatusNeedsReauth || w.asked() != 0 {
		t.Errorf("status %q, asked %d times", w.store.read(t).Status, w.asked())
	}
}

func TestSoftFailures(t *testing.T) {
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
			w := newWorld(t, grant(noon.Add(30*time.Second)))
			w.says(tt.status, tt.body)
			old := w.store.read(t)
			a, err := w.keeper.Fresh(t.Context(), w.app(), old)
			wantToken(t, a, err, 0) // it is still good
			_, err = w.keeper.Renew(t.Context(), w.app(), old)
			wantKind(t, err, tt.kind)
			if got := w.store.read(t); got.Status != accounts.StatusActive || w.asked() != 1 {
				t.Errorf("status %q, asked %d times", got.Status, w.asked())
			}
			w.pass(retryAfter)
			_, err = w.keeper.Renew(t.Context(), w.app(), old)
			wantKind(t, err, tt.kind)
			w.pass(time.Minute) // the token has run out
			_, err = w.keeper.Fresh(t.Context(), w.app(), old)
			wantKind(t, err, tt.kind)
			w.says(0, "")
			w.pass(retryAfter)
			a, err = w.keeper.Fresh(t.Context(), w.app(), old)
			wantToken(t, a, err, 1)
		})
	}
}

func TestUnreachableAndTimeout(t *testing.T) {
	w := newWorld(t, grant(noon))
	client := *w.Client()
	client.Timeout = 50 * time.Millisecond
	w.keeper.client = &client
	release := make(chan struct{})
	w.answer = func(http.ResponseWriter, *http.Request) { <-release }
	_, err := w.keeper.Fresh(t.Context(), w.app(), w.store.read(t))
	close(release)
	if e := wantKind(t, err, Timeout); !errors.Is(e.Err, context.DeadlineExceeded) {
		t.Errorf("got %v", e.Err)
	}
	w.Close()
	w.pass(retryAfter)
	app := w.app()
	app.TokenURL += "?key=" + canary
	_, err = w.keeper.Fresh(t.Context(), app, w.store.read(t))
	wantKind(t, err, Unreachable)
}

// Who goes away leaves at once, and the others get what he began.
func TestWaiterLeaves(t *testing.T) {
	w := newWorld(t, grant(noon))
	arrived, release := make(chan struct{}), make(chan struct{})
	w.answer = func(rw http.ResponseWriter, _ *http.Request) {
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
	if w.asked() != 1 {
		t.Errorf("asked %d times", w.asked())
	}
}

// A rotated refresh token is not lost with the store: it is stored before the next renewal.
func TestStoreIsAway(t *testing.T) {
	w := newWorld(t, grant(noon))
	tries := 0
	w.store.onSet = func() { tries++ }
	w.store.away = fmt.Errorf("%w: disk is full", accounts.ErrUnavailable)
	old := w.store.read(t)
	for range 2 {
		if _, err := w.keeper.Fresh(t.Context(), w.app(), old); !errors.Is(err, accounts.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	}
	if w.asked() != 1 || tries != 8 {
		t.Errorf("asked %d times, tried to store %d times", w.asked(), tries)
	}
	if !strings.Contains(w.logs.String(), "level=ERROR") || strings.Contains(fmt.Sprintf("%v %+v %#v", w.keeper, w.keeper, w.keeper), canary) {
		t.Errorf("log: %s", &w.logs)
	}
	w.store.away = nil
	a, err := w.keeper.Fresh(t.Context(), w.app(), old)
	wantToken(t, a, err, 1)
	if w.asked() != 1 || w.store.read(t).Grant.RefreshToken.Reveal() != token("refresh", 1) {
		t.Errorf("asked %d times", w.asked())
	}
}

// Connected anew in the meantime, an account keeps its new grant.
func TestLeftGrantGivesWay(t *testing.T) {
	w := newWorld(t, grant(noon))
	w.store.away = accounts.ErrUnavailable
	old := w.store.read(t)
	if _, err := w.keeper.Fresh(t.Context(), w.app(), old); !errors.Is(err, accounts.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	w.store.away = nil
	if err := w.store.SetGrant(t.Context(), id, accounts.Grant{AccessToken: accounts.Secret(token("access", 7))}); err != nil {
		t.Fatal(err)
	}
	a, err := w.keeper.Fresh(t.Context(), w.app(), old)
	wantToken(t, a, err, 7)
	wantToken(t, w.store.read(t), nil, 7)
}

func TestDeletedAccount(t *testing.T) {
	w := newWorld(t, grant(noon.Add(30*time.Second)))
	old := w.store.read(t)
	w.store.account = accounts.Account{}
	if _, err := w.keeper.Fresh(t.Context(), w.app(), old); !errors.Is(err, accounts.ErrNotFound) || w.asked() != 0 {
		t.Errorf("got %v", err)
	}
}
