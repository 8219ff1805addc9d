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
)

// masterKeysVariable is never a flag: the process list would show the keys.
const masterKeysVariable = "PORTOLAN_MASTER_KEYS"

type keysCommand struct {
	New    newKeyCommand     `cmd:"" help:"Print a new master key."`
	List   listKeysCommand   `cmd:"" help:"Tell which keys sealed how many values."`
	Rotate rotateKeysCommand `cmd:"" help:"Seal every value again with the newest key, while servers serve."`
}

type newKeyCommand struct {
	ID string `placeholder:"ID" help:"The key's name; k<date>-<random> by default."`
}

// Run prints a key, alone on stdout, so that it can go where it is kept.
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
	fmt.Fprintf(p.stderr, "Put this line first in %s (keys are separated by commas) or in the file of --master-keys-file (a line each).\n"+
		"Keep the older keys behind it until `portolan keys rotate` is through. Without its keys a database cannot be read.\n", masterKeysVariable)
	return nil
}

type listKeysCommand struct{ storeFlags }

// Run lists the keys that are given and those in use. A key in use that is not given has
// already kept the database from opening.
func (c *listKeysCommand) Run(ctx context.Context, p *process) error {
	keys, err := c.keyring(p)
	if err != nil {
		return err
	}
	db, err := c.open(ctx, p, p.logger("warn"))
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
	return writeTable(p.stdout, []string{"KEY", "VALUES", "GIVEN", ""}, rows)
}

type rotateKeysCommand struct {
	storeFlags

	Batch int `default:"500" placeholder:"N" help:"Values sealed again in one transaction."`
}

// Run seals again until the newest key is the only one in use. Whatever was done stays
// done where it is interrupted.
func (c *rotateKeysCommand) Run(ctx context.Context, p *process) error {
	if c.Batch < 1 {
		return usagef("--batch: %d is no number of values", c.Batch)
	}
	keys, err := c.keyring(p)
	if err != nil {
		return err
	}
	db, err := c.open(ctx, p, p.logger("warn"))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	for total := 0; ; {
		n, err := db.Reseal(ctx, c.Batch)
		if err != nil {
			return fmt.Errorf("after %d values, which stay sealed with key %s: %w", total, keys.Newest(), err)
		}
		if n == 0 {
			break
		}
		total += n
		fmt.Fprintf(p.stdout, "%d values sealed with key %s\n", total, keys.Newest())
	}
	used, err := db.KeysInUse(ctx)
	if err != nil {
		return err
	}
	n := used[keys.Newest()]
	delete(used, keys.Newest())
	if len(used) > 0 {
		return fmt.Errorf("keys %v are in use again: a server still seals with an older key; restart it with %s first in its keys, then rotate again",
			slices.Sorted(maps.Keys(used)), keys.Newest())
	}
	fmt.Fprintf(p.stdout, "all %d values are sealed with key %s; the others can be taken away\n", n, keys.Newest())
	return nil
}
