package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

//go:embed job.json
var jobJSON string

// job is what all contestants do: one update of one user. Facts about the provider are data,
// so that they are not repeated in Go.
type job struct {
	Integration string `json:"integration"`
	Model       string `json:"model"`
	Account     struct {
		ID      string            `json:"id"`
		Context map[string]string `json:"context"`
	} `json:"account"`
	Unified  exchange `json:"unified"`  // between the client and a gateway
	Provider exchange `json:"provider"` // between a gateway and the provider
}

// exchange is a request and its answer. Path, body and answer hold <id>, <first> and <last>.
type exchange struct {
	Method        string            `json:"method"`
	BasePath      string            `json:"base_path"`
	Path          text              `json:"path"`
	Headers       map[string]string `json:"headers"`
	Body          text              `json:"body"`
	AnswerHeaders []string          `json:"answer_headers"` // must be there, with any value
	Answer        text              `json:"answer"`
}

func readJob() (*job, error) {
	j := &job{}
	decoder := json.NewDecoder(strings.NewReader(jobJSON))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(j); err != nil {
		return nil, fmt.Errorf("job.json: %w", err)
	}
	j.Unified.Answer = text(strings.Replace(string(j.Unified.Answer), `"<record>"`, string(j.Provider.Answer), 1))
	return j, nil
}

// user is what differs from one call to the next, so that mixed-up answers are noticed.
type user struct{ id, first, last string }

// text is a path, or compact JSON, with placeholders.
type text string

// UnmarshalJSON takes a string as it is, and the text of any other value.
func (t *text) UnmarshalJSON(data []byte) error {
	if data[0] == '"' {
		return json.Unmarshal(data, (*string)(t))
	}
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil {
		return err
	}
	*t = text(b.String())
	return nil
}

// template is a text in parts: literals at even indexes, names of placeholders at odd ones.
type template []string

func (t text) template() template {
	var parts template
	rest := string(t)
	for {
		at := regexp.MustCompile(`<(id|first|last)>`).FindStringSubmatchIndex(rest)
		if at == nil {
			return append(parts, rest)
		}
		parts = append(parts, rest[:at[0]], rest[at[2]:at[3]])
		rest = rest[at[1]:]
	}
}

// append appends the text for u to dst.
func (t template) append(dst []byte, u user) []byte {
	for i, part := range t {
		if i%2 == 0 {
			dst = append(dst, part...)
			continue
		}
		dst = append(dst, *u.field(part)...)
	}
	return dst
}

// match sets the fields of u from s. It reports whether s is the text for them, byte by byte.
func (t template) match(s string, u *user) bool {
	for i, part := range t {
		if i%2 == 0 {
			rest, ok := strings.CutPrefix(s, part)
			if !ok {
				return false
			}
			s = rest
			continue
		}
		end := strings.IndexAny(s, `"/?&`)
		if end < 0 {
			end = len(s)
		}
		field := u.field(part)
		if end == 0 || *field != "" && *field != s[:end] {
			return false
		}
		*field, s = s[:end], s[end:]
	}
	return s == ""
}

func (u *user) field(name string) *string {
	switch name {
	case "id":
		return &u.id
	case "first":
		return &u.first
	default:
		return &u.last
	}
}
