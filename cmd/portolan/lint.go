package main

import (
	"fmt"
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
	for _, f := range folders {
		w, err := p.load(c.EvalTimeout, nil, f.layers()...)
		if err != nil {
			return err
		}
		findings = append(findings, f.own(w.findings)...)
	}
	findings = findings.Sorted()
	if err := c.print(p, findings); err != nil {
		return err
	}
	if findings.Failed() {
		return errReported
	}
	return nil
}

func (c *lintCommand) print(p *process, findings source.Diagnostics) error {
	if !c.JSON {
		for _, d := range findings {
			fmt.Fprintln(p.stdout, d)
		}
		return nil
	}
	out := make([]findingJSON, 0, len(findings))
	for _, d := range findings {
		out = append(out, findingJSON{d.Pos.File, d.Pos.Line, d.Pos.Col, d.Code, d.Severity.String(), d.Message, d.Hint})
	}
	return writeJSON(p.stdout, out)
}
