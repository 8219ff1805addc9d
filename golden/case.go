// Package golden reads, runs and compares golden cases. A case is a txtar file with the
// caller's request, the expected provider requests, the provider's answers, and the
// expected answer to the caller. It runs through the gateway, a handler, or sockets.
package golden

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"portolan/engine"
	"portolan/plain"
)

// The sections of a case. The first call's are upstream.request and upstream.response,
// the next one's upstream.2.request and so on.
const (
	sectionRequest  = "request"
	sectionAccount  = "account.json"
	sectionResponse = "response"
	sectionError    = "error"
)

// Extension is the extension of a case's file name.
const Extension = ".txtar"

// Token is the bearer token of a case's request, unless the case lists its own
// Authorization header.
const Token = "golden"

// Clock returns the fixed time at which every case runs; durations are 0.
func Clock() time.Time { return time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC) }

// Case is one golden case. It must not be modified.
type Case struct {
	File      string // the path passed to Parse
	Name      string // <provider>/<model>.<resource>.<method>/<name>, or <provider>/connect/<name>
	Provider  string
	Operation engine.Operation
	Title     string // the comment before the first section
	Request   Message
	Account   Account
	Upstream  []Exchange // the provider calls, in order
	Answer    Message    // section response, or error with a status from 400
	archive   *txtar.Archive
	connect   map[string]string // the texts of the sections; nil unless Connects
}

// Account is the integrated account of a case.
type Account struct {
	ID          string         // the request's integrated_account_id; "" if it has none
	Integration string         // the provider's directory
	Context     map[string]any // plain JSON, numbers as json.Number
}

// Exchange is one provider call and its answer.
type Exchange struct{ Request, Response Message }

// Load reads <dir>/<provider>/<model>.<resource>.<method>/<name>.txtar, and connect/<name>.txtar
// beside them, of these providers, or of all if providers is empty. It leaves out invalid cases; each error names a file.
func Load(fsys fs.FS, dir string, providers []string) ([]*Case, []error) {
	var cases []*Case
	var problems []error
	err := fs.WalkDir(fsys, dir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel := strings.TrimPrefix(strings.TrimPrefix(file, dir), "/")
		provider, _, inside := strings.Cut(rel, "/")
		switch {
		case file == dir:
			return nil
		case strings.HasPrefix(entry.Name(), "."):
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.IsDir():
			if !inside && len(providers) > 0 && !slices.Contains(providers, provider) {
				return fs.SkipDir
			}
			return nil
		case !strings.HasSuffix(file, Extension):
			problems = append(problems, fmt.Errorf("%s: the file name of a case must end in %s", file, Extension))
			return nil
		}
		data, err := fs.ReadFile(fsys, file)
		if err != nil {
			return err
		}
		c, faults := Parse(file, data)
		if problems = append(problems, faults...); len(faults) == 0 {
			cases = append(cases, c)
		}
		return nil
	})
	if err != nil {
		problems = append(problems, err)
	}
	return cases, problems
}

