package main

import (
	"encoding/hex"
	"fmt"
	"io"

	"portolan/accounts"
)

// masterKeysVariable is never a flag: the process list would show the keys.
const masterKeysVariable = "PORTOLAN_MASTER_KEYS"

type keysCommand struct {
	New newKeyCommand `cmd:"" help:"Print a new master key."`
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
