package accounts

import "context"

// Poll and Touch are what Run does at its ticks.
func (c *Cache) Poll(ctx context.Context)  { c.poll(ctx) }
func (c *Cache) Touch(ctx context.Context) { c.touch(ctx) }

// Limit sets how much c remembers.
func (c *Cache) Limit(accounts, tokens int) { c.maxAccounts, c.maxTokens = accounts, tokens }

// TrustFor is how long a Cache trusts what it remembers.
const TrustFor = trustFor