// Parse reads one case. The last three parts of file, its path, name the case. The case is
// nil if there are errors; each names the file.
func Parse(file string, data []byte) (*Case, []error) {
	var problems []error
	fail := func(err error) { problems = append(problems, fmt.Errorf("%s: %w", file, err)) }
	if bytes.ContainsRune(data, '\r') {
		fail(errors.New("lines must end in LF, got CR"))
		return nil, problems
	}
	if slices.Contains(strings.Split(string(data), "\n"), "-- --") { // txtar.Parse panics on it
		fail(errors.New(`a line "-- --" has no section name`))
		return nil, problems
	}
	c := &Case{File: file, archive: txtar.Parse(data)}
	if err := c.readName(file); err != nil {
		fail(err)
	}
	c.Title = strings.TrimSpace(strings.TrimLeft(string(c.archive.Comment), "# "))
	sections := map[string]string{}
	for _, f := range c.archive.Files {
		if _, twice := sections[f.Name]; twice {
			fail(fmt.Errorf("section %s occurs twice", f.Name))
		}
		sections[f.Name] = string(f.Data)
	}
	if c.Operation == (engine.Operation{}) && len(problems) == 0 {
		c.readConnect(sections, fail)
	} else {
		c.readCall(sections, fail)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return c, nil
}

// readCall reads the sections of a case of a unified call.
func (c *Case) readCall(sections map[string]string, fail func(error)) {
	take := func(name string) (string, bool) {
		text, ok := sections[name]
		delete(sections, name)
		return text, ok
	}
	message := func(name string, isRequest bool) Message {
		text, ok := take(name)
		if !ok {
			fail(fmt.Errorf("section %s is missing", name))
			return Message{}
		}
		m, err := readMessage(text, isRequest)
		if err != nil {
			fail(fmt.Errorf("section %s: %w", name, err))
		}
		return m
	}
	c.Request = message(sectionRequest, true)
	if text, ok := take(sectionAccount); !ok {
		fail(fmt.Errorf("section %s is missing", sectionAccount))
	} else if err := c.readAccount(text); err != nil {
		fail(fmt.Errorf("section %s: %w", sectionAccount, err))
	}
	for n := 1; ; n++ {
		_, requested := sections[upstreamSection(n, sectionRequest)]
		_, answered := sections[upstreamSection(n, sectionResponse)]
		if !requested && !answered {
			break
		}
		c.Upstream = append(c.Upstream, Exchange{
			Request:  message(upstreamSection(n, sectionRequest), true),
			Response: message(upstreamSection(n, sectionResponse), false),
		})
	}
	answer := sectionResponse
	if _, ok := sections[sectionError]; ok {
		answer = sectionError
	}
	c.Answer = message(answer, false)
	if status := c.Answer.Status; status != 0 && answerSection(status) != answer {
		fail(fmt.Errorf("section %s: status %d belongs in section %s", answer, status, answerSection(status)))
	}
	if c.Answer.lists(mappingHeader) {
		fail(fmt.Errorf("section %s: remove %s: it changes with the mapping and is not compared", answer, mappingHeader))
	}
	for _, f := range c.archive.Files { // in the order of the file
		if _, left := sections[f.Name]; left {
			delete(sections, f.Name)
			fail(fmt.Errorf("section %s is unexpected", f.Name))
		}
	}
}

func upstreamSection(n int, part string) string {
	if n == 1 {
		return "upstream." + part
	}
	return fmt.Sprintf("upstream.%d.%s", n, part)
}

func answerSection(status int) string {
	if status >= http.StatusBadRequest {
		return sectionError
	}
	return sectionResponse
}

func (c *Case) readName(file string) error {
	parts := strings.Split(path.Clean(strings.TrimSuffix(file, Extension)), "/")
	if len(parts) < 3 {
		return errors.New("want <provider>/<model>.<resource>.<method>/<name>" + Extension)
	}
	parts = parts[len(parts)-3:]
	op, ok := engine.ParseOperation(parts[1])
	if !ok && parts[1] != connectFolder {
		return fmt.Errorf("directory %q is neither <model>.<resource>.<method> nor %s", parts[1], connectFolder)
	}
	c.Name, c.Provider, c.Operation = strings.Join(parts, "/"), parts[0], op
	return nil
}

func (c *Case) readAccount(text string) error {
	var doc struct {
		Integration string          `json:"integration"`
		Context     json.RawMessage `json:"context"`
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&doc); err != nil {
		return err
	}
	if decoder.More() {
		return errors.New("more than one JSON value")
	}
	if doc.Integration != c.Provider {
		return fmt.Errorf("integration is %q, want %q as the directory", doc.Integration, c.Provider)
	}
	var context map[string]any
	if doc.Context != nil {
		var err error
		if context, err = plain.DecodeObject(doc.Context, plain.Options{}); err != nil {
			return fmt.Errorf("context: %w", err)
		}
	}
	_, query, _ := strings.Cut(c.Request.Target, "?")
	values, _ := url.ParseQuery(query) // a case may test a malformed query
	c.Account = Account{ID: values.Get("integrated_account_id"), Integration: doc.Integration, Context: context}
	return nil
}
