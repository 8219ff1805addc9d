package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"portolan/accounts"
	"portolan/accounts/database"
)

// masterKeysVariable is not a flag, because the process list would show the keys.
const masterKeysVariable = "PORTOLAN_MASTER_KEYS"

type keysCommand struct {
	New    newKeyCommand     `cmd:"" help:"Create a master key and print it."`
	List   listKeysCommand   `cmd:"" help:"List the keys and how many values each has encrypted."`
	Rotate rotateKeysCommand `cmd:"" help:"Encrypt every value with the newest key, while servers run."`
}

type newKeyCommand struct {
	ID string `placeholder:"ID" help:"Name of the key; k<date>-<random> by default."`
}

// Run prints a key alone on stdout, so that it can be captured.
func (c *newKeyCommand) Run(p *process) error {
	id := c.ID
	if id == "" {
		var b [2]byte
		if _, err := io.ReadFull(p.random, b[:]); err != nil {
			return fmt.Errorf("random source: %w", err)
		}
		id = "k" + p.now().UTC().Format("20060102") + "-" + hex.EncodeToString(b[:])
	}
	key, err := accounts.NewKey(id)
	if err != nil {
		return usagef("--id: %w", err)
	}
	fmt.Fprintln(p.stdout, key)
	fmt.Fprintf(p.stderr, "First key: set %[1]s to it, or write it to a file that only you can read and name that with --master-keys-file.\n"+
		"Further key: put it before the older ones, which stay until `portolan keys rotate` is done. %[1]s separates keys by commas; a file has one per line.\n"+
		"Keep a copy: a database cannot be read without its keys.\n", masterKeysVariable)
	return nil
}

type listKeysCommand struct{ storeFlags }

// Run lists the configured keys and those in use. A database whose keys are not all
// configured does not open.
func (c *listKeysCommand) Run(ctx context.Context, p *process) error {
	keys, db, err := c.openWithKeys(ctx, p)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	used, err := db.KeysInUse(ctx)
	if err != nil {
		return err
	}
	rows := make([][]string, 0, len(used))
	for _, id := range keys.IDs() {
		note := ""
		if id == keys.Newest() {
			note = "newest"
		}
		rows = append(rows, []string{id, strconv.Itoa(used[id]), "yes", note})
		delete(used, id)
	}
	for _, id := range slices.Sorted(maps.Keys(used)) {
		rows = append(rows, []string{id, strconv.Itoa(used[id]), "no", ""})
	}
	return writeTable(p.stdout, []string{"KEY", "VALUES", "CONFIGURED", ""}, rows)
}

// openWithKeys opens the database and returns it with the configured keys.
func (f storeFlags) openWithKeys(ctx context.Context, p *process) (*accounts.Keyring, *database.DB, error) {
	keys, err := f.keyring(p)
	if err != nil {
		return nil, nil, err
	}
	db, err := f.open(ctx, p, keys, p.logger())
	return keys, db, err
}

type rotateKeysCommand struct {
	storeFlags

	Batch int `default:"500" placeholder:"N" help:"Values in one transaction."`
}

// Run encrypts values until only the newest key is in use. An interrupted rotation keeps the values
// encrypted so far.
func (c *rotateKeysCommand) Run(ctx context.Context, p *process) error {
	if c.Batch < 1 {
		return usagef("--batch: %d is not at least 1", c.Batch)
	}
	keys, db, err := c.openWithKeys(ctx, p)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	for total := 0; ; {
		n, err := db.Reseal(ctx, c.Batch)
		if err != nil {
			return fmt.Errorf("after %d values, which stay encrypted with key %s: %w", total, keys.Newest(), err)
		}
		if n == 0 {
			break
		}
		total += n
		fmt.Fprintf(p.stdout, "%d values encrypted with key %s\n", total, keys.Newest())
	}
	used, err := db.KeysInUse(ctx)
	if err != nil {
		return err
	}
	n := used[keys.Newest()]
	delete(used, keys.Newest())
	if len(used) > 0 {
		return fmt.Errorf("keys %v are in use again, because a server still encrypts with an older key: restart it with %s as its first key, then rotate again",
			slices.Sorted(maps.Keys(used)), keys.Newest())
	}
	fmt.Fprintf(p.stdout, "all %d values are encrypted with key %s; the other keys can be removed\n", n, keys.Newest())
	return nil
}
