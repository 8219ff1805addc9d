package database

import "testing"

// TestStore runs the same tests on both databases.
func TestStore(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { testStore(t, newSQLite) })
	t.Run("postgres", func(t *testing.T) { testStore(t, newPostgres) })
}

// storeTest is a test, an empty store and its clock.
type storeTest struct {
	t *testing.T
	d *DB
	c *clock
}

func testStore(t *testing.T, create func(testing.TB) testDatabase) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(storeTest)
	}{
		{"account", testAccount},
		{"account update", testAccountUpdate},
		{"account refusals", testAccountRefusals},
		{"account delete", testAccountDelete},
		{"same id", testSameID},
		{"account pages", testAccountPages},
		{"lost update", testLostUpdate},
		{"grant", testGrant},
		{"needs reauth", testNeedsReauth},
		{"environment isolation", testEnvironmentIsolation},
		{"authenticate", testAuthenticate},
		{"tokens", testTokens},
		{"touch", testTouch},
		{"environments", testEnvironments},
		{"environment delete", testEnvironmentDelete},
		{"environment again", testEnvironmentAgain},
		{"links", testLinks},
		{"consent", testConsent},
		{"consent once", testConsentOnce},
		{"link once", testLinkOnce},
		{"audit", testAudit},
		{"changes", testChanges},
		{"changes in order", testChangesInOrder},
		{"changes pruned", testChangesPruned},
		{"hostile text", testHostileText},
		{"hostile cursors", testHostileCursors},
		{"contexts", testContexts},
		{"masks", testMasks},
		{"exclusive", testExclusive},
		{"exclusive ends", testExclusiveEnds},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, o := &clock{}, options(t)
			o.Now = c.Now
			test.run(storeTest{t, create(t).open(t, o), c})
		})
	}
}
