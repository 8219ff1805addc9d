package database

import (
	"testing"
)

// TestStore is the one suite that both databases pass.
func TestStore(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		testStore(t, func(t *testing.T, o Options) *DB { t.Helper(); return newSQLite(t).open(t, o) })
	})
	t.Run("postgres", func(t *testing.T) {
		testStore(t, func(t *testing.T, o Options) *DB { t.Helper(); return newPostgres(t).open(t, o) })
	})
}

// subject is an empty store under test, and its clock.
type subject struct {
	t *testing.T
	d *DB
	c *clock
}

func testStore(t *testing.T, open func(*testing.T, Options) *DB) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(subject)
	}{
		{"account", testAccount},
		{"account update", testAccountUpdate},
		{"account refusals", testAccountRefusals},
		{"account delete", testAccountDelete},
		{"account pages", testAccountPages},
		{"lost update", testLostUpdate},
		{"grant", testGrant},
		{"needs reauth", testNeedsReauth},
		{"the wall", testWall},
		{"authenticate", testAuthenticate},
		{"tokens", testTokens},
		{"touch", testTouch},
		{"environments", testEnvironments},
		{"environment delete", testEnvironmentDelete},
		{"links", testLinks},
		{"consent", testConsent},
		{"consent once", testConsentOnce},
		{"link once", testLinkOnce},
		{"audit", testAudit},
		{"changes", testChanges},
		{"changes in order", testChangesInOrder},
		{"changes too long ago", testChangesTooLongAgo},
		{"hostile text", testHostileText},
		{"hostile cursors", testHostileCursors},
		{"contexts", testContexts},
		{"masks", testMasks},
		{"exclusive", testExclusive},
		{"exclusive ends", testExclusiveEnds},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, o := newClock(), options(t)
			o.Now = c.Now
			test.run(subject{t, open(t, o), c})
		})
	}
}
