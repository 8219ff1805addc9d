package main

import (
	"fmt"
	"strings"
	"time"

	"portolan/source"
)

type lintCommand struct {
	JSON        bool          `name:"json" help:"Print the findings as a JSON array of {file,line,col,code,severity,message,hint}."`
	EvalTimeout time.Duration `default:"100ms" help:"Deadline of one phase of evaluating a mapping."`
	Dir         []string      `arg:"" optional:"" help:"Mapping trees (mappings, mappings/...), provider directories or .yaml files; the built-in mappings by default. Files missing in a provider directory are taken from the built-in one."`
}

type findingJSON struct {
	File     string `json:"file"`
	Line     int    `json:"line"`
	Col      int    `json:"col"`
	Code     string `json:"code"`
	Severity string `json:"severity"`
	Message  string `json:"message"`
	Hint     string `json:"hint"`
}

// Run prints the problems of the mappings.
func (c *lintCommand) Run(p *process) error {
	dirs, err := openMappingDirs(c.Dir)
	if err != nil {
		return err
	}
	var findings source.Diagnostics
	integrations := map[string]bool{} // the names of all provider directories
	for _, dir := range dirs {
		for _, name := range dir.integrations() {
			integrations[name] = true
		}
		b, err := p.load(loading{evalTimeout: c.EvalTimeout, sandbox: true}, dir.layers()...)
		if err != nil {
			return err
		}
		findings = append(findings, dir.own(b.findings)...)
	}
	findings = findings.Sorted()
	if err := c.print(p, len(integrations), findings); err != nil {
		return err
	}
	if findings.Failed() {
		return errReported
	}
	return nil
}

func (c *lintCommand) print(p *process, integrations int, findings source.Diagnostics) error {
	if !c.JSON {
		for _, d := range findings {
			fmt.Fprintln(p.stdout, d)
		}
		_, err := fmt.Fprintf(p.stdout, "%s, %s\n", counted(integrations, "integration"), summary(findings))
		return err
	}
	out := make([]findingJSON, 0, len(findings))
	for _, d := range findings {
		out = append(out, findingJSON{d.Pos.File, d.Pos.Line, d.Pos.Col, d.Code, d.Severity.String(), d.Message, d.Hint})
	}
	return writeJSON(p.stdout, out)
}

// summary returns the number of findings: "no problems", "2 errors, 1 warning".
func summary(findings source.Diagnostics) string {
	errors := 0
	for _, d := range findings {
		if d.Severity == source.SeverityError {
			errors++
		}
	}
	var parts []string
	if errors > 0 {
		parts = append(parts, counted(errors, "error"))
	}
	if warnings := len(findings) - errors; warnings > 0 {
		parts = append(parts, counted(warnings, "warning"))
	}
	if parts == nil {
		return "no problems"
	}
	return strings.Join(parts, ", ")
}

// counted returns a number with its noun: "1 error", "2 errors".
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
