package accounts

import "context"

// Poll and Touch do what Run does at its ticks.
func (c *Cache) Poll(ctx context.Context)  { c.poll(ctx) }
func (c *Cache) Touch(ctx context.Context) { c.touch(ctx) }

// Limit sets the maximum number of cached accounts and tokens.
func (c *Cache) Limit(accounts, tokens int) { c.maxAccounts, c.maxTokens = accounts, tokens }

// TrustFor is how long after a poll cached entries are used.
const TrustFor = trustFor
