package golden_test

import (
	"net/http"
	"os"
	"testing"
	"crypto/rand"
	"context"
	"strings"

	"portolan/accounts"
	"portolan/engine"
	"portolan/golden"
	"portolan/mappings"
	"portolan/schemas"
	"portolan/server"
)

type store struct{ a golden.Account }

func (s store) Authenticate(_ context.Context, token string) (accounts.Token, error) {
	if token != golden.Token { return accounts.Token{}, accounts.ErrUnauthorized }
	return accounts.Token{}, nil
}
func (s store) Account(_ context.Context, _, id string) (accounts.Account, error) {
	if !strings.EqualFold(id, s.a.ID) { return accounts.Account{}, accounts.ErrNotFound }
	return accounts.Account{ID: s.a.ID, Integration: s.a.Integration, Context: s.a.Context}, nil
}
func (store) Ready(context.Context) error { return nil }

func TestScratch(t *testing.T) {
	unified, _ := schemas.Unified()
	models := engine.Models{}
	for key, m := range unified {
		op, _ := engine.ParseOperation(key)
		models[op] = engine.Model{Request: m.Request, Query: m.Query, Response: m.Response}
	}
	docs, _ := engine.Load(engine.NewLanguage(golden.Clock, rand.Reader, engine.Limits{}), engine.Layer{FS: mappings.FS})
	catalog, _ := engine.Compile(docs, models)
	cases, problems := golden.Load(os.DirFS("../testdata"), "cases", nil)
	for _, p := range problems { t.Error(p) }
	mine, _ := golden.Load(os.DirFS("testdata"), ".", nil)
	cases = append(cases, mine...)
	n := 0
	var rs []*golden.Result
	for _, c := range cases {
		r, err := golden.RunHandler(t.Context(), func(d engine.Doer, a golden.Account) (http.Handler, error) {
			return server.New(catalog, engine.New(d, golden.Clock), unified, store{a}, server.WithClock(golden.Clock))
		}, c)
		if err != nil { t.Error(c.File, err); continue }
		rs = append(rs, r)
		if r.State != golden.Passed { n++; if n < 9 { t.Errorf("%s\n%s", c.Name, r.Diff) } }
	}
	t.Log(len(cases), "cases,", n, "failed")
	for _, c := range golden.Cover(catalog, rs) { t.Log(c) }
}
