package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"portolan/accounts"
	"portolan/accounts/database"
)

// newPostgres creates a database for the test and returns its URL.
func newPostgres(t *testing.T) string {
	t.Helper()
	server := os.Getenv("PORTOLAN_TEST_POSTGRES")
	if server == "" {
		server = "postgres://postgres@127.0.0.1:5432/postgres"
	}
	name := "portolan_cmd_" + strings.ReplaceAll(accounts.NewID(), "-", "")
	do := func(statement string) {
		t.Helper()
		conn, err := pgx.Connect(context.Background(), server)
		if err != nil {
			t.Fatalf("the tests need PostgreSQL (./test starts it): %v", err)
		}
		defer func() { _ = conn.Close(context.Background()) }()
		if _, err := conn.Exec(context.Background(), statement); err != nil {
			t.Fatal(err)
		}
	}
	do("create database " + name)
	t.Cleanup(func() { do("drop database " + name + " with (force)") })
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

// newAccounts creates accounts of the integration "example" in the SQLite database of a new
// folder, encrypted with testKeys. It uses SQL, because creating them one by one takes long.
func newAccounts(t *testing.T, count int) (folder string, ids []string) {
	t.Helper()
	keys, err := accounts.ParseKeyring(testKeys)
	if err != nil {
		t.Fatal(err)
	}
	folder = t.TempDir()
	file := filepath.Join(folder, databaseFile)
	made, err := database.OpenSQLite(t.Context(), file, database.Options{Keys: keys, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := made.Close(); err != nil {
		t.Fatal(err)
	}
	rows := make([][2]string, count)
	for i := range rows {
		ids = append(ids, accounts.NewID())
		rows[i] = [2]string{ids[i], keys.Seal(ids[i], "api_key", []byte(`"key-example"`))}
	}
	list, err := json.Marshal(rows)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, statement := range []string{
		`insert into integrated_account (id, environment, integration, label, tenant_id, status, last_error, overrides, version, created_at, updated_at)
			select value->>0, 'default', 'example', '', '', 'active', '', '{}', 1, 1, 1 from json_each($1)`,
		`insert into credential (account_id, environment, field, sealed, set_at) select value->>0, 'default', 'api_key', value->>1, 1 from json_each($1)`,
	} {
		if _, err := db.ExecContext(t.Context(), statement, string(list)); err != nil {
			t.Fatal(err)
		}
	}
	return folder, ids
}
