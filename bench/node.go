package main

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

//go:embed node/package.json node/gateway.js
var nodeFiles embed.FS

// installNode installs the gateway for Node and its packages into dir, and returns the command
// that starts it with a mapping file.
func installNode(ctx context.Context, dir, mapping string) (*exec.Cmd, error) {
	if _, err := exec.LookPath("node"); err != nil {
		return nil, err
	}
	if err := os.CopyFS(dir, nodeFiles); err != nil {
		return nil, err
	}
	dir = filepath.Join(dir, "node")
	mapping, err := filepath.Abs(mapping)
	if err != nil {
		return nil, err
	}
	install := exec.CommandContext(ctx, "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel", "error")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", install, err, bytes.TrimSpace(out))
	}
	return exec.CommandContext(ctx, "node", filepath.Join(dir, "gateway.js"), mapping), nil
}
