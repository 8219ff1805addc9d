package database

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"portolan/accounts"
)

// filled returns a SQLite database with 10,000 accounts and as many tokens.
func filled(b *testing.B) (d *DB, ids, secrets []string) {
	b.Helper()
	d = newSQLite(b).open(b, options(b))
	if _, err := d.write.ExecContext(b.Context(), `PRAGMA synchronous = OFF`); err != nil { // to fill it faster
		b.Fatal(err)
	}
	for i := range 10_000 {
		ids = append(ids, create(b, d, accounts.Account{Context: accounts.Context{"api_key": "k", "site": "acme"}}).ID)
		secrets = append(secrets, fmt.Sprint("ptl_", i))
		token(b, d, secrets[i], accounts.Token{Name: "n"})
	}
	return d, ids, secrets
}

// BenchmarkAccount reads random accounts.
func BenchmarkAccount(b *testing.B) {
	d, ids, _ := filled(b)
	for b.Loop() {
		if _, err := d.Account(b.Context(), "default", ids[rand.IntN(len(ids))]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAuthenticate looks up random tokens.
func BenchmarkAuthenticate(b *testing.B) {
	d, _, secrets := filled(b)
	for b.Loop() {
		if _, err := d.Authenticate(b.Context(), secrets[rand.IntN(len(secrets))]); err != nil {
			b.Fatal(err)
		}
	}
}
