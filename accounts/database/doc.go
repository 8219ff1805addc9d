// Package database keeps environments, tokens, accounts, links and their audit in SQLite
// or PostgreSQL. It is the only package that knows SQL.
package database
