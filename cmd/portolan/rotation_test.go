package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

const newerKey = "k2:YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXphYmNkZWY="

// No call fails while the values of 10,000 accounts are encrypted with another key.
func TestRotateUnderLoad(t *testing.T) {
	const count = 10_000
	folder, ids := newAccounts(t, count)
	_, mappings := newProvider(t)
	store := []string{"--data", folder, "--mappings", mappings, "--eval-timeout", "1m"} // four callers under the race detector
	t.Setenv(masterKeysVariable, newerKey+","+testKeys)
	file := filepath.Join(t.TempDir(), "tokens.yaml")
	if err := os.WriteFile(file, []byte("format: portolan/accounts/v1\ntokens: [{name: app, token: "+fileToken+"}]\naccounts: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	serving := slices.Concat(store, []string{"--accounts", file, "--allow-insecure-upstreams", "--log-level", "error"})
	r := start(t, serving...)
	go func() { _, _ = io.Copy(io.Discard, r.stdout) }()

	done := make(chan struct{})
	var called atomic.Int64
	var load sync.WaitGroup
	for worker := range 4 {
		load.Go(func() {
			for i := worker; ; i = (i + 7919) % count { // spread over the table
				select {
				case <-done:
					return
				default:
				}
				if res, answer := r.ask(t, http.MethodPatch, userTarget(ids[i]), fileToken, ada); res.StatusCode != http.StatusOK {
					t.Errorf("%d %v", res.StatusCode, answer)
					return
				}
				called.Add(1)
			}
		})
	}
	printed := command(t, append([]string{"keys", "rotate"}, store[:2]...)...)
	close(done)
	load.Wait()
	if called.Load() == 0 || !strings.HasSuffix(printed, fmt.Sprintf("all %d values are encrypted with key k2; the other keys can be removed", count)) {
		t.Errorf("%d calls; printed %s", called.Load(), printed)
	}
	r.stop()
	if code := <-r.exit; code != exitOK {
		t.Errorf("exit %d\n%s", code, r.stderr)
	}
	t.Setenv(masterKeysVariable, newerKey)
	r = start(t, serving...)
	go func() { _, _ = io.Copy(io.Discard, r.stdout) }()
	r.must(t, http.StatusOK, http.MethodPatch, userTarget(ids[count-1]), fileToken, ada)
}
