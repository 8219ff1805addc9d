package main

import (
	"context"
	"errors"
	"testing"

	"portolan/accounts"
)

// broken is a store that cannot be reached.
type broken struct{ calls int }

func (b *broken) Authenticate(context.Context, string) (accounts.Token, error) {
	b.calls++
	return accounts.Token{}, accounts.ErrUnavailable
}

func (b *broken) Account(context.Context, string, string) (accounts.Account, error) {
	b.calls++
	return accounts.Account{}, accounts.ErrUnavailable
}

func (b *broken) Ready(context.Context) error { return accounts.ErrUnavailable }

const (
	fileID  = "62f44730-dd91-461e-bd6a-aedd9e0ad79d"
	storeID = "62f44730-dd91-461e-bd6a-aedd9e0ad79e"
)

func memory(t *testing.T, token, id string) *accounts.Memory {
	t.Helper()
	m, err := accounts.NewMemory([]accounts.StoredToken{{Token: accounts.Token{Name: token}, Hash: accounts.HashToken(token)}},
		[]accounts.Account{{ID: id, Integration: "example", BaseURL: "http://" + token}})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestJoinedDirectories(t *testing.T) {
	both := joinedDirectories{memory(t, "file", fileID), memory(t, "store", storeID)}
	for _, token := range []string{"file", "store"} {
		if got, err := both.Authenticate(t.Context(), token); err != nil || got.Name != token {
			t.Errorf("%s: %v, %v", token, got, err)
		}
	}
	if _, err := both.Authenticate(t.Context(), "other"); !errors.Is(err, accounts.ErrUnauthorized) {
		t.Errorf("got %v", err)
	}
	for _, id := range []string{fileID, storeID} {
		if got, err := both.Account(t.Context(), "default", id); err != nil || got.ID != id {
			t.Errorf("%s: %v, %v", id, got, err)
		}
		if _, err := both.Account(t.Context(), "elsewhere", id); !errors.Is(err, accounts.ErrNotFound) {
			t.Errorf("%s elsewhere: %v", id, err)
		}
	}
}

// Accounts of the file are found without the store; others fail.
func TestJoinedDirectoriesWithoutStore(t *testing.T) {
	store := &broken{}
	both := joinedDirectories{memory(t, "file", fileID), store}
	if _, err := both.Authenticate(t.Context(), "file"); err != nil || store.calls != 0 {
		t.Errorf("%v, %d asked", err, store.calls)
	}
	if _, err := both.Account(t.Context(), "default", fileID); err != nil || store.calls != 0 {
		t.Errorf("%v, %d asked", err, store.calls)
	}
	_, token := both.Authenticate(t.Context(), "other")
	_, account := both.Account(t.Context(), "default", storeID)
	for _, err := range []error{token, account, both.Ready(t.Context())} {
		if !errors.Is(err, accounts.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	}
}

func TestWithBaseURLs(t *testing.T) {
	d := withBaseURLs{memory(t, "store", storeID), map[string]string{"example": "http://127.0.0.1:4711/example"}}
	if got, err := d.Account(t.Context(), "default", storeID); err != nil || got.BaseURL != "http://127.0.0.1:4711/example" {
		t.Errorf("%s, %v", got.BaseURL, err)
	}
	if got, err := d.Account(t.Context(), "default", fileID); err == nil || got.BaseURL != "" {
		t.Errorf("%s, %v", got.BaseURL, err)
	}
	without := withBaseURLs{d.Directory, nil}
	if got, err := without.Account(t.Context(), "default", storeID); err != nil || got.BaseURL != "http://store" {
		t.Errorf("%s, %v", got.BaseURL, err)
	}
}
