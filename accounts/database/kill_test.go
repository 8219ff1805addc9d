package database

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"portolan/accounts"
)

// child runs a task of childCommand in a child process.
func child(task string) int {
	ctx := context.Background()
	keys, err := accounts.ParseKeyring(keyA)
	if err != nil {
		return 2
	}
	if task == "open" {
		fmt.Println("ready")
		_, _ = io.Copy(io.Discard, os.Stdin)
	}
	p := testDatabase{os.Getenv("PORTOLAN_TEST_SQLITE"), os.Getenv("PORTOLAN_TEST_URL")}
	d, err := p.try(ctx, Options{keys, time.Now, slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = d.Close() }()
	if task == "write" {
		var wg sync.WaitGroup
		var out sync.Mutex
		for range 4 {
			wg.Go(func() {
				for range 250 {
					a, err := d.CreateAccount(ctx, ops, killedAccount())
					if err != nil {
						fmt.Fprintln(os.Stderr, err)
						return
					}
					out.Lock()
					fmt.Println(a.ID)
					out.Unlock()
				}
			})
		}
		wg.Wait()
	}
	return 0
}

func killedAccount() accounts.NewAccount {
	id := accounts.NewID()
	return accounts.NewAccount{Account: accounts.Account{
		ID: id, Environment: "default", Integration: "example",
		Context: accounts.Context{"api_key": "key of " + id, "site": "acme"}, Grant: &accounts.Grant{AccessToken: accounts.Secret("token of " + id)},
	}}
}

// TestKill kills a process that creates accounts, at a random point, several times on the
// same database.
func TestKill(t *testing.T) {
	onBothDatabases(t, func(s databaseTest) {
		t, p := s.t, s.p
		must(t, p.open(t, options(t)).Close())
		acknowledged := map[string]bool{}
		for range 4 {
			cmd := childCommand(t, p, "write")
			out, err := cmd.StdoutPipe()
			must(t, err)
			cmd.Stderr = os.Stderr
			must(t, cmd.Start())
			lines := bufio.NewScanner(out)
			stop := 1 + rand.IntN(80)
			for n := 0; lines.Scan(); n++ { // lines written before the kill are acknowledged too
				if len(lines.Text()) == 36 {
					acknowledged[lines.Text()] = true
				}
				if n == stop {
					must(t, cmd.Process.Kill())
				}
			}
			if cmd.Wait() == nil {
				t.Fatal("the process was not killed")
			}
			checkKilled(t, p, acknowledged)
		}
	})
}

func checkKilled(t *testing.T, p testDatabase, acknowledged map[string]bool) {
	t.Helper()
	d := p.open(t, options(t)) // SQLite checks the file
	defer func() { _ = d.Close() }()
	found := map[string]bool{}
	q := accounts.AccountQuery{PageQuery: accounts.PageQuery{Limit: accounts.MaxPage}}
	for {
		page, err := d.Accounts(t.Context(), "default", q)
		must(t, err)
		for _, a := range page.Items {
			found[a.ID] = true
			full, err := d.Account(t.Context(), "default", a.ID)
			must(t, err)
			if full.Context["api_key"] != "key of "+a.ID || full.Context["site"] != "acme" || full.Grant == nil || full.Grant.AccessToken.Reveal() != "token of "+a.ID {
				t.Errorf("%s is incomplete", a.ID)
			}
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	for id := range acknowledged {
		if !found[id] {
			t.Errorf("%s is lost", id)
		}
	}
	var audited, changed, n, orphans int
	must(t, d.read.QueryRowContext(t.Context(), `SELECT
		(SELECT count(*) FROM integrated_account a JOIN audit u ON u.subject = a.id AND u.action = 'integrated-account.create'),
		(SELECT count(*) FROM change), (SELECT n FROM revision),
		(SELECT count(*) FROM audit WHERE subject NOT IN (SELECT id FROM integrated_account))`).Scan(&audited, &changed, &n, &orphans))
	same(t, "audited, changes, revision, audited but missing", []int{len(found), len(found), len(found), 0}, []int{audited, changed, n, orphans})
}
