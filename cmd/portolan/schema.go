package main

import (
	"fmt"
	"strings"

	"portolan/schemas"
)

type schemaCommand struct {
	Name schemaName `arg:"" optional:"" help:"Name of a schema, such as mapping. Without it, the names are listed."`
}

// schemaName is the name of a schema; "" means none.
type schemaName string

// values returns the names of all schemas.
func (schemaName) values() []string {
	names, _ := schemas.Names() // after an error, nothing can be completed
	return names
}

// Run prints a schema, or the names of all schemas.
func (c *schemaCommand) Run(p *process) error {
	names, err := schemas.Names()
	if err != nil {
		return err
	}
	if c.Name == "" {
		_, err := fmt.Fprintln(p.stdout, strings.Join(names, "\n"))
		return err
	}
	source, err := schemas.Source(string(c.Name))
	if err != nil {
		return usagef("%w; the schemas are: %s", err, strings.Join(names, ", "))
	}
	_, err = p.stdout.Write(source)
	return err
}
