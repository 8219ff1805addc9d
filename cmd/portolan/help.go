package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

type helpCommand struct {
	Command []string `arg:"" optional:"" help:"Command to describe, such as accounts create. Without it, all commands are listed."`
}

// Run prints what --help prints.
func (c *helpCommand) Run(parsed *kong.Context) error {
	_, err := parsed.Parse(append(c.Command, "--help"))
	return usageOf(err)
}

// usageOf turns an error of the parser into a usageError; nil stays nil.
func usageOf(err error) error {
	if err == nil {
		return nil
	}
	parse, ok := errors.AsType[*kong.ParseError](err)
	if !ok || parse.Context == nil {
		return usageError{err, nil}
	}
	node := selected(parse.Context)
	if !node.Leaf() && parse.Context.Error == nil && parse.ExitCode() == exitKongUsage { // valid words, but not a complete command
		err = errors.New("a command is missing")
	}
	return usageError{err, node}
}

// exitKongUsage is the parser's exit code for a command line that it cannot accept.
const exitKongUsage = 80

// selected returns the recognized command, or the application if there is none.
func selected(parsed *kong.Context) *kong.Node {
	if node := parsed.Selected(); node != nil {
		return node
	}
	return parsed.Model.Node
}

// printUsage lists the commands below node in one line each, or refers to the help of node if there
// are none.
func printUsage(w io.Writer, node *kong.Node) {
	if node == nil {
		fmt.Fprintf(w, "Run `portolan --help` for usage.\n")
		return
	}
	if node.Leaf() {
		fmt.Fprintf(w, "Run `%s --help` for usage.\n", node.FullPath())
		return
	}
	leaves := node.Leaves(true)
	width := 0
	for _, leaf := range leaves {
		width = max(width, len(pathOfCommand(leaf)))
	}
	fmt.Fprintf(w, "\nCommands:\n")
	for _, leaf := range leaves {
		fmt.Fprintf(w, "  %-*s  %s\n", width, pathOfCommand(leaf), leaf.Help)
	}
	fmt.Fprintf(w, "\nRun `portolan COMMAND --help` for usage.\n")
}

// pathOfCommand returns the words of a command: "accounts create"; "" for the application.
func pathOfCommand(node *kong.Node) string {
	var words []string
	for ; node != nil && node.Type == kong.CommandNode; node = node.Parent {
		words = append([]string{node.Name}, words...)
	}
	return strings.Join(words, " ")
}
