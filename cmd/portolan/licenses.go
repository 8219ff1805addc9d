package main

import (
	_ "embed"
	"fmt"
)

// licenses are the notices of everything that this program is built from. TestLicenses keeps them
// complete.
//
//go:embed licenses.txt
var licenses string

type licensesCommand struct{}

// Run prints the notices.
func (*licensesCommand) Run(p *process) error {
	_, err := fmt.Fprint(p.stdout, licenses)
	return err
}
