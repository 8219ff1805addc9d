// Package database stores environments, tokens, accounts, links and their audit in SQLite
// or PostgreSQL. It is the only package that contains SQL.
package database
