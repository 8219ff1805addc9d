package main

import (
	"fmt"
	"strings"
	"time"

	"portolan/source"
)

type lintCommand struct {
	JSON        bool          `name:"json" help:"Print a JSON array of {file,line,col,code,severity,message,hint}."`
	EvalTimeout time.Duration `default:"100ms" help:"Deadline of one expression."`
	Dir         []string      `arg:"" optional:"" help:"Mapping roots (mappings, mappings/...), provider folders or .yaml files. Without any: the built-in mappings. What a provider folder leaves out comes from the built-in one."`
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

// Run prints what is wrong with the mappings.
func (c *lintCommand) Run(p *process) error {
	folders, err := openFolders(c.Dir)
	if err != nil {
		return err
	}
	var findings source.Diagnostics
	integrations := map[string]bool{} // by the names of their folders
	for _, f := range folders {
		for _, name := range f.integrations() {
			integrations[name] = true
		}
		w, err := p.load(c.EvalTimeout, nil, f.layers()...)
		if err != nil {
			return err
		}
		findings = append(findings, f.own(w.findings)...)
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

// summary counts the findings: "no problems", "2 errors, 1 warning".
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

// counted is a number with its noun: "1 error", "2 errors".
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
